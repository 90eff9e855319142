/* SPDX-License-Identifier: MIT */
/* The diff for a terminal: the process on top, a line for each change, what was left out at the end. */
#include "diff_text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "figures.h"
#include "lines.h"
#include "text.h"

#define NAME_AT    42
#define CONTEXT_AT 12

struct text {
	FILE *out;
	unsigned columns;
	bool style;
};

static char *figure(char *out, enum profile_metric m, uint64_t value)
{
	return profile_metric_is_bytes(m) ? figure_bytes(out, value) : figure_count(out, value);
}

/* "+1.23 MB"; "0 B" where nothing changed. */
static char *change(
	char out[FIGURE_SIZE + 1], enum profile_metric m, uint64_t before, uint64_t after)
{
	char f[FIGURE_SIZE];

	figure(f, m, after > before ? after - before : before - after);
	snprintf(out, FIGURE_SIZE + 1, "%s%s", after > before ? "+" : after < before ? "-" : "", f);
	return out;
}

/* "-45.1%", "x12.0" from three times on; "" where there was nothing. */
static char *relative(char out[FIGURE_SIZE], uint64_t before, uint64_t after)
{
	double r = before ? (double)after / (double)before : 0;

	*out = '\0';
	if (before && r >= 3)
		snprintf(out, FIGURE_SIZE, r < 100 ? "x%.1f" : "x%.0f", r);
	else if (before)
		snprintf(out, FIGURE_SIZE, "%+.1f%%", (r - 1) * 100);
	return out;
}

static void put_lines(const struct text *t, const struct diff *d)
{
	static const char *const names[] = {"RSS", "live heap", "overhead", "slack"};
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE + 1], r[FIGURE_SIZE];

	for (int i = 0; i < DIFF_LINES; i++) {
		const struct diff_line *l = &d->lines[i];
		fprintf(t->out, "  %-10s", names[i]);
		if (!l->known) {
			fputs("  not recorded\n", t->out);
			continue;
		}
		fprintf(t->out, " %7s → %7s ", figure_bytes(a, l->before),
			figure_bytes(b, l->after));
		if (l->changed)
			fprintf(t->out, " %9s %7s", change(c, METRIC_BYTES, l->before, l->after),
				relative(r, l->before, l->after));
		else
			fputs("         unchanged", t->out);
		line_look(t->out, t->style, LINE_DIM);
		fputs("  ", t->out);
		line_cut(t->out, l->what, t->columns - 51);
		line_look(t->out, t->style, LINE_PLAIN);
		fputc('\n', t->out);
	}
	if (d->verdict) {
		fputs("\n  ", t->out);
		line_wrapped(t->out, d->verdict, 2, t->columns);
	}
	for (uint32_t i = 0; i < d->n_notes; i++) {
		fputs(i || d->verdict ? "  " : "\n  ", t->out);
		line_wrapped(t->out, d->notes[i], 2, t->columns);
	}
}

static void put_place(char *out, size_t size, const struct diff_place *p)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], where[64] = "";

	if (p->before >= 0 && p->after >= 0)
		snprintf(where, sizeof(where), "+0x%" PRIx64 " → +0x%" PRIx64, (uint64_t)p->before,
			(uint64_t)p->after);
	else if (p->before >= 0 || p->after >= 0)
		snprintf(where, sizeof(where), "+0x%" PRIx64,
			(uint64_t)(p->before >= 0 ? p->before : p->after));
	*out = '\0';
	if (*where)
		snprintf(out, size, ", at %s: %s → %s", where, figure_count(a, p->count_before),
			figure_count(b, p->count_after));
}

/* The line below a row: the metric it is ranked by in full, and where. */
static void put_context(const struct text *t, const struct diff_row *r)
{
	uint64_t b = totals_metric(&r->before.totals, r->metric),
		 a = totals_metric(&r->after.totals, r->metric);
	char x[FIGURE_SIZE], y[FIGURE_SIZE], rel[FIGURE_SIZE], place[128], line[1024];

	put_place(place, sizeof(place), &r->place);
	relative(rel, b, a);
	snprintf(line, sizeof(line), "%s %s → %s%s%s%s, in %.400s%s",
		profile_metric_name(r->metric), figure(x, r->metric, b), figure(y, r->metric, a),
		*rel ? " (" : "", rel, *rel ? ")" : "", r->sizes ? r->module : r->crate, place);
	fprintf(t->out, "%*s", CONTEXT_AT, "");
	line_look(t->out, t->style, LINE_DIM);
	line_wrapped(t->out, line, CONTEXT_AT, t->columns);
	if (r->was) {
		fprintf(t->out, "%*swas ", CONTEXT_AT, "");
		line_cut(t->out, r->was, t->columns - CONTEXT_AT - 4);
		fputc('\n', t->out);
	}
	line_look(t->out, t->style, LINE_PLAIN);
}

