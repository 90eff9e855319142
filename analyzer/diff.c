/* SPDX-License-Identifier: MIT */
/* From two profiles to the rows and sentences of a diff: see diff.h. */
#include "diff.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "views/figures.h"
#include "views/report_model.h"

#define ADOPTED_DIFFERS 0.2 /* of the bytes: another allocator serves them */

static const char *const change_names[] = {"grew", "shrank", "appeared", "vanished"};

const char *diff_change_name(enum diff_change c)
{
	return change_names[c];
}

__attribute__((format(printf, 2, 3))) static int add_note(struct diff *d, const char *format, ...)
{
	char **grown = realloc(d->notes, (d->n_notes + 1) * sizeof(*grown));
	va_list ap;

	if (!grown)
		return -1;
	d->notes = grown;
	va_start(ap, format);
	int n = vasprintf(&grown[d->n_notes], format, ap);
	va_end(ap);
	d->n_notes += n >= 0;
	return n < 0 ? -1 : 0;
}

/* ---- the process as a whole ---- */

/* The share of the bytes that adopted allocators served. */
static double adopted_share(const struct profile *p)
{
	uint64_t adopted = 0, all = totals_metric(&p->total, METRIC_BYTES);

	for (uint32_t b = 0; b < p->tally->n_buckets; b++)
		if (p->tally->buckets[b].source == HT_SOURCE_ADOPTED)
			adopted += totals_metric(&p->buckets[b].totals, METRIC_BYTES);
	return all ? (double)adopted / (double)all : 0;
}

static void make_lines(struct diff *d, const struct report *b, const struct report *a)
{
	bool points = b->memory.n_points && a->memory.n_points;
	struct diff_line lines[DIFF_LINES] = {
		[DIFF_RSS] = {"rss", "highest resident memory", b->memory.max_rss_bytes,
			a->memory.max_rss_bytes, points, false},
		[DIFF_HEAP] = {"heap", "live bytes at the peak", b->summary.peak_bytes,
			a->summary.peak_bytes, true, false},
		[DIFF_OVERHEAD] = {"overhead", "RSS beyond the heap at the peak",
			b->memory.beyond_heap_bytes, a->memory.beyond_heap_bytes, points, false},
		[DIFF_SLACK] = {"slack", "given by the allocator beyond requests, over the run",
			b->summary.slack_bytes, a->summary.slack_bytes, true, false},
	};

	memcpy(d->lines, lines, sizeof(lines));
	for (int i = 0; i < DIFF_LINES; i++)
		diff_line_judge(&d->lines[i], (enum diff_line_index)i, d->threshold);
}

static const char *went(const struct diff_line *l)
{
	return l->after > l->before ? "rose" : "fell";
}

static uint64_t by_how_much(const struct diff_line *l)
{
	return l->after > l->before ? l->after - l->before : l->before - l->after;
}

/* Is any of the rows a change of what is live? */
static bool heap_rows(const struct diff *d)
{
	for (uint32_t i = 0; i < d->n_rows; i++)
		if (d->rows[i].significance[METRIC_PEAK] > 1)
			return true;
	return false;
}

static int make_verdict(struct diff *d, const struct profile *before, const struct profile *after)
{
	const struct diff_line *rss = &d->lines[DIFF_RSS], *heap = &d->lines[DIFF_HEAP],
			       *slack = &d->lines[DIFF_SLACK];
	bool other = fabs(adopted_share(before) - adopted_share(after)) > ADOPTED_DIFFERS;
	bool same_heap = !heap->changed && !heap_rows(d);
	char a[FIGURE_SIZE], b[FIGURE_SIZE];
	int n = 0;

	if (rss->changed && same_heap)
		n = asprintf(&d->verdict,
			"RSS %s by %s while the live heap did not change: what differs is what the "
			"allocator "
			"and the rest of the process keep, not what the program holds.%s",
			went(rss), figure_bytes(a, by_how_much(rss)),
			other ? " Another allocator serves it." : "");
	else if (rss->known && !rss->changed && heap->changed)
		n = asprintf(&d->verdict, "The live heap %s by %s while RSS did not change.",
			went(heap), figure_bytes(a, by_how_much(heap)));
	else if (rss->changed && heap->changed &&
		 (rss->after > rss->before) != (heap->after > heap->before))
		n = asprintf(&d->verdict, "RSS %s by %s while the live heap %s by %s.", went(rss),
			figure_bytes(a, by_how_much(rss)), went(heap),
			figure_bytes(b, by_how_much(heap)));
	else if (slack->changed && same_heap)
		n = asprintf(&d->verdict,
			"Slack %s by %s while the live heap did not change: the allocator rounds "
			"otherwise.%s",
			went(slack), figure_bytes(a, by_how_much(slack)),
			other ? " Another allocator serves it." : "");
	if (n < 0)
		d->verdict = NULL;
	return n < 0 ? -1 : 0;
}

static const struct report_module *find_module(const struct report *r, const char *name)
{
	for (uint32_t i = 0; i < r->n_modules; i++)
		if (!strcmp(r->modules[i].name, name))
			return &r->modules[i];
	return NULL;
}

/* What was seen on one side only is no change of the program. */
static int note_coverage(
	struct diff *d, const struct report *x, const struct report *y, const char *which)
{
	for (uint32_t i = 0; i < x->n_modules; i++) {
		const struct report_module *m = &x->modules[i], *o = find_module(y, m->name);
		if (m->unseen && o && !o->unseen &&
			add_note(d,
				"The allocations of %s were not seen %s: its rows are no change.",
				m->name, which))
			return -1;
	}
	return 0;
}

