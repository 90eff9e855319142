/* SPDX-License-Identifier: MIT */
/*
 * Builds a profile and a tree of functions that are groups of both sides' functions, for svg.c to draw. What a node has
 * of its own in the metric is the greater of both sides: its width.
 */
#include "diff_svg.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "figures.h"
#include "svg.h"

#define STACK_MAX 4096u

struct child {
	struct {
		uint32_t parent, function;
	} key;
	uint32_t node;
	UT_hash_handle hh;
};

struct merger {
	const struct profile *sides[2];
	struct diff_groups groups;
	struct profile merged; /* its functions: groups, then size classes */
	char *size_names[HT_SIZE_CLASSES];
	struct profile_node *nodes;
	uint64_t *own[2]; /* by node */
	uint32_t n_nodes, room;
	struct child *table;
};

static int add_node(struct merger *m, uint32_t parent, uint32_t function)
{
	if (m->n_nodes == m->room) {
		uint32_t room = m->room ? 2 * m->room : 1024;
		struct profile_node *nodes = realloc(m->nodes, room * sizeof(*nodes));
		if (nodes)
			m->nodes = nodes;
		for (int s = 0; s < 2; s++) {
			uint64_t *own = realloc(m->own[s], room * sizeof(*own));
			if (!own || !nodes)
				return -1;
			m->own[s] = own;
		}
		m->room = room;
	}
	struct profile_node *n = &m->nodes[m->n_nodes];
	*n = (struct profile_node){.parent = parent, .function = function};
	m->own[0][m->n_nodes] = m->own[1][m->n_nodes] = 0;
	if (m->n_nodes) {
		n->next_sibling = m->nodes[parent].first_child;
		m->nodes[parent].first_child = m->n_nodes;
	}
	m->n_nodes++;
	return 0;
}

/* The node of `function` below parent; PROFILE_NONE: out of memory. */
static uint32_t child_of(struct merger *m, uint32_t parent, uint32_t function)
{
	struct child *c, key = {.key = {parent, function}};

	HASH_FIND(hh, m->table, &key.key, sizeof(key.key), c);
	if (c)
		return c->node;
	c = malloc(sizeof(*c));
	if (!c || add_node(m, parent, function)) {
		free(c);
		return PROFILE_NONE;
	}
	*c = key;
	c->node = m->n_nodes - 1;
	HASH_ADD(hh, m->table, key, sizeof(c->key), c);
	return c->node;
}

/* Merged crates: after's, then those of before that it has not. */
static uint32_t crate_in(struct merger *m, const char *name, bool plumbing)
{
	for (uint32_t i = 0; i < m->merged.n_crates; i++)
		if (!strcmp(m->merged.crates[i].name, name))
			return i;
	m->merged.crates[m->merged.n_crates] =
		(struct profile_crate){.name = (char *)name, .plumbing = plumbing};
	return m->merged.n_crates++;
}

/* Names stay the sides' own. */
static int merge_functions(struct merger *m)
{
	size_t n = (size_t)m->groups.n_groups + HT_SIZE_CLASSES;

	m->merged = (struct profile){.tally = m->sides[1]->tally,
		.functions = calloc(n, sizeof(*m->merged.functions)),
		.n_functions = (uint32_t)n,
		.crates = calloc((size_t)m->sides[0]->n_crates + m->sides[1]->n_crates + 2,
			sizeof(*m->merged.crates))};
	if (!m->merged.functions || !m->merged.crates)
		return -1;
	for (int s = 1; s >= 0; s--)
		for (uint32_t f = 0; f < m->sides[s]->n_functions; f++) {
			struct profile_function *to =
				&m->merged.functions[m->groups.group_of[s][f]];
			if (to->name)
				continue;
			*to = m->sides[s]->functions[f];
			const struct profile_crate *c = &m->sides[s]->crates[to->crate];
			to->crate = crate_in(m, c->name, c->plumbing);
			if (s == 0)
				to->module = 0; /* before's number is not after's */
		}
	uint32_t sizes = crate_in(m, "sizes", false);
	for (uint32_t c = 0; c < HT_SIZE_CLASSES; c++) {
		struct profile_function *to = &m->merged.functions[m->groups.n_groups + c];
		char a[FIGURE_SIZE], b[FIGURE_SIZE];
		if (asprintf(&m->size_names[c], "blocks of %s to %s B",
			    figure_exact(a, ht_class_min_bytes(c)),
			    figure_exact(b, ht_class_max_bytes(c))) < 0) {
			m->size_names[c] = NULL;
			return -1;
		}
		*to = (struct profile_function){
			.name = m->size_names[c], .brief = m->size_names[c], .crate = sizes};
	}
	return 0;
}

