/* SPDX-License-Identifier: MIT */
/*
 * The report for a terminal. Numbers come first in fixed columns and names last, so that long names cost nothing but
 * their own end, and columns stay where they are from report to report.
 */
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "figures.h"
#include "inventory_view.h"
#include "lines.h"
#include "measured_view.h"
#include "phase_view.h"

#define SPARK_COLUMNS     60
#define BAR_COLUMNS       30
#define FINDINGS          5
#define INVENTORY_ROWS    10
#define MEASURED_ROWS     5
#define MAPPED_ROWS       4
#define NAME_AT           36 /* where put_figures leaves the cursor */
#define MODULE_AT         29
#define CONTEXT_AT        11 /* under the share */
#define CONTEXT_VIA       24
#define CONTEXT_VIA_ALONE 36 /* without a file and line beside it */
#define CONTEXT_FILE      20

struct text {
	FILE *out;
	unsigned columns;
	bool style;
};

__attribute__((format(printf, 3, 4))) static void put_field(
	const struct text *t, const char *label, const char *format, ...)
{
	char *value;
	va_list ap;

	va_start(ap, format);
	int n = vasprintf(&value, format, ap);
	va_end(ap);
	if (n < 0)
		return;
	fprintf(t->out, "  %-12s ", label);
	line_wrapped(t->out, value, 15, t->columns);
	free(value);
}

static void put_summary(const struct text *t, const struct report *r)
{
	const struct report_summary *s = &r->summary;
	const char *end = s->end == REPORT_EXITED ? ", exited"
			  : s->end == REPORT_CUT  ? ", killed or still running"
						  : "";
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE];

	put_field(t, "program", "%s, pid %u%s%s", s->program, s->pid,
		s->generation ? ", forked" : "", end);
	fprintf(t->out, "  %-12s ", "command");
	line_cut(t->out, s->command, t->columns - 15);
	fputc('\n', t->out);
	put_field(t, "time", "%s wall, %s CPU, %s thread%s", figure_time(a, s->wall_ns),
		figure_time(b, s->cpu_ns), figure_exact(c, s->threads), s->threads == 1 ? "" : "s");
	put_field(t, "peak", "%s in %s blocks, at %s", figure_bytes(a, s->peak_bytes),
		figure_exact(b, s->peak_count), figure_time(c, s->peak_ns));
	put_field(t, "leaked", "%s in %s blocks live at %s", figure_bytes(a, s->leaked_bytes),
		figure_exact(b, s->leaked_count),
		s->end == REPORT_CUT ? "the last record" : "the end");
	put_field(t, "requested", "%s; the allocator added %s of slack (%s)",
		figure_bytes(a, s->requested_bytes), figure_bytes(b, s->slack_bytes),
		figure_share(c, s->slack_share));
	put_field(t, "allocations", s->zero_sizes ? "%s, %s of them of 0 bytes" : "%s",
		figure_exact(a, s->total.allocs), figure_exact(b, s->zero_sizes));
	put_field(t, "reallocs", "%s, copying %s", figure_exact(a, s->total.reallocs),
		figure_bytes(b, s->copied_bytes));
	put_field(t, "frees", "%s, %s of them by another thread", figure_exact(a, s->total.frees),
		figure_exact(b, s->total.foreign_frees));
	put_field(t, "temporary", "%s (%s of allocations and reallocs)",
		figure_exact(a, s->total.temporary), figure_share(b, s->temporary_share));
}

static void put_notes(const struct text *t, const struct report *r)
{
	if (!r->n_notes)
		return;
	line_heading(t->out, t->style, "Notable");
	for (uint32_t i = 0; i < r->n_notes; i++) {
		fputs("  - ", t->out);
		line_wrapped(t->out, r->notes[i].text, 4, t->columns);
	}
}

static void put_columns(const struct text *t, const struct report *r, const char *what)
{
	bool bytes = profile_metric_is_bytes(r->by);

	fprintf(t->out, "  %7s  %5s  %7s  %7s  %s\n",
		r->by == METRIC_TEMPORARY ? "temp" : profile_metric_name(r->by), "share",
		bytes ? (r->by == METRIC_BYTES ? "count" : "blocks")
		      : (r->by == METRIC_COUNT ? "bytes" : "count"),
		"average", what);
}

