/* SPDX-License-Identifier: MIT */
/* The site tree: find or make the child of a node. */
#include "sites.h"

#include "index.h"
#include "tallyfile.h"

static struct index sites_index;

static inline bool match(uint32_t record, const void *key)
{
	const struct ht_site *s = &tally.sites[record], *k = key;

	return s->parent == k->parent && s->offset == k->offset && s->module == k->module;
}

static inline uint64_t hash_key(const struct ht_site *k)
{
	return index_hash(((uint64_t)k->module << 48) ^ k->offset, k->parent);
}

static uint64_t hash(uint32_t record)
{
	return hash_key(&tally.sites[record]);
}

static uint32_t create(const void *key)
{
	uint32_t record = tally.header->n_sites;

	if (!tallyfile_room(HT_SEC_SITES, record + 1))
		return 0;
	tally.sites[record] = *(const struct ht_site *)key;
	/* release: readers of the file look at no record beyond the count */
	__atomic_store_n(&tally.header->n_sites, record + 1, __ATOMIC_RELEASE);
	return record;
}

static const struct index_ops ops = {.match = match, .hash = hash, .create = create};

bool site_tree_init(void)
{
	tally.header->n_sites = 1; /* the root is all zero */
	return index_init(&sites_index, &ops, 1u << 16);
}

uint32_t sites_child(uint32_t parent, uint16_t module, uint64_t offset)
{
	struct ht_site key = {.parent = parent, .module = module, .offset = offset};
	uint32_t site = index_get(&sites_index, &ops, hash_key(&key), &key);

	if (unlikely(site == 0)) {
		tallyfile_dropped(HT_DROP_SITES_FULL);
		return parent;
	}
	return site;
}
