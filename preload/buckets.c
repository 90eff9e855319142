/* SPDX-License-Identifier: MIT */
/* Buckets, their counters, and what realloc does between them. */
#include "buckets.h"

#include <stddef.h>

#include "index.h"
#include "tallyfile.h"

static struct index bucket_index, regrow_index, chain_index;
#define FIRST_BITS      8u /* of a thread's table of buckets */
#define WRITTEN_AT_ONCE (64u << 10)

static struct sys_lock counters_lock;
struct ht_counters buckets_nowhere; /* where counts go that have no room */

static inline void add(uint64_t *counter, uint64_t value)
{
	__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

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

/* Regrows: steps of realloc from bucket to bucket */

static inline bool regrow_match(uint32_t record, const void *key)
{
	const struct ht_regrow *r = &tally.regrows[record], *k = key;

	return r->from == k->from && r->to == k->to;
}

static uint32_t regrow_create(const void *key)
{
	uint32_t record = tally.header->n_regrows;

	if (!tallyfile_room(HT_SEC_REGROWS, record + 1))
		return 0;
	tally.regrows[record] = *(const struct ht_regrow *)key;
	/* release: as for buckets */
	__atomic_store_n(&tally.header->n_regrows, record + 1, __ATOMIC_RELEASE);
	return record;
}

static const struct index_ops regrow_ops = {regrow_match, regrow_create};

/* Chains: by origin and size class */

static inline bool chain_match(uint32_t record, const void *key)
{
	const struct ht_chain *c = &tally.chains[record], *k = key;

	return c->origin == k->origin && c->size_class == k->size_class;
}

static uint32_t chain_create(const void *key)
{
	uint32_t record = tally.header->n_chains;

	if (!tallyfile_room(HT_SEC_CHAINS, record + 1))
		return 0;
	tally.chains[record] = *(const struct ht_chain *)key;
	/* release: as for buckets */
	__atomic_store_n(&tally.header->n_chains, record + 1, __ATOMIC_RELEASE);
	return record;
}

static const struct index_ops chain_ops = {chain_match, chain_create};

static struct ht_chain *chain_of(uint32_t origin, uint64_t bytes)
{
	struct ht_chain key = {.origin = origin, .size_class = (uint16_t)ht_size_class(bytes)};
	uint32_t record =
		index_get(&chain_index, &chain_ops, index_hash(key.origin, key.size_class), &key);

	if (record == 0)
		tallyfile_dropped(HT_DROP_CHAINS_FULL);
	return record ? &tally.chains[record] : NULL;
}

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
		if (record % WRITTEN_AT_ONCE == 0)
			tallyfile_let_go(HT_SEC_OWNERS, record);
	}
	sys_unlock(&counters_lock);
	return c;
}

/* What this thread has counters for, by key */

static size_t table_bytes(uint32_t shift)
{
	return sizeof(struct thread_bucket) << (64 - shift);
}

/* The slot of a key, or the empty one where it belongs. */
static inline struct thread_bucket *slot_of(
	struct thread_bucket *table, uint32_t shift, uint64_t key)
{
	uint64_t mask = (1ull << (64 - shift)) - 1, at = key >> shift;

	while (table[at].key != key && table[at].key != 0)
		at = (at + 1) & mask;
	return &table[at];
}

/* Room for one more; false: there is none, and what is not in the table is looked for in the long way each time. */
static bool table_room(struct thread *t)
{
	struct thread_bucket *old = t->buckets;
	uint32_t shift = t->buckets_shift - 1;

	if (old && t->n_buckets < (1ull << (64 - t->buckets_shift)) * 3 / 4)
		return true;
	if (!old)
		shift = 64 - FIRST_BITS;
	struct thread_bucket *table = sys_reserve(table_bytes(shift));
	if (!table)
		return old && t->n_buckets + 1 < 1ull << (64 - t->buckets_shift);
	for (uint64_t i = 0; old && i < 1ull << (64 - t->buckets_shift); i++)
		if (old[i].key)
			*slot_of(table, shift, old[i].key) = old[i];
	if (old)
		sys_unmap(old, table_bytes(t->buckets_shift));
	t->buckets = table;
	t->buckets_shift = shift;
	return true;
}

static COLD uint32_t get_rare(
	struct thread *t, uint64_t key, struct ht_bucket k, struct ht_counters **counters)
{
	struct thread_bucket *known = t->buckets ? slot_of(t->buckets, t->buckets_shift, key) : NULL;