static void put_figures(
	const struct text *t, const struct report *r, const struct report_figures *f)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE];

	fprintf(t->out, "  %7s  %5s  %7s  %7s  ",
		profile_metric_is_bytes(r->by) ? figure_bytes(a, f->value)
					       : figure_count(a, f->value),
		figure_share(b, f->share),
		r->by == METRIC_COUNT ? figure_bytes(c, f->bytes) : figure_count(c, f->count),
		figure_bytes(d, f->average_bytes));
}

static void put_context(const struct text *t, const struct report_blame *row)
{
	const char *file = row->file ? basename(row->file) : NULL;
	unsigned room = t->columns - CONTEXT_AT;
	char *at = NULL;

	if (!row->inner && !row->caller && !file)
		return;
	if (file && asprintf(&at, row->line ? "%s:%u" : "%s", file, row->line) < 0)
		at = NULL;
	fprintf(t->out, "%*s", CONTEXT_AT, "");
	line_look(t->out, t->style, LINE_DIM);
	if (row->inner) {
		fputs("via ", t->out);
		room -= 5 + line_name(t->out, row->inner, at ? CONTEXT_VIA : CONTEXT_VIA_ALONE);
		fputs(at || row->caller ? " " : "", t->out);
	}
	if (at) {
		fputs("at ", t->out);
		room -= 4 + line_cut(t->out, at, CONTEXT_FILE);
		fputs(row->caller ? " " : "", t->out);
	}
	if (row->caller) {
		fputs("from ", t->out);
		line_name(t->out, row->caller, room - 5);
	}
	line_look(t->out, t->style, LINE_PLAIN);
	fputc('\n', t->out);
	free(at);
}

static void put_blames(const struct text *t, const struct report *r)
{
	static const char *const titles[METRIC_N] = {
		[METRIC_PEAK] = "Functions by peak: who held the bytes live at the peak",
		[METRIC_BYTES] = "Functions by bytes: who requested most over the run",
		[METRIC_COUNT] = "Functions by count: who allocated and reallocated most often",
		[METRIC_TEMPORARY] =
			"Functions by temporary: freed before the thread's next allocation",
		[METRIC_LEAKED] = "Functions by leaked: who allocated what was live at the end",
	};

	line_heading(t->out, t->style, titles[r->by]);
	if (!r->n_blames) {
		fputs("  none\n", t->out);
		return;
	}
	put_columns(t, r, "function");
	for (uint32_t i = 0; i < r->n_blames; i++) {
		put_figures(t, r, &r->blames[i].figures);
		line_name(t->out, r->blames[i].name, t->columns - NAME_AT);
		fputc('\n', t->out);
		put_context(t, &r->blames[i]);
	}
	if (r->n_more_blames) {
		put_figures(t, r, &r->more_blames);
		fprintf(t->out, "%u more\n", r->n_more_blames);
	}
}

static void put_crates(const struct text *t, const struct report *r)
{
	if (!r->n_crates)
		return;
	line_heading(t->out, t->style, "Crates (C and C++: namespaces, modules)");
	put_columns(t, r, "crate");
	for (uint32_t i = 0; i < r->n_crates; i++) {
		const struct report_crate *row = &r->crates[i];
		put_figures(t, r, &row->figures);
		line_cut(t->out, row->name, t->columns - NAME_AT - (unsigned)strlen(" (plumbing)"));
		fputs(row->plumbing ? " (plumbing)\n" : "\n", t->out);
	}
	if (r->n_more_crates) {
		put_figures(t, r, &r->more_crates);
		fprintf(t->out, "%u more\n", r->n_more_crates);
	}
}

