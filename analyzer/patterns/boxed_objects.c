/* SPDX-License-Identifier: MIT */
/*
 * Many small objects of fixed size, each in a heap block of its own, most of them alive together: a graph's nodes. An
 * arena makes the same objects without a call, a header and rounding for each. Rests on sizes, counts and what lived at
 * the peak; how far they are scattered over pages, by a sample of those, is told beside it.
 */
#include "blocks.h"
#include "list.h"

enum limit { MIN_OBJECTS, MIN_ALIVE_SHARE, MAX_OBJECT_BYTES, ARENA_CHUNK_BYTES, MIN_ARENA_SHARE };

static uint64_t peak_count(const struct group *g)
{
	return g->totals.peak_count > 0 ? (uint64_t)g->totals.peak_count : 0;
}

static bool is_boxed(const struct evidence *v, const struct group *g, const double *limits)
{
	bool kind = g->container == CONTAINER_BOX || g->container == CONTAINER_ARC ||
		    g->container == CONTAINER_OTHER || g->container == CONTAINER_UNKNOWN;

	return kind && (double)peak_count(g) >= limits[MIN_OBJECTS] &&
	       (double)peak_count(g) >= limits[MIN_ALIVE_SHARE] * (double)g->totals.allocs &&
	       g->min_bytes == g->max_bytes && (double)g->max_bytes <= limits[MAX_OBJECT_BYTES] &&
	       group_is_fixed(v, g) && group_is_rust(v, g);
}

static void judge(struct findings *out, struct finding *f, const struct group *g, double alive)
{
	bool boxed = g->container == CONTAINER_BOX || g->container == CONTAINER_ARC;

	if (!g->named) {
		f->confidence = CONFIDENCE_LOW;
		finding_why(out, f,
			"sizes and lives are exact, but without names these may be a map's nodes "
			"or buffers "
			"of a constant capacity");
	} else if (!boxed) {
		f->confidence = CONFIDENCE_MEDIUM;
		finding_why(
			out, f, "sizes and lives are exact; that it is a Box is not in the names");
	} else {
		f->confidence = alive >= 0.9 ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
		finding_why(out, f,
			"a Box by name, of fixed size, and %.0f%% of them alive together",
			100 * alive);
	}
}

static void report(
	struct findings *out, const struct evidence *v, const struct group *g, const double *limits)
{
	struct finding *f = findings_add(out, g);
	struct overhead o = group_overhead(v, g);
	double objects = (double)g->totals.allocs, alive = (double)peak_count(g) / objects;
	double bytes = (double)g->totals.alloc_bytes;

	finding_count(out, f, "objects", "objects", objects);
	finding_figure(out, f, "object_bytes", "each", UNIT_BYTES, (double)g->max_bytes);
	finding_figure(out, f, "alive_share", "alive at the peak", UNIT_SHARE, alive);
	finding_figure(
		out, f, "freed", "freed before the end", UNIT_COUNT, (double)g->totals.frees);
	finding_figure(out, f, "slack_bytes", "rounding at the peak", UNIT_BYTES, o.slack_bytes);
	finding_figure(out, f, "header_bytes", "headers", UNIT_BYTES, o.header_bytes);
	double scatter = group_scatter(v, g);
	if (scatter > 0)
		finding_figure(out, f, "scatter", "pages they lie on for one that they fill",
			UNIT_RATIO, scatter);
	if (g->totals.timed_calls)
		finding_figure(out, f, "call_ns", "a call of the allocator, timed", UNIT_NS,
			(double)g->totals.timed_ticks / (double)g->totals.timed_calls *
				evidence_tick_ns(v->profile->tally));

	f->fix = g->container == CONTAINER_ARC      ? "index"
		 : alive >= limits[MIN_ARENA_SHARE] ? "arena"
						    : "slab";
	finding_fill(out, f, "n", "%llu", (unsigned long long)peak_count(g));
	finding_fill(out, f, "added", "%s",
		o.header_bytes > 0 ? "glibc's header of 8 bytes and its rounding go"
				   : "the allocator's rounding, as far as it is known, goes");
	f->saving.peak_bytes = (uint64_t)(o.slack_bytes + o.header_bytes + 0.5);
	double chunks = 1 + bytes / limits[ARENA_CHUNK_BYTES];
	f->saving.allocs = objects > chunks ? (uint64_t)(objects - chunks) : 0;
	judge(out, f, g, alive);
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++)
		if (is_boxed(v, &v->groups[i], limits))
			report(out, v, &v->groups[i], limits);
}

const struct pattern pattern_boxed_objects = {
	.name = "boxed-objects",
	.title = "a heap block for each small object",
	.section = "Hot path 1; opportunity 1; reducing peak memory 2",
	.naming = "whether it is a Box, and of what type",
	.limits = {[MIN_OBJECTS] = "min_objects",
		[MIN_ALIVE_SHARE] = "min_alive_share",
		[MAX_OBJECT_BYTES] = "max_object_bytes",
		[ARENA_CHUNK_BYTES] = "arena_chunk_bytes",
		[MIN_ARENA_SHARE] = "min_arena_share"},
	.find = find,
};
