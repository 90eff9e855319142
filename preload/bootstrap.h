/* SPDX-License-Identifier: MIT */
/*
 * Memory for the moment in which the real allocator is being looked up: dlsym may itself allocate. A small static
 * arena that is never given back.
 */
#ifndef HEAPTALLY_BOOTSTRAP_H
#define HEAPTALLY_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed; NULL when the arena is used up. */
void *bootstrap_alloc(size_t bytes, size_t alignment);
#define BOOTSTRAP_BYTES 65536u
extern unsigned char bootstrap_arena[BOOTSTRAP_BYTES];

static inline bool bootstrap_owns(const void *p)
{
	return (uintptr_t)p - (uintptr_t)bootstrap_arena < BOOTSTRAP_BYTES;
}
size_t bootstrap_usable(const void *p);

/* Allocations and bytes served, for the header of the tally. */
void bootstrap_counts(uint64_t *allocs, uint64_t *bytes);

#endif
