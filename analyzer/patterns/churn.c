/* SPDX-License-Identifier: MIT */
/*
 * Blocks made over and over that hardly live: temporary ones, freed before their thread allocates anything else, and
 * buffers that are all gone soon and never many at a time. The next call could have the last one's. Values of Clone are
 * left to clone-storm.
 */
#include <math.h>

#include "list.h"
#include "table_layout.h"

enum limit { MIN_TEMPORARY, MIN_BUFFERS, MIN_BYTES, MAX_LIFETIME_US, MAX_ALIVE, STACK_BYTES };

static bool is_buffer(const struct group *g)
{
	return g->container == CONTAINER_VEC || g->container == CONTAINER_STRING ||
	       g->container == CONTAINER_TABLE;
}

/* Only what this group allocated itself: buffers that arrive by realloc began elsewhere. */
static uint64_t temporary(const struct group *g)
{
	return g->totals.temporary < g->totals.allocs ? g->totals.temporary : g->totals.allocs;
}

static bool is_temporary(const struct group *g, const double *limits)
{
	return (double)temporary(g) >= limits[MIN_TEMPORARY] &&
	       2 * temporary(g) >= g->totals.allocs;
}

/* Large enough to matter and short-lived: a buffer made for each call, module, object. */
static bool is_rebuilt(const struct group *g, const double *limits)
{
	int64_t alive = g->totals.peak_count;

	return is_buffer(g) && (double)g->totals.allocs >= limits[MIN_BUFFERS] &&
	       (double)g->totals.alloc_bytes >= limits[MIN_BYTES] &&
	       g->totals.frees >= g->totals.allocs && g->lifetime_mean_ns &&
	       (double)g->lifetime_mean_ns <= 1e3 * limits[MAX_LIFETIME_US] &&
	       (double)alive <= limits[MAX_ALIVE] * (double)g->totals.allocs;
}

/* Of code in C and C++ no Rust can be advised. */
static bool is_foreign(const struct evidence *v, const struct group *g)
{
	struct rust_name name;

	rust_name_read(&name, v->profile->functions[g->blame].name);
	return g->named && !name.rust;
}

static const char *fix_of(const struct group *g, const double *limits)
{
	if (g->container == CONTAINER_TABLE)
		return "table";
	if (g->container == CONTAINER_VEC && g->element_bytes &&
		(double)g->max_bytes <= limits[STACK_BYTES])
		return "stack";
	if (is_buffer(g))
		return "buffer";
	return g->named ? "object" : "unnamed";
}

static void report(const struct evidence *v, const double *limits, struct findings *out,
	const struct group *g, uint64_t saved)
{
	struct finding *f = findings_add(out, g);
	struct map_names names;

	finding_count(out, f, "allocs", "allocations", (double)g->totals.allocs);
	finding_figure(out, f, "temporary", "of them temporary", UNIT_COUNT, (double)temporary(g));
	finding_figure(out, f, "bytes", "bytes in all", UNIT_BYTES, (double)g->totals.alloc_bytes);
	finding_figure(out, f, "p50_bytes", "size, median", UNIT_BYTES, (double)g->p50_bytes);
	finding_figure(out, f, "max_bytes", "largest", UNIT_BYTES, (double)g->max_bytes);
	finding_figure(
		out, f, "lifetime_ns", "lifetime, mean", UNIT_NS, (double)g->lifetime_mean_ns);

	f->fix = fix_of(g, limits);
	map_names_read(&names, v, g);
	finding_fill(out, f, "arguments", "%s", names.arguments);
	finding_fill(out, f, "map", "%s", names.map);
	finding_fill(out, f, "n", "%.0f",
		ceil((double)g->max_bytes / (g->element_bytes ? g->element_bytes : 1)));
	finding_fill(out, f, "bytes", "%llu bytes", (unsigned long long)g->max_bytes);
	f->saving.allocs = saved;
	if (is_temporary(g, limits)) {
		f->confidence = g->named ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
		finding_why(out, f,
			"each was freed before its thread allocated again: nothing kept it");
	} else {
		f->confidence = g->named ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
		finding_why(out, f, "all were freed soon, but others were made while they lived");
	}
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		uint64_t saved = temporary(g);
		if (g->clone != PROFILE_NONE || is_foreign(v, g))
			continue;
		if (is_rebuilt(g, limits)) {
			int64_t alive = g->totals.peak_count;
			saved = g->totals.allocs - (alive > 0 ? (uint64_t)alive : 0);
		} else if (!is_temporary(g, limits)) {
			continue;
		}
		report(v, limits, out, g, saved);
	}
}

const struct pattern pattern_churn = {
	.name = "churn",
	.title = "buffers made for a moment, over and over",
	.section = "Impact on performance",
	.naming = "what is made there, and for what",
	.limits = {[MIN_TEMPORARY] = "min_temporary",
		[MIN_BUFFERS] = "min_buffers",
		[MIN_BYTES] = "min_bytes",
		[MAX_LIFETIME_US] = "max_lifetime_us",
		[MAX_ALIVE] = "max_alive",
		[STACK_BYTES] = "stack_bytes"},
	.find = find,
};