	if (known && known->key == key) { /* with a light record, at least when we were last here */
		*counters = buckets_counters(t, known->bucket);
		if (*counters && tallyfile_has_room(*counters))
			known->record = tallyfile_counters(*counters);
		return known->bucket;
	}
	k.site = unwind_site(t);

	uint32_t bucket = index_get(&bucket_index, &bucket_ops, bucket_hash(&k), &k);

	*counters = buckets_counters(t, bucket);
	if (bucket == 0)
		tallyfile_dropped(HT_DROP_BUCKETS_FULL);
	else if (*counters != &buckets_nowhere && table_room(t)) {
		*slot_of(t->buckets, t->buckets_shift, key) = (struct thread_bucket){
			key, bucket, *counters ? tallyfile_counters(*counters) : LIGHT_FLAG};
		t->n_buckets++;
	}
	return bucket;
}

uint32_t buckets_get(struct thread *t, uint64_t stack, uint32_t size_class, uint8_t align,
	enum ht_source source, struct ht_counters **counters)
{
	uint64_t kind = size_class << 16 | (uint32_t)align << 8 | source;
	uint64_t key = ((stack ^ kind) * 0xff51afd7ed558ccdu) | 1; /* never 0; its upper half is the better one */

	if (likely(t->buckets)) {
		const struct thread_bucket *found = slot_of(t->buckets, t->buckets_shift, key);
		if (likely(found->key == key && !(found->record & LIGHT_FLAG))) {
			*counters = &tally.counters[found->record];
			return found->bucket;
		}
	}
	return get_rare(t, key,
		(struct ht_bucket){.size_class = (uint16_t)size_class,
			.align = align,
			.source = (uint8_t)source},
		counters);
}

void buckets_regrown(uint32_t from, uint32_t to, uint64_t from_bytes, uint64_t to_bytes, bool moved)
{
	struct ht_regrow key = {.from = from, .to = to};
	uint32_t record = index_get(&regrow_index, &regrow_ops, index_hash(from, to), &key);

	if (record == 0) {
		tallyfile_dropped(HT_DROP_CHAINS_FULL);
		return;
	}
	struct ht_regrow *r = &tally.regrows[record];
	add(&r->count, 1);
	add(&r->from_bytes, from_bytes);
	add(&r->to_bytes, to_bytes);
	if (moved) {
		add(&r->moved, 1);
		add(&r->copied_bytes, from_bytes < to_bytes ? from_bytes : to_bytes);
	}
}

void buckets_chain_step(
	uint32_t origin, uint64_t from_bytes, uint64_t to_bytes, bool first, uint64_t copied_bytes)
{
	struct ht_chain *from = first ? NULL : chain_of(origin, from_bytes),
			*to = chain_of(origin, to_bytes);

	if (from)
		add(&from->now, (uint64_t)-1);
	if (to) {
		add(&to->now, 1);
		add(&to->copied_bytes, copied_bytes);
	}
}

void buckets_chain_end(uint32_t origin, uint64_t bytes, uint32_t regrows)
{
	struct ht_chain *c = chain_of(origin, bytes);

	if (!c)
		return;
	/* 1, 2, 3-4, 5-8 ...: bin is the bits of regrows - 1 */
	uint32_t bin = regrows <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(regrows - 1);
	uint32_t *length = &c->lengths[bin < HT_CHAIN_BINS ? bin : HT_CHAIN_BINS - 1];

	add(&c->now, (uint64_t)-1);
	add(&c->ended, 1);
	add(&c->regrows, regrows);
	if (__atomic_load_n(length, __ATOMIC_RELAXED) != UINT32_MAX)
		__atomic_fetch_add(length, 1, __ATOMIC_RELAXED);
}

bool buckets_init(void)
{
	__builtin_memset(&counters_lock, 0, sizeof(counters_lock));
	light_init();
	/* Record 0 of each: the overflow bucket hangs on the root; regrow and chain 0 are not used. */
	tally.header->n_buckets = 1;
	tally.header->n_regrows = 1;
	tally.header->n_chains = 1;
	return index_init(&bucket_index, &bucket_ops, 1u << 15) &&
	       index_init(&regrow_index, &regrow_ops, 1u << 12) &&
	       index_init(&chain_index, &chain_ops, 1u << 12);
}