static int make_notes(struct diff *d, const struct report *b, const struct report *a)
{
	if (strcmp(b->summary.program, a->summary.program) &&
		add_note(d, "The programs differ: %s before, %s after.", b->summary.program,
			a->summary.program))
		return -1;
	if (b->summary.end != a->summary.end &&
		add_note(d, "The process %s was killed or still runs: one side is not whole.",
			b->summary.end == REPORT_CUT ? "before" : "after"))
		return -1;
	if (b->summary.sample_bytes != a->summary.sample_bytes &&
		add_note(d, "The two were not sampled alike: small changes mean nothing."))
		return -1;
	return note_coverage(d, b, a, "before") || note_coverage(d, a, b, "after") ? -1 : 0;
}

/* ---- rows ---- */

static uint64_t value(const struct diff_part *p, enum profile_metric m)
{
	return totals_metric(&p->totals, m);
}

static bool counts(
	const struct diff *d, const struct diff_row *r, enum profile_metric m, bool elsewhere)
{
	if (d->by == DIFF_BY_ANY ? m > METRIC_COUNT : m != d->by)
		return false;
	return r->significance[m] > 1 && !(m == METRIC_PEAK && elsewhere);
}

/* Ranks a row by the metric of which its change is the greatest share. False: it is below the threshold. */
static bool row_rank(const struct diff *d, struct diff_row *r, bool elsewhere)
{
	r->share = -1;
	for (int i = 0; i < METRIC_N; i++) {
		enum profile_metric m = (enum profile_metric)i;
		uint64_t b = value(&r->before, m), a = value(&r->after, m);
		double whole = fmax((double)totals_metric(&d->total_before, m),
			(double)totals_metric(&d->total_after, m));
		double share = whole > 0 ? fabs((double)a - (double)b) / whole : 0;
		if (!counts(d, r, m, elsewhere) || share <= r->share)
			continue;
		r->share = share;
		r->metric = m;
		r->change = !b      ? DIFF_APPEARED
			    : !a    ? DIFF_VANISHED
			    : a > b ? DIFF_GREW
				    : DIFF_SHRANK;
	}
	/* nothing at the peak, or nothing temporary, is not gone */
	if (r->change == DIFF_APPEARED && value(&r->before, METRIC_COUNT))
		r->change = DIFF_GREW;
	if (r->change == DIFF_VANISHED && value(&r->after, METRIC_COUNT))
		r->change = DIFF_SHRANK;
	return r->share >= 0;
}

static int by_share(const void *a, const void *b)
{
	const struct diff_row *x = a, *y = b;
	bool engine_x = x->engine, engine_y = y->engine;

	if (engine_x != engine_y) /* what JavaScript does comes after what this is about */
		return engine_x ? 1 : -1;
	if (x->share != y->share)
		return x->share > y->share ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void row_release(struct diff_row *r)
{
	free(r->name);
	free(r->brief);
	free(r->was);
	free(r->crate);
	free(r->module);
}

/* Judges all rows and keeps those that changed. */
static void make_rows(struct diff *d)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < d->n_rows; i++) {
		struct diff_row *r = &d->rows[i];
		diff_row_judge(r, &d->total_before, &d->total_after, d->threshold);
		bool elsewhere = d->threshold > 0 && diff_row_elsewhere(d, r);
		d->n_matched += !r->sizes && r->before.totals.allocs && r->after.totals.allocs;
		d->n_moved += r->was != NULL;
		if (row_rank(d, r, elsewhere)) {
			d->rows[kept++] = *r;
			continue;
		}
		if (elsewhere && r->significance[METRIC_PEAK] > 1) {
			uint64_t b = value(&r->before, METRIC_PEAK),
				 a = value(&r->after, METRIC_PEAK);
			d->n_elsewhere++;
			d->elsewhere_bytes += (a > b ? a - b : b - a) / 2;
		}
		d->n_below++;
		totals_add(&d->below_before, &r->before.totals);
		totals_add(&d->below_after, &r->after.totals);
		row_release(r);
	}
	d->n_rows = kept;
	if (kept)
		qsort(d->rows, kept, sizeof(*d->rows), by_share);
}

int diff_init(struct diff *d, const struct profile *before, const struct profile *after,
	enum profile_metric by, double threshold, struct error *e)
{
	struct report b, a;
	int ret = -1;

	*d = (struct diff){.by = by,
		.threshold = threshold,
		.total_before = before->total,
		.total_after = after->total,
		.before = utf8_clean(before->tally->path, 4096),
		.after = utf8_clean(after->tally->path, 4096)};
	if (report_init(&b, before, METRIC_PEAK, 1, e)) {
		diff_release(d);
		return -1;
	}
	if (report_init(&a, after, METRIC_PEAK, 1, e)) {
		report_release(&b);
		diff_release(d);
		return -1;
	}
	if (d->before && d->after && !diff_match(d, before, after)) {
		make_lines(d, &b, &a);
		make_rows(d);
		ret = make_verdict(d, before, after) || make_notes(d, &b, &a) ? -1 : 0;
	}
	report_release(&b);
	report_release(&a);
	if (ret) {
		diff_release(d);
		return error_set(e, "out of memory for the diff");
	}
	return 0;
}

void diff_release(struct diff *d)
{
	for (uint32_t i = 0; i < d->n_rows; i++)
		row_release(&d->rows[i]);
	for (uint32_t i = 0; i < d->n_notes; i++)
		free(d->notes[i]);
	free(d->rows);
	free(d->notes);
	free(d->verdict);
	free(d->before);
	free(d->after);
	*d = (struct diff){0};
}
