/* SPDX-License-Identifier: MIT */
/* Estimates with their standard errors: see measured_view.h. json_pack takes its arguments when memory runs out. */
#include "measured_view.h"

#include <string.h>

#include "figures.h"
#include "lines.h"
#include "values.h"

#define TIME_NAME_AT    43
#define SCATTER_NAME_AT 45

/* ± as a share of the estimate, to the percent. */
static const char *relative(char *out, double error, double value)
{
	double percent = value > 0 ? 100 * error / value : 0;

	snprintf(out, FIGURE_SIZE, percent < 999.5 ? "±%.0f%%" : "±>999%%", percent);
	return out;
}

static void put_times(FILE *out, const struct measured_time *rows, uint32_t n, const char *what,
	unsigned columns, uint32_t top)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], f[FIGURE_SIZE];

	if (n)
		fprintf(out, "  %7s  %5s  %5s  %7s  %7s  %s\n", "time", "error", "CPU", "calls",
			"a call", what);
	for (uint32_t i = 0; i < n && i < top; i++) {
		const struct measured_time *t = &rows[i];
		/* ± is one column in two bytes */
		fprintf(out, "  %7s  %6s  %5s  %7s  %7s  ", figure_duration(a, t->ns),
			relative(b, t->error_ns, t->ns), figure_share(c, t->share),
			figure_count(d, t->calls), figure_duration(f, t->ns / (double)t->calls));
		line_name(out, t->name, columns - TIME_NAME_AT);
		fputc('\n', out);
	}
}

static void text_times(
	FILE *out, const struct measured *m, unsigned columns, bool style, uint32_t top)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE];

	if (m->time.timed < MEASURED_TIMED || !(m->time.ns > 0))
		return;
	line_heading(out, style, "Time in the allocator: about one call in 1,000 was timed");
	fprintf(out, "  %s %s, %s of CPU time; %s calls timed", figure_duration(a, m->time.ns),
		relative(b, m->time.error_ns, m->time.ns), figure_share(c, m->time.share),
		figure_exact((char[FIGURE_SIZE]){0}, m->time.timed));
	fprintf(out, ", %s each\n", figure_duration(a, m->time.ns / (double)m->time.calls));
	put_times(out, m->crates, m->n_crates, "crate", columns, top);
	put_times(out, m->functions, m->n_functions, "function", columns, top);
}

static void text_scatter(
	FILE *out, const struct measured *m, unsigned columns, bool style, uint32_t top)
{
	const struct measured_scatter *w = &m->whole;
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], f[FIGURE_SIZE];

	if (!m->snapshot.number || !w->bytes)
		return;
	line_heading(out, style, "Locality: pages that blocks smaller than a page lie on");
	fprintf(out, "  looked at %s pages, one in %u, with %s live at %s\n",
		figure_exact(a, w->sampled_pages), m->snapshot.every,
		figure_bytes(b, m->snapshot.live_bytes), figure_time(c, m->snapshot_ns));
	fprintf(out, "  blocks fill %s of their pages: %s on %s\n",
		figure_share(a, w->scatter > 0 ? 1 / w->scatter : 0), figure_bytes(b, w->bytes),
		figure_bytes(c, w->pages * HT_PAGE_BYTES));
	if (m->n_scatters)
		fprintf(out, "  %7s  %5s  %7s  %7s  %7s  %s\n", "scatter", "error", "pages",
			"needed", "blocks", "function");
	for (uint32_t i = 0; i < m->n_scatters && i < top; i++) {
		const struct measured_scatter *s = &m->scatters[i];
		snprintf(a, sizeof(a), s->scatter < 99.95 ? "%.1fx" : "%.0fx", s->scatter);
		fprintf(out, "  %7s  %6s  %7s  %7s  %7s  ", a, relative(b, s->error, s->scatter),
			figure_count(c, s->pages),
			figure_count(d, (s->bytes + HT_PAGE_BYTES - 1) / HT_PAGE_BYTES),
			figure_count(f, s->blocks));
		line_name(out, s->name, columns - SCATTER_NAME_AT);
		fputc('\n', out);
	}
}

void measured_text(FILE *out, const struct measured *m, unsigned columns, bool style, uint32_t top)
{
	text_times(out, m, columns, style, top);
	text_scatter(out, m, columns, style, top);
}

static json_t *time_json(const struct measured_time *t, const char *what)
{
	json_t *o = json_pack("{s:o, s:o, s:f, s:f, s:f, s:f}", "calls", value_integer(t->calls),
		"timed_calls", value_integer(t->timed), "ns", t->ns, "standard_error_ns",
		t->error_ns, "ns_per_call", t->calls ? t->ns / (double)t->calls : 0, "cpu_share",
		t->share);

	if (what && json_object_set_new(o, what, json_string(t->name))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *times_json(const struct measured_time *rows, uint32_t n, const char *what)
{
	json_t *a = json_array();
	int bad = !a;

	for (uint32_t i = 0; !bad && i < n; i++)
		bad = json_array_append_new(a, time_json(&rows[i], what));
	if (!bad)
		return a;
	json_decref(a);
	return NULL;
}

json_t *measured_time_json(const struct measured *m)
{
	json_t *o;

	if (!m->time.timed)
		return json_null();
	o = time_json(&m->time, NULL);
	if (o && !json_object_set_new(o, "crates", times_json(m->crates, m->n_crates, "crate")) &&
		!json_object_set_new(
			o, "functions", times_json(m->functions, m->n_functions, "function")))
		return o;
	json_decref(o);
	return NULL;
}

static json_t *scatter_json(const struct measured_scatter *s)
{
	json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:f, s:f}", "sampled_pages",
		value_integer(s->sampled_pages), "pages", value_integer(s->pages), "blocks",
		value_integer(s->blocks), "bytes", value_integer(s->bytes), "scatter", s->scatter,
		"standard_error", s->error);

	if (s->name && json_object_set_new(o, "function", json_string(s->name))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

json_t *measured_locality_json(const struct measured *m)
{
	json_t *rows = json_array();
	int bad = !rows;

	if (!m->snapshot.number) {
		json_decref(rows);
		return json_null();
	}
	for (uint32_t i = 0; !bad && i < m->n_scatters; i++)
		bad = json_array_append_new(rows, scatter_json(&m->scatters[i]));
	if (bad) {
		json_decref(rows);
		return NULL;
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "ns", value_integer(m->snapshot_ns),
		"live_bytes", value_integer(m->snapshot.live_bytes), "peak_bytes",
		value_integer(m->peak_bytes), "page_every", value_integer(m->snapshot.every),
		"whole", scatter_json(&m->whole), "functions", rows);
}
