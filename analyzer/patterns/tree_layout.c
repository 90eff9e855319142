/* SPDX-License-Identifier: MIT */
/* B-trees by the sizes of their nodes: see tree_layout.h. */
#include "tree_layout.h"

#include <string.h>

#include "blocks.h"

#define NODE_OTHER     12u /* parent, place, length */
#define CHILDREN_BYTES (TREE_NODE_CHILDREN * 8u)
#define NODE_NAMES     "alloc::collections::btree::node::"
#define ALIGN_8        4u /* as in struct ht_bucket */
#define NEAR_BYTES     4096u

static bool is_tree(const struct group *g)
{
	return g->container == CONTAINER_BTREE ||
	       !strncmp(g->element, NODE_NAMES, strlen(NODE_NAMES));
}

bool tree_read(struct tree_nodes *out, const struct evidence *v, const struct group *g)
{
	const struct tally *t = v->profile->tally;

	*out = (struct tree_nodes){.leaf_bytes = g->min_bytes};
	if (!is_tree(g) || g->totals.reallocs || g->min_bytes <= NODE_OTHER + TREE_NODE_ROOM)
		return false;
	out->entry_bytes = (g->min_bytes - NODE_OTHER) / TREE_NODE_ROOM;
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		const struct ht_counters *c = &t->counters[b];
		if (c->max_bytes == g->min_bytes) {
			out->leaves += c->allocs;
			out->leaves_at_peak +=
				at_least_zero(v->profile->buckets[b].totals.peak_count);
		} else if (c->min_bytes == c->max_bytes &&
			   c->max_bytes == g->min_bytes + CHILDREN_BYTES) {
			out->inner += c->allocs;
		} else {
			return false;
		}
	}
	return true;
}

/* ---- without names ---- */

static bool may_be_node(const struct evidence *v, const struct group *g)
{
	return !g->named && g->container == CONTAINER_UNKNOWN && g->align == ALIGN_8 &&
	       g->min_bytes == g->max_bytes && group_is_fixed(v, g);
}

/* Entries of whole bytes, and a leaf is of whole words. */
static bool is_leaf_size(uint64_t bytes)
{
	if (bytes < NODE_OTHER + TREE_NODE_ROOM || bytes >= UINT32_MAX)
		return false;
	uint64_t entry = (bytes - NODE_OTHER) / TREE_NODE_ROOM;
	return (NODE_OTHER + TREE_NODE_ROOM * entry + 7) / 8 * 8 == bytes;
}

static bool is_near(const struct group *x, const struct group *y)
{
	uint64_t apart =
		x->address < y->address ? y->address - x->address : x->address - y->address;

	return x->module == y->module && apart <= NEAR_BYTES;
}

static bool is_inner_of(
	const struct evidence *v, const struct group *inner, const struct group *leaf)
{
	return inner->max_bytes == leaf->max_bytes + CHILDREN_BYTES && is_near(inner, leaf) &&
	       may_be_node(v, inner);
}

/* It allocates leaves of the same trees as `leaf`: an inner node is near both. */
static bool is_sibling(
	const struct evidence *v, const struct group *other, const struct group *leaf)
{
	if (other->max_bytes != leaf->max_bytes || other->module != leaf->module ||
		!may_be_node(v, other))
		return false;
	for (uint32_t i = 0; i < v->n_groups; i++)
		if (is_inner_of(v, &v->groups[i], leaf) && is_inner_of(v, &v->groups[i], other))
			return true;
	return false;
}

static uint64_t first_ticks(const struct evidence *v, const struct group *g)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint64_t ticks = v->profile->tally->buckets[v->bucket_order[g->first_bucket + i]]
					 .first_ticks;
		first = ticks < first ? ticks : first;
	}
	return first;
}

bool tree_read_unnamed(struct tree_nodes *out, const struct evidence *v, const struct group *g,
	void (*also)(void *arg, const struct group *g), void *arg)
{
	uint64_t first_leaf = first_ticks(v, g), first_inner = UINT64_MAX, inner_at_peak = 0;

	*out = (struct tree_nodes){.leaf_bytes = g->max_bytes};
	if (!is_leaf_size(g->max_bytes) || !may_be_node(v, g))
		return false;
	out->entry_bytes = (g->max_bytes - NODE_OTHER) / TREE_NODE_ROOM;
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *x = &v->groups[i];
		uint64_t at_peak = at_least_zero(x->totals.peak_count), first;
		if (x == g || is_sibling(v, x, g)) {
			/* the first of those with most speaks for all */
			if (x->totals.allocs > g->totals.allocs ||
				(x->totals.allocs == g->totals.allocs && x < g))
				return false;
			out->leaves += x->totals.allocs;
			out->leaves_at_peak += at_peak;
			first = first_ticks(v, x);
			first_leaf = first < first_leaf ? first : first_leaf;
		} else if (is_inner_of(v, x, g)) {
			out->inner += x->totals.allocs;
			inner_at_peak += at_peak;
			first = first_ticks(v, x);
			first_inner = first < first_inner ? first : first_inner;
		} else {
			continue;
		}
	}
	if (!out->inner || 2 * out->inner > out->leaves ||
		2 * inner_at_peak > out->leaves_at_peak || first_inner < first_leaf)
		return false;
	for (uint32_t i = 0; i < v->n_groups; i++)
		if (&v->groups[i] != g &&
			(is_sibling(v, &v->groups[i], g) || is_inner_of(v, &v->groups[i], g)))
			also(arg, &v->groups[i]);
	return true;
}
