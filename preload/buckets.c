/* SPDX-License-Identifier: MIT */
/* Buckets, their counters, and what realloc does between them. */
#include "buckets.h"

#include <stddef.h>

#include "index.h"
#include "tallyfile.h"

#define FIRST_BITS 8u /* of a thread's table */

static struct index bucket_index;
static struct sys_lock counters_lock;
struct ht_counters buckets_nowhere; /* where counts go that have no room */

/* Buckets */

static inline bool bucket_match(uint32_t record, const void *key)
{
	return __builtin_memcmp(
		       &tally.buckets[record], key, offsetof(struct ht_bucket, first_ticks)) == 0;
}

static inline uint64_t bucket_hash(const struct ht_bucket *k)
{
	return index_hash(
		k->site, (uint64_t)k->size_class << 16 | (uint64_t)k->align << 8 | k->source);
}

static uint32_t bucket_create(const void *key)
{
	uint32_t record = tally.header->n_buckets;

	if (!tallyfile_room(HT_SEC_BUCKETS, record + 1))
		return 0;
	tally.buckets[record] = *(const struct ht_bucket *)key;
	tally.buckets[record].first_ticks = sys_ticks();
	/* release: readers of the file look at no record beyond the count */
	__atomic_store_n(&tally.header->n_buckets, record + 1, __ATOMIC_RELEASE);
	return record;
}

static const struct index_ops bucket_ops = {bucket_match, bucket_create};

/* Counters */

COLD struct ht_counters *buckets_new_counters(struct thread *t, uint32_t bucket)
{
	struct ht_counters *c = &buckets_nowhere;

	sys_lock(&counters_lock);
	uint32_t record = tally.header->n_counters;
	t->records[bucket] = TALLYFILE_NOWHERE;
	if (tallyfile_room(HT_SEC_OWNERS, record + 1) &&
		tallyfile_room(HT_SEC_COUNTERS, record + 1)) {
		c = &tally.counters[record];
		c->min_bytes = UINT64_MAX;
		tally.owners[record] = (struct ht_owner){bucket, t->slot};
		t->records[bucket] = record + 1;
		/* release: as for buckets */
		__atomic_store_n(&tally.header->n_counters, record + 1, __ATOMIC_RELEASE);
		tallyfile_let_go(HT_SEC_OWNERS, record);
	}
	sys_unlock(&counters_lock);
	return c;
}

/* A thread's tables */

static size_t table_bytes(uint32_t shift)
{
	return sizeof(struct thread_slot) << (64 - shift);
}

/* The slot of a key, or the empty one where it belongs. */
static inline struct thread_slot *slot_of(struct thread_slot *slots, uint32_t shift, uint64_t key)
{
	uint64_t mask = (1ull << (64 - shift)) - 1, at = key >> shift;

	while (slots[at].key != key && slots[at].key != 0)
		at = (at + 1) & mask;
	return &slots[at];
}

/* NULL: the key is not there. */
static inline struct thread_slot *table_find(const struct thread_table *t, uint64_t key)
{
	struct thread_slot *found = likely(t->slots) ? slot_of(t->slots, t->shift, key) : NULL;

	return likely(found && found->key == key) ? found : NULL;
}

/* Room for one more; false: there is none. */
static bool table_room(struct thread_table *t)
{
	uint64_t size = t->slots ? 1ull << (64 - t->shift) : 0;
	uint32_t shift = t->slots ? t->shift - 1 : 64 - FIRST_BITS;

	if (t->used < size * 3 / 4)
		return true;
	struct thread_slot *bigger = sys_map_dense(table_bytes(shift));
	if (!bigger)
		return t->used + 1 < size;
	for (uint64_t i = 0; i < size; i++)
		if (t->slots[i].key)
			*slot_of(bigger, shift, t->slots[i].key) = t->slots[i];
	if (t->slots)
		sys_discard(t->slots, table_bytes(t->shift));
	t->slots = bigger;
	t->shift = shift;
	return true;
}

/* After table_room. */
static void table_add(struct thread_table *t, uint64_t key, uint32_t bucket, uint32_t record)
{
	*slot_of(t->slots, t->shift, key) = (struct thread_slot){key, bucket, record};
	t->used++;
}

/* One to one; never 0 for what is looked up here. */
static inline uint64_t table_key(uint64_t a, uint64_t b)
{
	return ((a << 32 | b) + 1) * 0x9e3779b97f4a7c15u;
}

static COLD uint32_t get_rare(
	struct thread *t, uint64_t key, struct ht_bucket k, struct ht_counters **counters)
{
	struct thread_slot *known = table_find(&t->buckets, key);

	if (known) { /* with a light record, at least when we were last here */
		*counters = buckets_counters(t, known->bucket);
		if (*counters && *counters != &buckets_nowhere)
			known->record = tallyfile_counters(*counters);
		return known->bucket;
	}
	k.site = unwind_site(t);

	uint32_t bucket = index_get(&bucket_index, &bucket_ops, bucket_hash(&k), &k);

