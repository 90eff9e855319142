/* SPDX-License-Identifier: MIT */
/*
 * Maps for a few entries: hash tables that never leave their smallest size, room for 3, and B-trees that are a single leaf,
 * room for 11. A tally counts tables and nodes, not entries; how many there are is estimated from the share of maps
 * that outgrew that room, as if sizes fell off geometrically: with P(more than r) = q^r the mean is 1 / (1 - q).
 */
#include <math.h>

#include "list.h"
#include "table_layout.h"
#include "tree_layout.h"

enum limit { MIN_MAPS, MIN_PEAK_BYTES, MIN_SHARE, INLINE_BYTES };

#define TABLE_ROOM      3u  /* of 4 buckets */
#define TREE_GROUPS_MAX 32u /* pieces of code that make nodes of the same trees */

/* HashMap<K, V> without a hasher's state; SmallVec<[T; 1]> beside its T. */
#define MAP_BYTES      32u
#define SMALLVEC_BYTES 16u

struct tiny {
	uint64_t maps, at_peak; /* made; live at the peak */
	uint64_t outgrown;      /* maps that needed more room */
	uint64_t block_bytes, entry_bytes;
	uint64_t room;
};

/* P(one more entry), by the maps that outgrew their room; none is read as less than one. */
static double more_entries(const struct tiny *t)
{
	double outgrown = t->outgrown ? (double)t->outgrown : 1;
	double all = (double)(t->maps + t->outgrown);

	return pow(outgrown / all, 1.0 / (double)t->room);
}

static bool tiny_tables(struct tiny *to, const struct evidence *v, const struct group *g)
{
	struct table_family t;

	if (g->container == CONTAINER_SHARDED || !tables_read(&t, v, g) || t.sizes[0].buckets != 4)
		return false;
	/* what was made with 8 buckets has outgrown 4, or was reserved and does not count */
	bool grows = t.n > 1 && t.sizes[1].made <= t.sizes[0].made;
	*to = (struct tiny){.block_bytes = t.sizes[0].bytes,
		.entry_bytes = t.entry_bytes,
		.room = TABLE_ROOM,
		.outgrown = grows ? t.sizes[1].made : 0};
	to->maps = t.sizes[0].made - to->outgrown;
	to->at_peak = t.sizes[0].at_peak;
	return true;
}

/*
 * An inner node has 12 children at most: so many leaves may belong to trees of more than one, the others are trees of
 * their own.
 */
static bool tiny_trees(struct tiny *to, const struct tree_nodes *n)
{
	if (n->leaves <= n->inner * TREE_NODE_CHILDREN)
		return false;
	*to = (struct tiny){.block_bytes = n->leaf_bytes,
		.entry_bytes = n->entry_bytes,
		.room = TREE_NODE_ROOM,
		.maps = n->leaves - n->inner * TREE_NODE_CHILDREN,
		.outgrown = n->inner};
	to->at_peak = (uint64_t)((double)n->leaves_at_peak * (double)to->maps / (double)n->leaves);
	return true;
}

/* Few outgrow it, and it is worth something. */
static bool is_worth(const struct tiny *t, const double *limits)
{
	return (double)t->maps >= limits[MIN_MAPS] &&
	       (double)(t->at_peak * t->block_bytes) >= limits[MIN_PEAK_BYTES] &&
	       (double)t->maps >= limits[MIN_SHARE] * (double)(t->maps + t->outgrown);
}

/*
 * One entry in place of the map, in its struct: that grows by what the entry is larger, and maps of more than one entry
 * allocate as before, for 4 entries.
 */
static void save_inline(struct finding *f, const struct tiny *t)
{
	double more = more_entries(t);
	double grows = t->entry_bytes + SMALLVEC_BYTES > MAP_BYTES
			       ? (double)(t->entry_bytes + SMALLVEC_BYTES - MAP_BYTES)
			       : 0;
	double each = (double)t->block_bytes - grows - more * 4 * (double)t->entry_bytes;

	f->saving.allocs = (uint64_t)((double)t->maps * (1 - more));
	f->saving.peak_bytes = each > 0 ? (uint64_t)((double)t->at_peak * each) : 0;
}

