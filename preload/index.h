/* SPDX-License-Identifier: MIT */
/*
 * A growing hash index over records that live elsewhere (in the tally): it holds record numbers only, and its owner
 * says how records are made and compared. Look-ups take no lock; additions do. Tables that were outgrown stay mapped but
 * read as empty: a reader that is still in one finds nothing there and looks again under the lock.
 */
#ifndef HEAPTALLY_INDEX_H
#define HEAPTALLY_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "sys.h"

struct index_table {
	uint32_t mask;
	uint32_t shift; /* a slot's home is its tag >> shift */
	/* record number, above it the tag; 0: empty, so record 0 is never indexed */
	uint64_t slots[];
};

/* The tag: what a slot holds of the hash. */
#define INDEX_TAG(hash)    ((uint32_t)((hash) >> 32))
#define INDEX_RECORD(slot) ((uint32_t)(slot))

struct index_ops {
	bool (*match)(uint32_t record, const void *key);
	/* new record, published; 0: full. Called under the index's lock */
	uint32_t (*create)(const void *key);
};

struct index {
	const struct index_ops *ops;
	struct index_table *table;
	uint32_t used;
	struct sys_lock lock;
};

/* For a fresh process image or a forked child. slots: a power of two. False without memory. */
bool index_init(struct index *x, const struct index_ops *ops, uint32_t slots);

/* The slow half of index_get, for a key that is hardly there. */
uint32_t index_add(struct index *x, uint64_t hash, const void *key);
/* The same between locking and unlocking x->lock, for several in a row. */
uint32_t index_add_locked(struct index *x, uint64_t hash, const void *key);

/* 64-bit mix: the finalizer of MurmurHash3. */
static inline uint64_t index_hash(uint64_t a, uint64_t b)
{
	uint64_t h = a * 0x9e3779b97f4a7c15u ^ b;

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdu;
	h ^= h >> 33;
	return h;
}

/* The record of a key; 0: there is none. */
static inline uint32_t index_find(
	struct index *x, const struct index_ops *ops, uint64_t hash, const void *key)
{
	/* acquire: the slots of a grown table are whole */
	const struct index_table *t = __atomic_load_n(&x->table, __ATOMIC_ACQUIRE);

	for (uint32_t at = INDEX_TAG(hash) >> t->shift;; at++) {
		/* acquire: the record behind the number is whole */
		uint64_t slot = __atomic_load_n(&t->slots[at & t->mask], __ATOMIC_ACQUIRE);
		if (slot == 0 || (slot >> 32 == INDEX_TAG(hash) &&
					 likely(ops->match(INDEX_RECORD(slot), key))))
			return INDEX_RECORD(slot);
	}
}

/* A key is about to be looked for: brings its place into the cache. */
static inline void index_expect(const struct index *x, uint64_t hash)
{
	const struct index_table *t = __atomic_load_n(&x->table, __ATOMIC_ACQUIRE);

	__builtin_prefetch(&t->slots[INDEX_TAG(hash) >> t->shift]);
}

/* The same, made when new; 0 when there is no room for it. */
static inline uint32_t index_get(
	struct index *x, const struct index_ops *ops, uint64_t hash, const void *key)
{
	uint32_t record = index_find(x, ops, hash, key);

	return likely(record) ? record : index_add(x, hash, key);
}

#endif