	*counters = buckets_counters(t, bucket);
	if (bucket == 0)
		tallyfile_dropped(HT_DROP_BUCKETS_FULL);
	else if (*counters != &buckets_nowhere && table_room(&t->buckets))
		table_add(&t->buckets, key, bucket,
			*counters ? tallyfile_counters(*counters) : LIGHT_FLAG);
	return bucket;
}

uint32_t buckets_get(struct thread *t, uint64_t stack, uint32_t size_class, uint8_t align,
	enum ht_source source, struct ht_counters **counters)
{
	uint64_t kind = size_class << 16 | (uint32_t)align << 8 | source;
	/* never 0; its upper half is the better one */
	uint64_t key = ((stack ^ kind) * 0xff51afd7ed558ccdu) | 1;
	const struct thread_slot *found = table_find(&t->buckets, key);

	if (likely(found && !(found->record & LIGHT_FLAG))) {
		*counters = &tally.counters[found->record];
		return found->bucket;
	}
	return get_rare(t, key,
		(struct ht_bucket){.size_class = (uint16_t)size_class,
			.align = align,
			.source = (uint8_t)source},
		counters);
}

/* Regrows and chains: a record for each thread, which it alone writes */

static COLD struct ht_regrow *new_regrow(struct thread *t, uint64_t key, uint32_t from, uint32_t to)
{
	struct ht_regrow *r = NULL;

	sys_lock(&counters_lock);
	uint32_t record = tally.header->n_regrows;
	if (table_room(&t->regrows) && tallyfile_room(HT_SEC_REGROWS, record + 1)) {
		r = &tally.regrows[record];
		r->from = from;
		r->to = to;
		table_add(&t->regrows, key, from, record);
		/* release: as for buckets */
		__atomic_store_n(&tally.header->n_regrows, record + 1, __ATOMIC_RELEASE);
	}
	sys_unlock(&counters_lock);
	if (!r)
		tallyfile_dropped(HT_DROP_CHAINS_FULL);
	return r;
}

static COLD struct ht_chain *new_chain(
	struct thread *t, uint64_t key, uint32_t origin, uint32_t size_class)
{
	struct ht_chain *c = NULL;

	sys_lock(&counters_lock);
	uint32_t record = tally.header->n_chains;
	if (table_room(&t->chains) && tallyfile_room(HT_SEC_CHAINS, record + 1)) {
		c = &tally.chains[record];
		c->origin = origin;
		c->size_class = (uint16_t)size_class;
		table_add(&t->chains, key, origin, record);
		/* release: as for buckets */
		__atomic_store_n(&tally.header->n_chains, record + 1, __ATOMIC_RELEASE);
	}
	sys_unlock(&counters_lock);
	if (!c)
		tallyfile_dropped(HT_DROP_CHAINS_FULL);
	return c;
}

static struct ht_chain *chain_of(struct thread *t, uint32_t origin, uint64_t bytes)
{
	uint32_t size_class = ht_size_class(bytes);
	uint64_t key = table_key(origin, size_class);
	const struct thread_slot *found = table_find(&t->chains, key);

	return likely(found) ? &tally.chains[found->record] : new_chain(t, key, origin, size_class);
}

void buckets_regrown(struct thread *t, uint32_t from, uint32_t to, uint64_t from_bytes,
	uint64_t to_bytes, bool moved)
{
	uint64_t key = table_key(from, to);
	const struct thread_slot *found = table_find(&t->regrows, key);
	struct ht_regrow *r =
		likely(found) ? &tally.regrows[found->record] : new_regrow(t, key, from, to);

	if (unlikely(!r))
		return;
	r->count++;
	r->from_bytes += from_bytes;
	r->to_bytes += to_bytes;
	if (moved) {
		r->moved++;
		r->copied_bytes += from_bytes < to_bytes ? from_bytes : to_bytes;
	}
}

void buckets_chain_step(struct thread *t, uint32_t origin, uint64_t from_bytes, uint64_t to_bytes,
	bool first, uint64_t copied_bytes)
{
	struct ht_chain *from = first ? NULL : chain_of(t, origin, from_bytes),
			*to = chain_of(t, origin, to_bytes);

	if (from)
		from->now--;
	if (to) {
		to->now++;
		to->copied_bytes += copied_bytes;
	}
}

void buckets_chain_end(struct thread *t, uint32_t origin, uint64_t bytes, uint32_t regrows)
{
	struct ht_chain *c = chain_of(t, origin, bytes);

	if (!c)
		return;
	/* 1, 2, 3-4, 5-8 ...: bin is the bits of regrows - 1 */
	uint32_t bin = regrows <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(regrows - 1);
	uint32_t *length = &c->lengths[bin < HT_CHAIN_BINS ? bin : HT_CHAIN_BINS - 1];

	c->now--;
	c->ended++;
	c->regrows += regrows;
	if (*length != UINT32_MAX)
		++*length;
}

bool buckets_init(void)
{
	__builtin_memset(&counters_lock, 0, sizeof(counters_lock));
	light_init();
	/* Record 0 of each: the overflow bucket hangs on the root; regrow and chain 0 are not used. */
	tally.header->n_buckets = 1;
	tally.header->n_regrows = 1;
	tally.header->n_chains = 1;
	return index_init(&bucket_index, &bucket_ops, 1u << 15);
}