/*
 * The path of a bucket: what is not plumbing from the outside in, then, as a leaf, the innermost container's method
 * within or else the innermost frame. Neighbours of one group, as a function and its closure, are one.
 */
static uint32_t path_of(struct merger *m, int side, uint32_t bucket, struct profile_frame *frames)
{
	const struct profile *p = m->sides[side];
	uint32_t depth = profile_stack(p, p->buckets[bucket].site, frames, STACK_MAX), node = 0;
	uint32_t leaf = PROFILE_NONE, last = PROFILE_NONE, i = 0;

	depth = depth < STACK_MAX ? depth : STACK_MAX;
	for (; i < depth && p->functions[frames[i].function].plumbing; i++)
		if (leaf == PROFILE_NONE || (p->functions[frames[i].function].container &&
						    !p->functions[leaf].container))
			leaf = frames[i].function;
	for (uint32_t k = depth; k-- > i && node != PROFILE_NONE;) {
		uint32_t f = frames[k].function, g = m->groups.group_of[side][f];
		if (p->functions[f].plumbing || g == last)
			continue;
		node = child_of(m, node, g);
		last = g;
	}
	if (leaf != PROFILE_NONE && node != PROFILE_NONE)
		node = child_of(m, node, m->groups.group_of[side][leaf]);
	if (node != PROFILE_NONE && p->functions[p->buckets[bucket].blame].unnamed)
		node = child_of(m, node, m->groups.n_groups + p->tally->buckets[bucket].size_class);
	return node;
}

static void set_metric(struct totals *t, enum profile_metric m, uint64_t value)
{
	int64_t number = value < INT64_MAX ? (int64_t)value : INT64_MAX;

	*t = (struct totals){0};
	if (m == METRIC_PEAK)
		t->peak_bytes = number;
	else if (m == METRIC_BYTES)
		t->alloc_bytes = value;
	else if (m == METRIC_COUNT)
		t->allocs = value;
	else if (m == METRIC_TEMPORARY)
		t->temporary = value;
	else
		t->live_bytes = number;
}

static int build(struct merger *m, enum profile_metric metric)
{
	struct profile_frame *frames = malloc(STACK_MAX * sizeof(*frames));
	int ret = frames && !add_node(m, 0, m->groups.n_groups) ? 0 : -1;

	for (int s = 0; s < 2; s++)
		for (uint32_t b = 0; b < m->sides[s]->tally->n_buckets && !ret; b++) {
			uint64_t value = totals_metric(&m->sides[s]->buckets[b].totals, metric);
			uint32_t node = value ? path_of(m, s, b, frames) : 0;
			if (node == PROFILE_NONE)
				ret = -1;
			else
				m->own[s][node] += value;
		}
	free(frames);
	for (uint32_t i = m->n_nodes; i-- > 0 && !ret;) {
		uint64_t before = m->own[0][i], after = m->own[1][i];
		set_metric(&m->nodes[i].self, metric, before > after ? before : after);
	}
	for (uint32_t i = m->n_nodes; i-- > 1 && !ret;) /* from here on with all below */
		for (int s = 0; s < 2; s++)
			m->own[s][m->nodes[i].parent] += m->own[s][i];
	return ret;
}

static void release(struct merger *m)
{
	struct child *c, *next;

	HASH_ITER(hh, m->table, c, next)
	{
		HASH_DEL(m->table, c);
		free(c);
	}
	for (uint32_t c2 = 0; c2 < HT_SIZE_CLASSES; c2++)
		free(m->size_names[c2]);
	free(m->merged.functions);
	free(m->merged.crates);
	free(m->nodes);
	free(m->own[0]);
	free(m->own[1]);
	diff_groups_release(&m->groups);
}

int diff_svg_write(FILE *out, const struct profile *before, const struct profile *after,
	enum profile_metric metric, struct error *e)
{
	struct merger *m = calloc(1, sizeof(*m));
	int ret = -1;

	if (!m)
		return error_set(e, "out of memory");
	m->sides[0] = before;
	m->sides[1] = after;
	if (diff_groups_init(&m->groups, before, after) || merge_functions(m) || build(m, metric)) {
		error_set(e, "out of memory for the flame graph");
	} else {
		struct profile_tree tree = {m->nodes, m->n_nodes};
		struct svg_change change = {m->own[0], m->own[1], before->tally->path};
		ret = svg_write_change(out, &m->merged, &tree, metric, true, &change, e);
	}
	release(m);
	free(m);
	return ret;
}