/* Highest value in each of SPARK_COLUMNS equal spans of time; a span without a point keeps the one before. */
static void spark(const struct text *t, const struct report *r, bool rss, uint64_t most)
{
	static const char *const levels[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	const struct report_memory *m = &r->memory;
	uint64_t end_ns = m->points[m->n_points - 1].ns, last = 0;
	uint32_t i = 0;

	for (unsigned c = 1; c <= SPARK_COLUMNS; c++) {
		uint64_t until = (uint64_t)((double)end_ns * c / SPARK_COLUMNS), high = 0;
		bool any = false;
		for (; i < m->n_points && (m->points[i].ns <= until || c == SPARK_COLUMNS); i++) {
			const struct report_point *p = &m->points[i];
			uint64_t v = rss ? p->rss_bytes : p->live_max_bytes;
			high = v > high ? v : high;
			last = rss ? p->rss_bytes : p->live_bytes;
			any = true;
		}
		double level = any ? (double)high : (double)last;
		unsigned step = most ? (unsigned)(level * 8 / (double)most + 0.5) : 0;
		step = step > 8 ? 8 : step;
		fputs(levels[level > 0 && !step ? 1 : step], t->out);
	}
}

static void put_timeline(const struct text *t, const struct report *r)
{
	const struct report_memory *m = &r->memory;
	uint64_t heap = 0;
	char a[FIGURE_SIZE];

	for (uint32_t i = 0; i < m->n_points; i++)
		heap = m->points[i].live_max_bytes > heap ? m->points[i].live_max_bytes : heap;
	uint64_t most = heap > m->max_rss_bytes ? heap : m->max_rss_bytes;
	fputs("  heap  ", t->out);
	spark(t, r, false, most);
	fprintf(t->out, "  %s\n  RSS   ", figure_bytes(a, heap));
	spark(t, r, true, most);
	fprintf(t->out, "  %s\n", figure_bytes(a, m->max_rss_bytes));
	fprintf(t->out, "        0 s%*s\n", SPARK_COLUMNS - 3,
		figure_time(a, m->points[m->n_points - 1].ns));
}

/* The modules that asked most of mmap. */
static void put_mapped(const struct text *t, const struct report *r)
{
	const struct report_module *best[MAPPED_ROWS];
	unsigned n = 0;
	char a[FIGURE_SIZE];

	for (uint32_t i = 0; i < r->n_modules; i++) {
		unsigned at = n < MAPPED_ROWS ? n++ : n;
		for (; at && r->modules[i].map_bytes > best[at - 1]->map_bytes; at--)
			if (at < MAPPED_ROWS)
				best[at] = best[at - 1];
		if (at < MAPPED_ROWS)
			best[at] = &r->modules[i];
	}
	for (unsigned i = 0; i < n && best[i]->map_bytes; i++) {
		int at = fprintf(t->out, "  %-12s %s over the run by ", i ? "" : "mapped",
			figure_bytes(a, best[i]->map_bytes));
		line_cut(t->out, best[i]->name, t->columns - (unsigned)(at > 0 ? at : 0));
		fputc('\n', t->out);
	}
}

static void put_memory(const struct text *t, const struct report *r)
{
	const struct report_memory *m = &r->memory;
	const struct report_point *p = &m->at_peak;
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE];

	line_heading(t->out, t->style, "Memory: RSS against heap");
	if (!m->n_points) {
		fputs("  no timeline: the run was too short for one\n", t->out);
		return;
	}
	put_timeline(t, r);
	put_field(t, "RSS", "%s at most, %s at the heap's peak", figure_bytes(a, m->max_rss_bytes),
		figure_bytes(b, p->rss_bytes));
	put_field(t, "heap", "%s live there, so that %s of RSS is something else:",
		figure_bytes(a, p->live_bytes), figure_bytes(b, m->beyond_heap_bytes));
	put_field(t, "",
		"what modules mapped themselves (%s then, less munmap; not all of it need be "
		"resident), freed memory that the allocator keeps, slack, stacks, code and files.",
		figure_bytes(a, p->mapped_bytes));
	put_mapped(t, r);
	put_field(t, "virtual", "%s mapped in all at the peak, %s of it private and writable",
		figure_bytes(b, p->vm_bytes), figure_bytes(c, p->data_bytes));
}

