/* SPDX-License-Identifier: MIT */
/*
 * Vecs and Strings that start small and are grown by realloc: each step is a call, and a copy where the block moves.
 * Rests on the endings of the group: how large the buffers that started there were in the end. The fix reserves at the
 * start what most of them need; what it would waste on the others is part of the finding.
 */
#include <math.h>

#include "list.h"

enum limit { MIN_GROWS, MIN_COPIED_BYTES, MIN_GROWS_PER_CHAIN, MAX_WASTE };

/* What reserving `bytes` at the start would do. */
struct plan {
	double percentile;
	uint64_t bytes;
	uint64_t allocs, copied_bytes; /* saved */
	uint64_t waste_bytes;          /* reserved in vain, over all buffers */
};

static struct plan plan_make(const struct group *g, double percentile)
{
	struct plan p = {.percentile = percentile, .bytes = group_ending_bytes(g, percentile)};

	for (uint32_t i = 0; i < g->n_endings; i++) {
		const struct ending *x = &g->endings[i];
		if (x->bytes <= p.bytes) {
			p.waste_bytes += x->count * (p.bytes - x->bytes);
			p.copied_bytes += x->copied_bytes;
			p.allocs += x->grows;
			continue;
		}
		/* from p.bytes on they double as before */
		double left = ceil(log2((double)x->bytes / (double)(p.bytes ? p.bytes : 1)));
		double each = x->grown ? (double)x->grows / (double)x->grown : 0;
		if (each > left)
			p.allocs += (uint64_t)((each - left) * (double)x->grown + 0.5);
	}
	return p;
}

/* Bytes in the buffers as they were in the end. */
static double final_bytes(const struct group *g)
{
	double sum = 0;

	for (uint32_t i = 0; i < g->n_endings; i++)
		sum += (double)g->endings[i].count * (double)g->endings[i].bytes;
	return sum;
}

/* The most that can be reserved without wasting too much; the median when all do. */
static struct plan plan_best(const struct group *g, double max_waste)
{
	static const double percentiles[] = {99, 90, 50};
	struct plan p;

	for (unsigned i = 0; i < sizeof(percentiles) / sizeof(*percentiles); i++) {
		p = plan_make(g, percentiles[i]);
		if ((double)p.waste_bytes <= max_waste * final_bytes(g))
			break;
	}
	return p;
}

static bool is_grown(const struct group *g, const double *limits)
{
	bool kind = g->container == CONTAINER_VEC || g->container == CONTAINER_STRING ||
		    g->container == CONTAINER_OTHER || g->container == CONTAINER_UNKNOWN;

	return kind && g->all.grown &&
	       ((double)g->all.grows >= limits[MIN_GROWS] ||
		       (double)g->all.copied_bytes >= limits[MIN_COPIED_BYTES]) &&
	       (double)g->all.grows >= limits[MIN_GROWS_PER_CHAIN] * (double)g->all.count;
}

static void judge(struct findings *out, struct finding *f, const struct group *g)
{
	if (!g->named) {
		f->confidence = CONFIDENCE_MEDIUM;
		finding_why(out, f, "the growth is exact, what grows there has no name");
	} else if (g->container == CONTAINER_OTHER) {
		f->confidence = CONFIDENCE_LOW;
		finding_why(out, f, "no container's name in the stack: it need not be a Vec");
	} else {
		f->confidence = CONFIDENCE_HIGH;
		finding_why(
			out, f, "every buffer was followed from its first allocation to its end");
	}
}

/* Of all buffers, those live at the peak. */
static double share_at_peak(const struct group *g)
{
	double share = (double)g->totals.peak_count / (double)g->all.count;

	return share < 1 ? share : 1;
}

static void report(struct findings *out, const struct group *g, const struct plan *p)
{
	struct finding *f = findings_add(out, g);
	double n = ceil((double)p->bytes / (g->element_bytes ? g->element_bytes : 1));

	finding_count(out, f, "buffers", "buffers", (double)g->all.count);
	finding_figure(out, f, "grown", "of them grown", UNIT_COUNT, (double)g->all.grown);
	finding_figure(out, f, "grows", "times grown", UNIT_COUNT, (double)g->all.grows);
	finding_figure(out, f, "grows_per_chain", "each, of the grown", UNIT_RATIO,
		(double)g->all.grows / (double)g->all.grown);
	finding_figure(
		out, f, "copied_bytes", "bytes copied", UNIT_BYTES, (double)g->all.copied_bytes);
	finding_figure(out, f, "final_p50_bytes", "final size, median", UNIT_BYTES,
		(double)group_ending_bytes(g, 50));
	finding_figure(
		out, f, "final_p90_bytes", "90%", UNIT_BYTES, (double)group_ending_bytes(g, 90));
	finding_figure(
		out, f, "final_p99_bytes", "99%", UNIT_BYTES, (double)group_ending_bytes(g, 99));
	if (g->element_bytes)
		finding_figure(out, f, "element_bytes", "size of T", UNIT_BYTES, g->element_bytes);
	finding_figure(out, f, "capacity_bytes", "to reserve", UNIT_BYTES, (double)p->bytes);
	finding_figure(
		out, f, "waste_bytes", "of that in vain", UNIT_BYTES, (double)p->waste_bytes);
	if (p->waste_bytes && g->totals.peak_count > 0)
		finding_figure(out, f, "waste_peak_bytes", "at the peak", UNIT_BYTES,
			(double)p->waste_bytes * share_at_peak(g));

	f->fix = !g->element_bytes                  ? "bytes"
		 : g->container == CONTAINER_STRING ? "text"
		 : g->all.count == 1                ? "exact"
						    : "percentile";
	finding_fill(out, f, "n", "%.0f", n);
	finding_fill(out, f, "percentile", "%.0f", p->percentile);
	finding_fill(out, f, "waste", "%llu bytes", (unsigned long long)p->waste_bytes);
	f->saving.allocs = f->saving.calls = p->allocs; /* reallocs */
	f->saving.copied_bytes = p->copied_bytes;
	judge(out, f, g);
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		if (!is_grown(g, limits))
			continue;
		struct plan p = plan_best(g, limits[MAX_WASTE]);
		if (p.allocs || p.copied_bytes)
			report(out, g, &p);
	}
}

const struct pattern pattern_vec_regrowth = {
	.name = "vec-regrowth",
	.title = "buffer grown step by step",
	.section = "Hot path 3; opportunity 4",
	.naming = "which Vec or String it is, T, and n in elements",
	.limits = {[MIN_GROWS] = "min_grows",
		[MIN_COPIED_BYTES] = "min_copied_bytes",
		[MIN_GROWS_PER_CHAIN] = "min_grows_per_chain",
		[MAX_WASTE] = "max_waste"},
	.find = find,
};