/* Beside bytes and count. */
static enum profile_metric first_column(const struct diff *d)
{
	return d->by == METRIC_TEMPORARY || d->by == METRIC_LEAKED ? d->by : METRIC_PEAK;
}

static void put_rows(const struct text *t, const struct diff *d, uint32_t top)
{
	enum profile_metric first = first_column(d);
	enum profile_metric columns[] = {first, METRIC_BYTES, METRIC_COUNT};
	char c[FIGURE_SIZE + 1];

	fputc('\n', t->out);
	line_look(t->out, t->style, LINE_BOLD);
	if (!d->n_rows) {
		fputs("Nothing changed beyond what two runs of one build differ by.", t->out);
		line_look(t->out, t->style, LINE_PLAIN);
		fputc('\n', t->out);
		return;
	}
	fprintf(t->out, "What changed, by %s",
		d->by == DIFF_BY_ANY ? "the greatest share of peak, bytes or count"
				     : profile_metric_name(d->by));
	line_look(t->out, t->style, LINE_PLAIN);
	fprintf(t->out, "\n  %-8s  %8s  %8s  %8s  %s\n", "",
		first == METRIC_TEMPORARY ? "temp" : profile_metric_name(first), "bytes", "count",
		"what");
	for (uint32_t i = 0; i < d->n_rows && (!top || i < top); i++) {
		const struct diff_row *r = &d->rows[i];
		if (r->engine && i && !d->rows[i - 1].engine)
			fputs("  in the JavaScript engine:\n", t->out);
		fprintf(t->out, "  %-8s", diff_change_name(r->change));
		for (int k = 0; k < 3; k++)
			fprintf(t->out, "  %8s",
				change(c, columns[k], totals_metric(&r->before.totals, columns[k]),
					totals_metric(&r->after.totals, columns[k])));
		fputs("  ", t->out);
		line_cut(t->out, r->brief, t->columns - NAME_AT);
		fputc('\n', t->out);
		put_context(t, r);
	}
	if (top && d->n_rows > top)
		fprintf(t->out, "  %u more; --top=0 shows all\n", d->n_rows - top);
}

static void put_rest(const struct text *t, const struct diff *d)
{
	enum profile_metric first = first_column(d);
	char a[FIGURE_SIZE + 1], b[FIGURE_SIZE + 1], c[FIGURE_SIZE + 1], line[512];

	fputc('\n', t->out);
	if (d->n_below) {
		snprintf(line, sizeof(line),
			"%u rows changed less than two runs of one build differ by, or not at all; "
			"together "
			"%s %s, bytes %s, count %s.",
			d->n_below, profile_metric_name(first),
			change(a, first, totals_metric(&d->below_before, first),
				totals_metric(&d->below_after, first)),
			change(b, METRIC_BYTES, totals_metric(&d->below_before, METRIC_BYTES),
				totals_metric(&d->below_after, METRIC_BYTES)),
			change(c, METRIC_COUNT, totals_metric(&d->below_before, METRIC_COUNT),
				totals_metric(&d->below_after, METRIC_COUNT)));
		line_wrapped(t->out, line, 0, t->columns);
	}
	if (d->n_elsewhere) {
		snprintf(line, sizeof(line),
			"The peak was at another moment: %u of these rows hold other amounts "
			"there, %s in all, "
			"but allocate and hold on average what they did.",
			d->n_elsewhere, figure_bytes(a, d->elsewhere_bytes));
		line_wrapped(t->out, line, 0, t->columns);
	}
	if (d->n_moved) {
		snprintf(line, sizeof(line),
			"%u functions moved to another module path; that is no change.",
			d->n_moved);
		line_wrapped(t->out, line, 0, t->columns);
	}
}

int diff_text_write(FILE *out, const struct diff *d, uint32_t top, unsigned columns, bool style,
	struct error *e)
{
	struct text t = {out, columns < TEXT_COLUMNS ? TEXT_COLUMNS : columns, style};

	line_look(out, style, LINE_BOLD);
	line_cut(out, d->before, t.columns / 2 - 2);
	fputs(" → ", out);
	line_cut(out, d->after, t.columns / 2 - 2);
	line_look(out, style, LINE_PLAIN);
	fputc('\n', out);
	put_lines(&t, d);
	put_rows(&t, d, top);
	put_rest(&t, d);
	if (fflush(out) || ferror(out))
		return error_set(e, "cannot write the diff: %s", strerror(errno));
	return 0;
}
