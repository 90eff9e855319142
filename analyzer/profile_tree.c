/* SPDX-License-Identifier: MIT */
/*
 * The call tree of a profile, for flame graphs. As with blame, a site continues its parent's path, so that no stack is
 * walked twice.
 */
#include <stdlib.h>

#include "profile.h"

#define MAX_NODES (1u << 23)

struct builder {
	struct profile_node *nodes;
	uint32_t n_nodes, room;
	uint32_t *slots; /* open addressing over (parent, function); 0: empty */
	uint32_t mask;
};

static uint32_t node_hash(uint32_t parent, uint32_t function)
{
	uint64_t h = ((uint64_t)parent << 32 | function) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

static uint32_t *builder_slot(const struct builder *b, uint32_t parent, uint32_t function)
{
	uint32_t i = node_hash(parent, function) & b->mask;

	while (b->slots[i] && (b->nodes[b->slots[i]].parent != parent ||
				      b->nodes[b->slots[i]].function != function))
		i = (i + 1) & b->mask;
	return &b->slots[i];
}

static int builder_grow(struct builder *b)
{
	uint32_t room = b->room ? 2 * b->room : 1024;
	struct profile_node *nodes = realloc(b->nodes, room * sizeof(*nodes));

	if (!nodes)
		return -1;
	b->nodes = nodes;
	free(b->slots);
	b->slots = calloc(2 * (size_t)room, sizeof(*b->slots));
	if (!b->slots)
		return -1;
	b->room = room;
	b->mask = 2 * room - 1;
	for (uint32_t i = 1; i < b->n_nodes; i++)
		*builder_slot(b, nodes[i].parent, nodes[i].function) = i;
	return 0;
}

/* The node of `function` below parent, made when there is none. PROFILE_NONE: no more nodes. */
static uint32_t builder_child(struct builder *b, uint32_t parent, uint32_t function)
{
	uint32_t *slot = builder_slot(b, parent, function);

	if (*slot)
		return *slot;
	if (b->n_nodes == b->room) {
		if (b->n_nodes == MAX_NODES || builder_grow(b))
			return PROFILE_NONE;
		slot = builder_slot(b, parent, function);
	}
	*slot = b->n_nodes;
	b->nodes[b->n_nodes] = (struct profile_node){.parent = parent,
		.function = function,
		.next_sibling = b->nodes[parent].first_child};
	b->nodes[parent].first_child = b->n_nodes;
	return b->n_nodes++;
}

/* Fills node_of and leaf_of for every site. leaf_of: what is left out, to hang below the node; PROFILE_NONE: nothing. */
static int tree_sites(
	struct builder *b, const struct profile *p, bool fold, uint32_t *node_of, uint32_t *leaf_of)
{
	node_of[0] = 0;
	leaf_of[0] = PROFILE_NONE;
	for (uint32_t s = 1; s < p->tally->n_sites; s++) {
		uint32_t parent = p->tally->sites[s].parent, node = node_of[parent], n;
		/* while it is a container's, plumbing further in does not replace it, unless that is one as well */
		uint32_t leaf = leaf_of[parent];
		const struct ht_frame *f = profile_site_frames(p, s, &n);
		while (n--) {
			const struct profile_function *fn = &p->functions[f[n].function];
			const struct profile_function *outer =
				&p->functions[b->nodes[node].function];
			if (!fold || !(fn->plumbing || profile_told_by(fn, outer))) {
				leaf = PROFILE_NONE;
				node = builder_child(b, node, f[n].function);
				if (node == PROFILE_NONE)
					return -1;
			} else if (leaf == PROFILE_NONE || fn->container ||
				   !p->functions[leaf].container) {
				leaf = f[n].function;
			}
		}
		node_of[s] = node;
		leaf_of[s] = leaf;
	}
	return 0;
}

int profile_tree_init(
	struct profile_tree *tree, const struct profile *p, bool fold_plumbing, struct error *e)
{
	const struct tally *t = p->tally;
	struct builder b = {0};
	uint32_t *node_of = malloc(((size_t)t->n_sites + 1) * sizeof(*node_of));
	uint32_t *leaf_of = malloc(((size_t)t->n_sites + 1) * sizeof(*leaf_of));
	int ret = -1;

	if (!node_of || !leaf_of || builder_grow(&b))
		goto out;
	b.n_nodes = 1;
	b.nodes[0] = (struct profile_node){.function = t->n_functions + HT_PSEUDO_ROOT};
	if (tree_sites(&b, p, fold_plumbing, node_of, leaf_of))
		goto out;
	for (uint32_t i = 0; i < t->n_buckets; i++) {
		uint32_t site = p->buckets[i].site, node = node_of[site];
		if (leaf_of[site] != PROFILE_NONE)
			node = builder_child(&b, node, leaf_of[site]);
		if (node == PROFILE_NONE)
			goto out;
		totals_add(&b.nodes[node].self, &p->buckets[i].totals);
	}
	for (uint32_t i = b.n_nodes - 1; i < b.n_nodes; i--) {
		totals_add(&b.nodes[i].total, &b.nodes[i].self);
		if (i)
			totals_add(&b.nodes[b.nodes[i].parent].total, &b.nodes[i].total);
	}
	ret = 0;
out:
	if (ret) {
		error_set(e, "%s: the call tree is too large for memory", t->path);
		free(b.nodes);
		b.nodes = NULL;
		b.n_nodes = 0;
	}
	*tree = (struct profile_tree){b.nodes, b.n_nodes};
	free(b.slots);
	free(node_of);
	free(leaf_of);
	return ret;
}

void profile_tree_release(struct profile_tree *tree)
{
	free(tree->nodes);
	*tree = (struct profile_tree){0};
}