/* A Vec of as many entries as there are. */
static void save_exact(struct finding *f, const struct tiny *t)
{
	double entries = fmin(1 / (1 - more_entries(t)), (double)t->room);
	double each = (double)t->block_bytes - entries * (double)t->entry_bytes;

	f->saving.peak_bytes = each > 0 ? (uint64_t)((double)t->at_peak * each) : 0;
}

static void report(const struct evidence *v, const double *limits, struct findings *out,
	struct finding *f, const struct tiny *t, bool tree)
{
	const struct group *g = f->group;
	struct map_names names;

	finding_count(out, f, "maps", tree ? "trees of one node" : "tables of the smallest size",
		(double)t->maps);
	finding_figure(out, f, "outgrown", tree ? "inner nodes" : "tables that grew", UNIT_COUNT,
		(double)t->outgrown);
	finding_figure(out, f, "at_peak", "live at the peak", UNIT_COUNT, (double)t->at_peak);
	finding_figure(out, f, tree ? "node_bytes" : "table_bytes", tree ? "node" : "table",
		UNIT_BYTES, (double)t->block_bytes);
	finding_figure(
		out, f, "entry_bytes", "size of an entry", UNIT_BYTES, (double)t->entry_bytes);
	finding_figure(out, f, "room", "room for entries", UNIT_COUNT, (double)t->room);
	finding_figure(out, f, "mean_entries", "of that used, estimated", UNIT_RATIO,
		fmin(1 / (1 - more_entries(t)), (double)t->room));

	if (!tree && (double)t->entry_bytes <= limits[INLINE_BYTES]) {
		f->fix = "inline";
		save_inline(f, t);
	} else {
		f->fix = tree ? "tree" : "exact";
		save_exact(f, t);
	}
	map_names_read(&names, v, g);
	finding_fill(out, f, "arguments", "%s", names.arguments);
	finding_fill(out, f, "map", "%s", names.map);
	finding_fill(out, f, "entry", "%s", names.entry);
	finding_fill(out, f, "bytes", "%llu bytes", (unsigned long long)t->entry_bytes);
	finding_fill(
		out, f, "share", "%.1f%%", 100 * (double)t->maps / (double)(t->maps + t->outgrown));
	f->confidence = g->named ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	finding_why(out, f, "%s",
		g->named ? "tables and nodes were counted, what is in them is an estimate"
		: tree   ? "blocks of two sizes, 12 addresses apart, from one piece of code: a "
			   "B-tree's nodes look so; what is in them is an estimate"
			 : "it looks like a table by alignment and size; what is in it is an "
			   "estimate");
}

struct collected {
	const struct group *groups[TREE_GROUPS_MAX];
	uint32_t n;
};

static void collect(void *arg, const struct group *g)
{
	struct collected *c = arg;

	if (c->n < TREE_GROUPS_MAX)
		c->groups[c->n++] = g;
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		struct collected more = {.n = 0};
		struct tree_nodes nodes;
		struct tiny t;
		if ((double)g->totals.allocs < limits[MIN_MAPS])
			continue;
		bool tree =
			tree_read(&nodes, v, g) || tree_read_unnamed(&nodes, v, g, collect, &more);
		if (!(tree ? tiny_trees(&t, &nodes) : tiny_tables(&t, v, g)) ||
			!is_worth(&t, limits))
			continue;
		struct finding *f = findings_add(out, g);
		for (uint32_t k = 0; k < more.n; k++)
			finding_also(out, f, more.groups[k]);
		report(v, limits, out, f, &t, tree);
	}
}

const struct pattern pattern_tiny_map = {
	.name = "tiny-map",
	.title = "map for a few entries",
	.section = "Opportunity 5",
	.naming = "which map it is, K and V",
	.limits = {[MIN_MAPS] = "min_maps",
		[MIN_PEAK_BYTES] = "min_peak_bytes",
		[MIN_SHARE] = "min_share",
		[INLINE_BYTES] = "inline_bytes"},
	.find = find,
};
