/* SPDX-License-Identifier: MIT */
/*
 * Blocks that one thread allocates and another frees, at volume: each goes back to the heap of the thread that made it,
 * across caches and locks. That a thread hands over many small blocks is exact; what each costs is the catalog's.
 */
#include "blocks.h"
#include "list.h"

enum limit { MIN_FOREIGN_FREES, MIN_SHARE, MIN_TOGETHER_SHARE, FOREIGN_NS };

static void report(
	struct findings *out, const struct evidence *v, const struct group *g, const double *limits)
{
	struct finding *f = findings_add(out, g);
	double foreign = (double)g->totals.foreign_frees, frees = (double)g->totals.frees;

	finding_count(out, f, "foreign_frees", "freed by another thread", foreign);
	finding_figure(out, f, "foreign_share", "of the frees", UNIT_SHARE, foreign / frees);
	finding_figure(out, f, "allocs", "allocations", UNIT_COUNT, (double)g->totals.allocs);
	finding_figure(out, f, "mean_bytes", "bytes each", UNIT_BYTES,
		(double)totals_metric(&g->totals, METRIC_BYTES) /
			(double)(g->totals.allocs + g->totals.reallocs));
	finding_figure(
		out, f, "lifetime_ns", "mean lifetime", UNIT_NS, (double)g->lifetime_mean_ns);

	double alive = g->totals.peak_count > 0 ? (double)g->totals.peak_count : 0;
	f->fix = alive >= limits[MIN_TOGETHER_SHARE] * frees ? "together"
		 : group_is_fixed(v, g)                      ? "objects"
							     : "buffers";
	finding_figure(out, f, "alive", "alive at the peak", UNIT_COUNT, alive);
	finding_fill(out, f, "foreign_ns", "%.0f", limits[FOREIGN_NS]);
	f->saving.time_ns = (uint64_t)(foreign * limits[FOREIGN_NS]);
	f->confidence = CONFIDENCE_MEDIUM;
	finding_why(
		out, f, "every free was seen with its thread; what it costs more is not measured");
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		double foreign = (double)g->totals.foreign_frees;
		if (foreign > 0 && foreign >= limits[MIN_FOREIGN_FREES] &&
			foreign >= limits[MIN_SHARE] * (double)g->totals.frees &&
			group_is_rust(v, g))
			report(out, v, g, limits);
	}
}

const struct pattern pattern_foreign_free = {
	.name = "foreign-free",
	.title = "freed by another thread than it was made by",
	.section = "not in the document",
	.naming = "what is handed over, and between which parts",
	.limits = {[MIN_FOREIGN_FREES] = "min_foreign_frees",
		[MIN_SHARE] = "min_share",
		[MIN_TOGETHER_SHARE] = "min_together_share",
		[FOREIGN_NS] = "foreign_ns"},
	.find = find,
};
