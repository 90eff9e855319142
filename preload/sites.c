/* SPDX-License-Identifier: MIT */
/* The site tree: find or make a node. */
#include "sites.h"

#include "index.h"
#include "tallyfile.h"

#define MAX_SITES (16u << 20)

struct key {
	uint64_t identity;
	struct ht_site site;
};

static struct index sites_index;
static uint32_t *identities; /* by site: the half that the index does not hold */

static inline bool match(uint32_t record, const void *key)
{
	return identities[record] == (uint32_t)((const struct key *)key)->identity;
}

static uint32_t create(const void *key)
{
	uint32_t record = tally.header->n_sites;

	if (record == MAX_SITES || !tallyfile_room(HT_SEC_SITES, record + 1))
		return 0;
	identities[record] = (uint32_t)((const struct key *)key)->identity;
	tally.sites[record] = ((const struct key *)key)->site;
	/* release: readers of the file look at no record beyond the count */
	__atomic_store_n(&tally.header->n_sites, record + 1, __ATOMIC_RELEASE);
	/* Who looks for a site has its identity and number. */
	tallyfile_let_go(HT_SEC_SITES, record);
	return record;
}

static const struct index_ops ops = {.match = match, .create = create};

bool site_tree_init(void)
{
	tally.header->n_sites = 1; /* the root is all zero */
	identities = sys_reserve(MAX_SITES * sizeof(identities[0]));
	return identities && index_init(&sites_index, &ops, 1u << 16);
}

void sites_expect(uint64_t identity)
{
	index_expect(&sites_index, identity);
}

uint32_t sites_find(uint64_t identity)
{
	struct key key = {.identity = identity};

	return index_find(&sites_index, &ops, identity, &key);
}

void sites_lock(void)
{
	sys_lock(&sites_index.lock);
}

void sites_unlock(void)
{
	sys_unlock(&sites_index.lock);
}

uint32_t sites_child(uint64_t identity, uint32_t parent, uint16_t module, uint64_t offset)
{
	struct key key = {identity, {.parent = parent, .module = module, .offset = offset}};
	uint32_t site = index_add_locked(&sites_index, identity, &key);

	if (unlikely(site == 0)) {
		tallyfile_dropped(HT_DROP_SITES_FULL);
		return parent;
	}
	return site;
}
