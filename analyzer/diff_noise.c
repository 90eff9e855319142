/* SPDX-License-Identifier: MIT */
/*
 * What two runs of one build differ by, and so what is no change. The figures were measured on six runs each of the
 * examples' small and full rspack builds (538 and 13,543 modules), debug and release bindings; heaptally-diff(1) has
 * them. A row's noise is the sum of
 *  - a floor, a share of the whole tally's figure: work that threads split differently from run to run;
 *  - what its own blocks scatter by if each came or went independently, the root of the sum of their squared sizes:
 *    much for a few doubling tables, next to nothing for a hundred thousand nodes. At most a part of the row itself;
 *  - for the JavaScript engine's rows a part in any case: it compiles and collects by time; so for the loader's, which
 *    keeps something for each thread.
 */
#include <math.h>
#include <string.h>

#include "diff.h"

/* Floors, as shares of the whole: about twice the largest that was measured beyond the other terms. */
static const double floors[METRIC_N] = {
	[METRIC_PEAK] = 0.008,
	[METRIC_BYTES] = 0.003,
	[METRIC_COUNT] = 0.0025,
	[METRIC_TEMPORARY] = 0.012,
	[METRIC_LEAKED] = 0.03,
};
/* Below these no share of a tiny program means anything: a thread or a buffer of stdio. */
static const double least[METRIC_N] = {
	[METRIC_PEAK] = 4096,
	[METRIC_BYTES] = 8192,
	[METRIC_COUNT] = 32,
	[METRIC_TEMPORARY] = 32,
	[METRIC_LEAKED] = 4096,
};
#define SCATTER            2.0
#define SCATTER_CAP        0.4
#define UNSTEADY_LOADER    0.9
#define UNSTEADY_COLLECTOR 0.6
#define UNSTEADY_ENGINE    0.1
#define EXCHANGED          0.5 /* of what is held more at the peak, or less: the lesser of the two */
#define BYTES_VARY         0.02
/* more of the floor for a peak that requests do not explain: its moment varies */
#define UNEXPLAINED 0.4

/* The lines on top, as shares of the greater side: about twice the largest that was measured. */
static const double line_noise[DIFF_LINES] = {
	[DIFF_RSS] = 0.10, /* what an allocator gives back, and when */
	[DIFF_HEAP] = 0.06,
	[DIFF_OVERHEAD] = 0.40, /* at the peak: the moment counts */
	[DIFF_SLACK] = 0.06,
};

/* n blocks of bytes in all. */
static double square(double bytes, double n)
{
	return n > 0 ? bytes * bytes / n : 0;
}

void diff_part_add(struct diff_part *to, const struct totals *b)
{
	double n = (double)totals_metric(b, METRIC_COUNT);

	totals_add(&to->totals, b);
	to->squares[METRIC_PEAK] +=
		square((double)at_least_zero(b->peak_bytes), (double)at_least_zero(b->peak_count));
	to->squares[METRIC_BYTES] += square((double)totals_metric(b, METRIC_BYTES), n);
	to->squares[METRIC_COUNT] += n;
	to->squares[METRIC_TEMPORARY] += (double)b->temporary;
	to->squares[METRIC_LEAKED] +=
		square((double)at_least_zero(b->live_bytes), (double)at_least_zero(b->live_count));
}

void diff_part_merge(struct diff_part *to, const struct diff_part *from)
{
	totals_add(&to->totals, &from->totals);
	for (int m = 0; m < METRIC_N; m++)
		to->squares[m] += from->squares[m];
}

double diff_unsteady(const char *crate, bool engine)
{
	/* what the loader keeps for each thread: as much as threads met modules */
	if (!strncmp(crate, "ld-linux", 8) || !strncmp(crate, "ld-musl", 7))
		return UNSTEADY_LOADER;
	if (!engine)
		return 0;
	/* V8's marking work lists, and the collector of the host's C++ objects */
	return !strcmp(crate, "heap") || !strcmp(crate, "cppgc") ? UNSTEADY_COLLECTOR
								 : UNSTEADY_ENGINE;
}

static double change(const struct totals *b, const struct totals *a, enum profile_metric m)
{
	return (double)totals_metric(a, m) - (double)totals_metric(b, m);
}

/* Is another amount at the peak due to another amount requested or left, of its order and beyond what that varies by? */
static bool flow_explains(const struct totals *b, const struct totals *a)
{
	double peak = change(b, a, METRIC_PEAK), sign = peak < 0 ? -1 : 1;
	double most = fmax(
		(double)totals_metric(b, METRIC_BYTES), (double)totals_metric(a, METRIC_BYTES));

	return change(b, a, METRIC_BYTES) * sign >= fmax(fabs(peak) / 2, BYTES_VARY * most) ||
	       change(b, a, METRIC_LEAKED) * sign >= fabs(peak) / 2;
}

void diff_row_judge(struct diff_row *row, const struct totals *total_before,
	const struct totals *total_after, double threshold)
{
	for (int m = 0; m < METRIC_N; m++) {
		enum profile_metric metric = (enum profile_metric)m;
		double b = (double)totals_metric(&row->before.totals, metric);
		double a = (double)totals_metric(&row->after.totals, metric);
		double whole = fmax((double)totals_metric(total_before, metric),
			(double)totals_metric(total_after, metric));
		double scatter =
			SCATTER * sqrt(fmax(row->before.squares[m], row->after.squares[m]));
		double noise =
			fmax(floors[m] * whole, least[m]) + fmin(scatter, SCATTER_CAP * fmax(a, b));
		if (metric == METRIC_PEAK &&
			!flow_explains(&row->before.totals, &row->after.totals))
			noise += UNEXPLAINED * floors[m] * whole;
		noise += row->unsteady * fmax(a, b);
		double differs = fabs(a - b);
		/* with a threshold of 0 every difference counts */
		row->significance[m] = !differs        ? 0
				       : threshold > 0 ? differs / (noise * threshold)
						       : INFINITY;
	}
}

void diff_moment_add(struct diff *d, const struct totals *before, const struct totals *after)
{
	double peak = change(before, after, METRIC_PEAK);

	if (!flow_explains(before, after))
		*(peak > 0 ? &d->peak_more : &d->peak_less) += fabs(peak);
}

bool diff_row_elsewhere(const struct diff *d, const struct diff_row *row)
{
	return fmin(d->peak_more, d->peak_less) > EXCHANGED * fmax(d->peak_more, d->peak_less) &&
	       !flow_explains(&row->before.totals, &row->after.totals);
}

void diff_line_judge(struct diff_line *line, enum diff_line_index which, double threshold)
{
	double b = (double)line->before, a = (double)line->after;
	double noise = line_noise[which] * fmax(a, b);

	line->changed = line->known && fabs(a - b) > noise * threshold;
}
