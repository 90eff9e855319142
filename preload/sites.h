/* SPDX-License-Identifier: MIT */
/*
 * The site tree: one node per (parent, return address), shared by all threads, in the tally. Nodes are found by the
 * identity of the stack that they stand for, see unwind_stack.
 */
#ifndef HEAPTALLY_SITES_H
#define HEAPTALLY_SITES_H

#include <stdbool.h>
#include <stdint.h>

bool site_tree_init(void);

/* A stack's site is about to be looked for: brings its place into the cache. */
void sites_expect(uint64_t identity);

/* The site of a stack; 0: it has none yet. */
uint32_t sites_find(uint64_t identity);

/*
 * The same for one that has none, as far as is known: a child of `parent`. Returns `parent` itself when the table is full.
 * Between sites_lock and sites_unlock, which take in all new sites of a stack.
 */
uint32_t sites_child(uint64_t identity, uint32_t parent, uint16_t module, uint64_t offset);
void sites_lock(void);
void sites_unlock(void);

#endif
