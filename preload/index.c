/* SPDX-License-Identifier: MIT */
/* Additions and growth of the hash index. */
#include "index.h"

#include <string.h>

static size_t table_bytes(uint32_t slots)
{
	return sizeof(struct index_table) + (size_t)slots * sizeof(uint64_t);
}

static struct index_table *new_table(uint32_t slots, void *memory)
{
	struct index_table *t = memory;

	if (t) {
		t->mask = slots - 1;
		t->shift = 32 - (uint32_t)__builtin_ctz(slots);
	}
	return t;
}

static void put(struct index_table *t, uint64_t slot)
{
	uint32_t at = INDEX_TAG(slot) >> t->shift;

	while (t->slots[at & t->mask] != 0)
		at++;
	/* release: the record is whole for whoever finds the number */
	__atomic_store_n(&t->slots[at & t->mask], slot, __ATOMIC_RELEASE);
}

bool index_init(struct index *x, const struct index_ops *ops, uint32_t slots)
{
	memset(x, 0, sizeof(*x));
	x->ops = ops;
	x->table = new_table(slots, sys_reserve(table_bytes(slots)));
	return x->table != NULL;
}

uint32_t index_add_locked(struct index *x, uint64_t hash, const void *key)
{
	struct index_table *t = x->table;
	uint32_t record = index_find(x, x->ops, hash, key);

	if (record != 0) /* another thread was faster */
		return record;
	if (x->used >= t->mask - t->mask / 5) {
		uint32_t slots = (t->mask + 1) * 2;
		struct index_table *bigger = new_table(slots, sys_map_dense(table_bytes(slots)));
		if (bigger) {
			for (uint32_t i = 0; i <= t->mask; i++)
				if (t->slots[i])
					put(bigger, t->slots[i]);
			/* release: pairs with the acquire in index_find */
			__atomic_store_n(&x->table, bigger, __ATOMIC_RELEASE);
			sys_discard(t, table_bytes(t->mask + 1));
			t = bigger;
		} else if (x->used >= t->mask - t->mask / 8) {
			return 0; /* a probe must always meet an empty slot */
		}
	}
	record = x->ops->create(key);
	if (record) {
		put(t, (hash & ~(uint64_t)UINT32_MAX) | record);
		x->used++;
	}
	return record;
}

uint32_t index_add(struct index *x, uint64_t hash, const void *key)
{
	sys_lock(&x->lock);
	uint32_t record = index_add_locked(x, hash, key);
	sys_unlock(&x->lock);
	return record;
}
