/* SPDX-License-Identifier: MIT */
/*
 * How alloc's B-trees lay out their nodes, to be recognised by the sizes of blocks: B is 6, so that a leaf has room for 11
 * keys and values, and the address of its parent, its place in there and its length besides; an inner node is a leaf with
 * 12 addresses of children behind it.
 */
#ifndef HEAPTALLY_PATTERNS_TREE_LAYOUT_H
#define HEAPTALLY_PATTERNS_TREE_LAYOUT_H

#include "pattern.h"

#define TREE_NODE_ROOM     11u
#define TREE_NODE_CHILDREN 12u

struct tree_nodes {
	uint64_t leaf_bytes, entry_bytes; /* of a key and its value, together */
	uint64_t leaves, inner;           /* made */
	uint64_t leaves_at_peak;
};

/* Is the group a B-tree's nodes, by its names and by all of its sizes? */
bool tree_read(struct tree_nodes *out, const struct evidence *v, const struct group *g);

/*
 * The same without names. Leaves and inner nodes are then groups of their own, and there may be several of each. Taken for
 * such are blocks of fixed sizes, 12 addresses apart, that a leaf with whole entries can have, allocated within 4 KiB of
 * code; of the larger there is never more than one for two of the smaller, nor one before the first of those. g: the group
 * with most leaves; of the other groups `also` is told.
 */
bool tree_read_unnamed(struct tree_nodes *out, const struct evidence *v, const struct group *g,
	void (*also)(void *arg, const struct group *g), void *arg);

#endif
