/* SPDX-License-Identifier: MIT */
/*
 * Memory that is paid for and not used. Two kinds:
 *  - the end of a block that nobody ever wrote to, by samples: fresh blocks were filled with a pattern and looked at
 *    when they were freed. A Vec reserved too large, a B-tree's node with few entries, a struct of rare fields.
 *  - what malloc adds to objects of a fixed size that just miss the next smaller block, by sizes alone.
 */
#include <math.h>

#include "blocks.h"
#include "list.h"
#include "table_layout.h"

enum limit {
	MIN_SAVING_BYTES,
	MIN_FILLED_BYTES,
	MIN_UNWRITTEN_SHARE,
	MAX_SHRINK_SHARE,
	MIN_BLOCK_SHARE
};

/* glibc's usable sizes are 24, 40, 56 ... */
#define STEP_BYTES  16u
#define FIRST_BYTES 24u

static const char *empty_fix(const struct evidence *v, const struct group *g)
{
	switch (g->container) {
	case CONTAINER_BTREE:
		return "node";
	case CONTAINER_BOX:
	case CONTAINER_ARC:
		return "rare";
	case CONTAINER_VEC:
	case CONTAINER_STRING:
		return group_calls(v, g, "::grow_one") || group_calls(v, g, "::grow_amortized")
			       ? "grown"
			       : "capacity";
	case CONTAINER_TABLE:
	case CONTAINER_SHARDED:
		return "capacity";
	default:
		return g->totals.reallocs ? "grown" : group_is_fixed(v, g) ? "either" : "capacity";
	}
}

static void find_empty(
	const struct evidence *v, const struct group *g, const double *limits, struct findings *out)
{
	double filled = (double)g->filled_bytes, unwritten = (double)g->unwritten_bytes;
	double peak = g->totals.peak_bytes > 0 ? (double)g->totals.peak_bytes : 0;
	double share = filled > 0 && unwritten <= filled ? unwritten / filled : 0;

	if (!(filled >= limits[MIN_FILLED_BYTES]) || !(share >= limits[MIN_UNWRITTEN_SHARE]) ||
		!(share * peak >= limits[MIN_SAVING_BYTES]) || !group_is_rust(v, g))
		return;
	struct finding *f = findings_add(out, g);
	double requests = (double)(g->totals.allocs + g->totals.reallocs);
	double mean = (double)totals_metric(&g->totals, METRIC_BYTES) / requests;

	finding_count(out, f, "blocks", "blocks", requests);
	finding_figure(out, f, "block_bytes", "bytes each", UNIT_BYTES, mean);
	finding_figure(
		out, f, "filled_bytes", "watched, by sample", UNIT_BYTES, (double)g->filled_bytes);
	finding_figure(out, f, "unwritten_share", "never written", UNIT_SHARE, share);
	finding_figure(
		out, f, "used_bytes", "written of each, mean", UNIT_BYTES, (1 - share) * mean);
	finding_figure(out, f, "peak_bytes", "alive at the peak", UNIT_BYTES, peak);
	finding_fill(out, f, "unwritten_percent", "%.0f", 100 * share);
	bool elements = g->element_bytes && g->container != CONTAINER_STRING;
	double n = (1 - share) * mean / (elements ? g->element_bytes : 1);
	finding_fill(out, f, "n", "%.0f", ceil(n));
	finding_fill(out, f, "unit", "%s%s", elements ? "element" : "byte", n > 1 ? "s" : "");
	f->fix = empty_fix(v, g);
	f->saving.peak_bytes = (uint64_t)(share * peak);
	f->confidence = g->named ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	finding_why(out, f,
		"fresh blocks were marked and looked at when freed; those that live on were not");
}

/* Bytes by which each object would have to shrink for a smaller block; 0: none, or no glibc. */
static double shrink_bytes(const struct evidence *v, const struct group *g)
{
	const struct tally *t = v->profile->tally;

	if (g->min_bytes != g->max_bytes || !g->totals.allocs || !group_is_fixed(v, g) ||
		g->totals.usable_bytes % g->totals.allocs)
		return 0;
	for (uint32_t i = 0; i < g->n_buckets; i++)
		if (t->buckets[v->bucket_order[g->first_bucket + i]].source != HT_SOURCE_LIBC)
			return 0;
	uint64_t usable = g->totals.usable_bytes / g->totals.allocs;
	uint64_t smaller = usable - STEP_BYTES;
	if (usable <= FIRST_BYTES || usable % STEP_BYTES != FIRST_BYTES % STEP_BYTES ||
		g->max_bytes <= smaller)
		return 0;
	return (double)(g->max_bytes - smaller);
}

static void find_padded(
	const struct evidence *v, const struct group *g, const double *limits, struct findings *out)
{
	bool kind = g->container == CONTAINER_BOX || g->container == CONTAINER_ARC ||
		    g->container == CONTAINER_OTHER || g->container == CONTAINER_UNKNOWN;
	double objects = g->totals.peak_count > 0 ? (double)g->totals.peak_count : 0;
	double saving = objects * STEP_BYTES;

	if (!kind || !(saving >= limits[MIN_SAVING_BYTES]))
		return;
	double shrink = shrink_bytes(v, g), bytes = (double)g->max_bytes;
	if (!(shrink > 0) || shrink > limits[MAX_SHRINK_SHARE] * bytes || !group_is_rust(v, g))
		return;
	double usable = (double)g->totals.usable_bytes / (double)g->totals.allocs;
	if (STEP_BYTES / usable < limits[MIN_BLOCK_SHARE])
		return;
	struct finding *f = findings_add(out, g);
	finding_count(out, f, "blocks", "objects", (double)g->totals.allocs);
	finding_figure(out, f, "alive", "alive at the peak", UNIT_COUNT, objects);
	finding_figure(out, f, "object_bytes", "bytes each", UNIT_BYTES, bytes);
	finding_figure(out, f, "usable_bytes", "malloc gives", UNIT_BYTES, usable);
	finding_figure(out, f, "slack_bytes", "of that unused, over the run", UNIT_BYTES,
		(double)g->slack_bytes);
	finding_figure(out, f, "shrink_bytes", "too large by", UNIT_BYTES, shrink);
	finding_fill(out, f, "shrink", "%.0f", shrink);
	finding_fill(out, f, "smaller", "%.0f", bytes - shrink);
	finding_fill(out, f, "bytes", "%.0f", bytes);
	f->fix = "shrink";
	f->saving.peak_bytes = (uint64_t)saving;
	f->confidence = g->container <= CONTAINER_OTHER ? CONFIDENCE_LOW : CONFIDENCE_HIGH;
	if (g->container <= CONTAINER_OTHER)
		finding_why(out, f, "sizes are exact; that it is one type is only likely");
	else
		finding_why(out, f, "sizes are exact and the type is in the names");
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		find_empty(v, &v->groups[i], limits, out);
		find_padded(v, &v->groups[i], limits, out);
	}
}

const struct pattern pattern_padded_or_empty = {
	.name = "padded-or-empty",
	.title = "memory paid for and not used",
	.section = "Opportunity 6; reducing peak memory 3",
	.naming = "whether it is a buffer or a struct, and of what type",
	.limits = {[MIN_SAVING_BYTES] = "min_saving_bytes",
		[MIN_FILLED_BYTES] = "min_filled_bytes",
		[MIN_UNWRITTEN_SHARE] = "min_unwritten_share",
		[MAX_SHRINK_SHARE] = "max_shrink_share",
		[MIN_BLOCK_SHARE] = "min_block_share"},
	.find = find,
};