/* The kernel's part: page faults, system time, and what was given back to it. */
static void put_kernel(const struct text *t, const struct report *r)
{
	const struct report_memory *m = &r->memory;
	const struct report_span *run = &m->run;
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], f[FIGURE_SIZE];

	if (!m->n_points || !run->cpu_ns)
		return;
	put_field(t, "kernel",
		"%s of %s CPU (%s) in %s page faults, %s of them from disk, and calls",
		figure_time(a, run->sys_ns), figure_time(b, run->cpu_ns),
		figure_share(c, (double)run->sys_ns / (double)run->cpu_ns),
		figure_count(d, run->minor_faults + run->major_faults),
		figure_count(f, run->major_faults));
	put_field(t, "given back", "%s with madvise, %s with munmap (the C library's own not seen)",
		figure_bytes(a, run->purged_bytes), figure_bytes(b, run->unmapped_bytes));
	fprintf(t->out, "  %8s  %8s  %8s  %8s  %7s  %8s\n", "until", "faults/s", "CPU", "system",
		"madvise", "munmap");
	for (uint32_t i = 0; i < m->n_spans; i++) {
		const struct report_span *s = &m->spans[i];
		double faults = (double)(s->minor_faults + s->major_faults);
		fprintf(t->out, "  %8s  %8s  %8s  ", figure_time(a, s->until_ns),
			figure_count(b, s->ns ? (uint64_t)(faults * 1e9 / (double)s->ns) : 0),
			figure_time(c, s->cpu_ns));
		fprintf(t->out, "%8s  %7s  %8s\n",
			figure_share(a, s->cpu_ns ? (double)s->sys_ns / (double)s->cpu_ns : 0),
			figure_bytes(b, s->purged_bytes), figure_bytes(c, s->unmapped_bytes));
	}
}

static const char *size_label(char *out, size_t bytes, uint64_t up_to)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned u = 0;

	if (up_to == UINT64_MAX)
		return "more";
	for (; up_to >= 1024; u++)
		up_to >>= 10;
	snprintf(out, bytes, up_to ? "to %u %s" : "%u %s", (unsigned)up_to, units[u]);
	return out;
}

static void put_sizes(const struct text *t, const struct report *r)
{
	char label[16], a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE];
	double most = 0;

	if (!r->n_sizes)
		return;
	line_heading(t->out, t->style, "Sizes of requests");
	fprintf(t->out, "  %-10s  %7s  %7s  %7s  share of %s\n", "size", "count", "bytes", "peak",
		profile_metric_name(r->by));
	for (uint32_t i = 0; i < r->n_sizes; i++)
		most = r->sizes[i].figures.share > most ? r->sizes[i].figures.share : most;
	for (uint32_t i = 0; i < r->n_sizes; i++) {
		const struct report_size *row = &r->sizes[i];
		const struct totals *s = &row->totals;
		fprintf(t->out, "  %-10s  %7s  %7s  %7s  %5s",
			size_label(label, sizeof(label), row->up_to_bytes),
			figure_count(a, totals_metric(s, METRIC_COUNT)),
			figure_bytes(b, totals_metric(s, METRIC_BYTES)),
			figure_bytes(c, totals_metric(s, METRIC_PEAK)),
			figure_share(d, row->figures.share));
		int bar = most > 0 ? (int)(row->figures.share / most * BAR_COLUMNS + 0.5) : 0;
		for (int k = 0; k < bar; k++)
			fputs(k ? "█" : "  █", t->out);
		fputc('\n', t->out);
	}
}

static void put_threads(const struct text *t, const struct report *r)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], f[FIGURE_SIZE],
		g[FIGURE_SIZE];

	if (!r->n_threads)
		return;
	line_heading(t->out, t->style, "Threads by name");
	fprintf(t->out, "  %7s  %5s  %8s  %7s  %7s  %7s  thread\n", "allocs", "share", "reallocs",
		"frees", "bytes", "temp");
	for (uint32_t i = 0; i < r->n_threads; i++) {
		const struct report_thread *row = &r->threads[i];
		fprintf(t->out, "  %7s  %5s  %8s  %7s  %7s  %7s  ", figure_count(a, row->allocs),
			figure_share(b, row->share), figure_count(c, row->reallocs),
			figure_count(d, row->frees), figure_bytes(f, row->alloc_bytes),
			figure_count(g, row->temporary));
		line_cut(t->out, row->name, 16);
		if (row->threads > 1)
			fprintf(t->out, " x%s", figure_count(a, row->threads));
		fputc('\n', t->out);
	}
}

