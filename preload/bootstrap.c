/* SPDX-License-Identifier: MIT */
/* Before the real allocator is known. */
#include "bootstrap.h"

#include <stdint.h>

_Alignas(64) unsigned char bootstrap_arena[BOOTSTRAP_BYTES];
static size_t used;
static uint64_t n_allocs, n_bytes;

struct block {
	size_t bytes;
	size_t reserved; /* keeps what follows at 16 */
};

void *bootstrap_alloc(size_t bytes, size_t alignment)
{
	size_t least = alignment < 16 ? 16 : alignment, at, end;

	if (bytes > BOOTSTRAP_BYTES || least > 4096)
		return NULL;
	/* Relaxed: only the space is shared, and each taker fills its own. */
	size_t old = __atomic_load_n(&used, __ATOMIC_RELAXED);
	do {
		uintptr_t start = (uintptr_t)bootstrap_arena + old + sizeof(struct block);
		at = ((start + least - 1) & ~(least - 1)) - (uintptr_t)bootstrap_arena;
		end = (at + bytes + 15) & ~(size_t)15;
		if (end > BOOTSTRAP_BYTES)
			return NULL;
	} while (!__atomic_compare_exchange_n(
		&used, &old, end, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	((struct block *)(bootstrap_arena + at))[-1].bytes = bytes;
	__atomic_add_fetch(&n_allocs, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&n_bytes, bytes, __ATOMIC_RELAXED);
	return bootstrap_arena + at;
}

size_t bootstrap_usable(const void *p)
{
	return ((const struct block *)p)[-1].bytes;
}

void bootstrap_counts(uint64_t *allocs, uint64_t *bytes)
{
	*allocs = __atomic_load_n(&n_allocs, __ATOMIC_RELAXED);
	*bytes = __atomic_load_n(&n_bytes, __ATOMIC_RELAXED);
}