static void put_module_facts(const struct text *t, const struct report_module *m)
{
	static const char *const roles[] = {"alloc", "dealloc", "realloc", "alloc_zeroed"};
	char a[FIGURE_SIZE];

	if (m->unseen)
		fprintf(t->out, "%*snot seen: %s mapped by itself, likely a static allocator\n",
			CONTEXT_AT, "", figure_bytes(a, m->map_bytes));
	if (m->refused)
		fprintf(t->out, "%*sits allocator was left alone: %s\n", CONTEXT_AT, "",
			m->refused);
	if (m->flags & HT_MODULE_ADOPTED) {
		fprintf(t->out, "%*sadopted:", CONTEXT_AT, "");
		for (unsigned k = 0; k < 4; k++)
			if (m->adopted & 1u << k)
				fprintf(t->out, " %s", roles[k]);
		fputc('\n', t->out);
	}
	if (m->flags & HT_MODULE_NO_TABLES)
		fprintf(t->out, "%*sno unwind tables: stacks end in it\n", CONTEXT_AT, "");
}

static void put_modules(const struct text *t, const struct report *r)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE];

	line_heading(t->out, t->style, "Coverage: modules whose allocations were seen");
	fprintf(t->out, "  %7s  %7s  %7s  module\n", "count", "bytes", "mapped");
	for (uint32_t i = 0; i < r->n_modules; i++) {
		const struct report_module *m = &r->modules[i];
		bool gone = m->flags & HT_MODULE_GONE;
		fprintf(t->out, "  %7s  %7s  %7s  ", figure_count(a, m->count),
			figure_bytes(b, m->bytes), figure_bytes(c, m->map_bytes));
		line_cut(t->out, m->name, t->columns - MODULE_AT - (gone ? 11 : 0));
		fputs(gone ? " (unloaded)\n" : "\n", t->out);
		put_module_facts(t, m);
	}
	if (r->n_quiet_modules)
		fprintf(t->out, "  %u more loaded, without allocations or mappings of their own\n",
			r->n_quiet_modules);
}

static void put_losses(const struct text *t, const struct report *r)
{
	char a[FIGURE_SIZE];

	line_heading(t->out, t->style, "Dropped events and other gaps");
	if (!r->n_losses)
		fputs("  nothing dropped\n", t->out);
	for (uint32_t i = 0; i < r->n_losses; i++) {
		const struct report_loss *row = &r->losses[i];
		fprintf(t->out, "  %7s  %s", figure_count(a, row->count), row->what);
		if (row->has_bytes)
			fprintf(t->out, ", %s", figure_bytes(a, row->bytes));
		fputc('\n', t->out);
	}
}

int text_write(FILE *out, const struct report *r, unsigned columns, bool style, struct error *e)
{
	struct text t = {out, columns < TEXT_COLUMNS ? TEXT_COLUMNS : columns, style};

	line_look(out, style, LINE_BOLD);
	line_cut(out, r->summary.tally, t.columns);
	line_look(out, style, LINE_PLAIN);
	fputc('\n', out);
	if (r->findings && r->findings->n) {
		advice_text_brief(out, r->findings, r->evidence, t.columns, style, FINDINGS);
		fputc('\n', out);
	}
	put_summary(&t, r);
	put_notes(&t, r);
	put_blames(&t, r);
	put_crates(&t, r);
	if (r->inventory)
		inventory_text_write(out, r->inventory, t.columns, style, INVENTORY_ROWS);
	put_memory(&t, r);
	put_kernel(&t, r);
	measured_text(out, &r->measured, t.columns, style, MEASURED_ROWS);
	if (r->phases && r->phases->n > 1) {
		line_heading(out, style, "Phases");
		phases_text(out, r->phases, t.columns);
	}
	put_sizes(&t, r);
	put_threads(&t, r);
	put_modules(&t, r);
	put_losses(&t, r);
	fputs("\nMB is 10^6 bytes; --json has exact figures.\n", out);
	if (fflush(out) || ferror(out))
		return error_set(e, "cannot write the report: %s", strerror(errno));
	return 0;
}
