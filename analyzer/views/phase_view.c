/* SPDX-License-Identifier: MIT */
/* Phases as text and JSON. */
#include "phase_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../utf8.h"
#include "figures.h"
#include "lines.h"
#include "text.h"
#include "values.h"

#define NAME_AT        67u
#define NAME_COLUMNS   24u
#define NAME_MAX_BYTES 4096u
#define ESTIMATE                                                                                   \
	"Told by the passes' frames, since the program made no marks: estimates. A bucket counts " \
	"wholly for the pass on its stack, or else for the one in which it was first seen."

struct row {
	const char *name;
	struct totals totals;
	uint64_t kept_bytes; /* allocated in the phase and live at its end, at least */
	uint64_t value;
};

struct rows {
	struct row *functions, *crates;
	uint32_t n_functions, n_crates;
	struct row all;
};

/* Blocks allocated in the phase beyond those freed in it, whosever those were: so many of its own are still there. */
static uint64_t kept_bytes(const struct totals *t, bool estimated)
{
	/* all that a told phase's bucket allocates is taken for the phase's, its frees are the whole run's */
	if (estimated)
		return t->allocs && t->live_bytes > 0 ? (uint64_t)t->live_bytes : 0;
	if (!t->allocs || t->allocs <= t->frees || t->live_count <= 0)
		return 0;
	uint64_t kept = t->allocs - t->frees, live = (uint64_t)t->live_count;
	return (uint64_t)((double)t->alloc_bytes / (double)t->allocs *
			  (double)(kept < live ? kept : live));
}

static int by_value(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return strcmp(x->name, y->name);
}

static uint32_t sort_and_cut(struct row *rows, uint32_t n, enum profile_metric by, uint32_t top)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		rows[i].value = totals_metric(&rows[i].totals, by);
		if (rows[i].value)
			rows[kept++] = rows[i];
	}
	if (kept)
		qsort(rows, kept, sizeof(*rows), by_value);
	return top && kept > top ? top : kept;
}

static int rows_init(struct rows *r, const struct profile *p, bool estimated,
	enum profile_metric by, uint32_t top, struct error *e)
{
	*r = (struct rows){0};
	r->functions = calloc(p->n_functions + 1, sizeof(*r->functions));
	r->crates = calloc(p->n_crates + 1, sizeof(*r->crates));
	if (!r->functions || !r->crates) {
		free(r->functions);
		free(r->crates);
		return error_set(e, "out of memory for the phase");
	}
	for (uint32_t i = 0; i < p->n_functions; i++)
		r->functions[i].name = p->functions[i].brief;
	for (uint32_t i = 0; i < p->n_crates; i++)
		r->crates[i].name = p->crates[i].name;
	for (uint32_t b = 0; b < p->tally->n_buckets; b++) {
		const struct profile_bucket *pb = &p->buckets[b];
		struct row *to[] = {&r->functions[pb->blame],
			&r->crates[p->functions[pb->blame].crate], &r->all};
		for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
			totals_add(&to[i]->totals, &pb->totals);
			to[i]->kept_bytes += kept_bytes(&pb->totals, estimated);
		}
	}
	r->all.value = totals_metric(&r->all.totals, by);
	r->n_functions = sort_and_cut(r->functions, p->n_functions, by, top);
	r->n_crates = sort_and_cut(r->crates, p->n_crates, by, top);
	return 0;
}

static void rows_release(struct rows *r)
{
	free(r->functions);
	free(r->crates);
}

/* Cleaned and cut to so many columns; returns how many it took. */
static unsigned put_clean(FILE *out, const char *name, unsigned columns)
{
	char *clean = utf8_clean(name, 4 * columns);
	unsigned taken = clean ? line_cut(out, clean, columns) : 0;

	free(clean);
	return taken;
}

void phases_text(FILE *out, const struct phases *ph, unsigned columns)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], f[FIGURE_SIZE],
		g[FIGURE_SIZE], h[FIGURE_SIZE];

	fprintf(out, "  %8s  %8s  %7s  %7s  %7s  %7s  %7s  phase\n", "at", "lasts", "live", "peak",
		"bytes", "count", "RSS");
	for (uint32_t i = 0; i < ph->n; i++) {
		const struct phase *p = &ph->all[i];
		uint64_t start = tally_ns(ph->tally, p->start_ticks);
		fprintf(out, "  %8s  %8s  %7s  %7s  %7s  %7s  %7s  ", figure_time(a, start),
			figure_time(b, tally_ns(ph->tally, p->end_ticks) - start),
			figure_bytes(c, p->live_bytes), figure_bytes(d, p->peak_bytes),
			figure_bytes(f, p->alloc_bytes), figure_count(g, p->allocs),
			p->rss_bytes ? figure_bytes(h, p->rss_bytes) : "");
		unsigned taken = NAME_AT + put_clean(out, p->name, NAME_COLUMNS);
		if (*p->numbers) {
			if (taken + 2 + strlen(p->numbers) > columns)
				fprintf(out, "\n%*s", (int)(taken = 8), "");
			fputs("  ", out);
			put_clean(out, p->numbers, columns - taken - 2);
		}
		fputc('\n', out);
	}
	if (ph->estimated)
		fprintf(out, "  %s\n",
			"Told by the passes' frames: estimates, since the program made no marks.");
	if (ph->tally->header.lost_marks)
		fprintf(out, "  %" PRIu32 " more marks found no room\n",
			ph->tally->header.lost_marks);
}

static void put_rows(FILE *out, const struct row *rows, uint32_t n, const char *what,
	uint64_t whole, unsigned columns)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], f[FIGURE_SIZE];

	fprintf(out, "  %5s  %7s  %7s  %7s  %7s  %s\n", "share", "bytes", "count", "kept", "live",
		what);
	for (uint32_t i = 0; i < n; i++) {
		const struct totals *t = &rows[i].totals;
		fprintf(out, "  %5s  %7s  %7s  %7s  %7s  ",
			figure_share(a, whole ? (double)rows[i].value / (double)whole : 0),
			figure_bytes(b, t->alloc_bytes), figure_count(c, t->allocs),
			figure_bytes(d, rows[i].kept_bytes),
			figure_bytes(f, at_least_zero(t->live_bytes)));
		put_clean(out, rows[i].name, columns - 45);
		fputc('\n', out);
	}
}

int phase_text(FILE *out, const struct profile *p, const struct phases *ph, enum profile_metric by,
	uint32_t top, unsigned columns, bool style, struct error *e)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE];
	char title[64];
	struct rows r;

	if (columns < TEXT_COLUMNS)
		columns = TEXT_COLUMNS;
	if (rows_init(&r, p, ph->estimated, by, top, e))
		return -1;
	line_look(out, style, LINE_BOLD);
	fputs("Phase ", out);
	put_clean(out, p->phase, columns);
	line_look(out, style, LINE_PLAIN);
	fputc('\n', out);
	for (uint32_t i = 0; i < ph->n; i++) {
		const struct phase *one = &ph->all[i];
		if (strcmp(one->name, p->phase) != 0)
			continue;
		uint64_t start = tally_ns(ph->tally, one->start_ticks);
		fprintf(out, "  at %s for %s: %s live at its start, %s at its end, %s at most",
			figure_time(a, start),
			figure_time(b, tally_ns(ph->tally, one->end_ticks) - start),
			figure_bytes(c, one->live_bytes), figure_bytes(d, one->end_bytes),
			figure_bytes((char[FIGURE_SIZE]){0}, one->peak_bytes));
		if (*one->numbers) {
			fputs("; ", out);
			put_clean(out, one->numbers, 512);
		}
		fputc('\n', out);
	}
	fprintf(out,
		"  %s allocated in %s blocks, %s blocks freed; at least %s of it is live at its "
		"end\n",
		figure_bytes(a, r.all.totals.alloc_bytes), figure_exact(b, r.all.totals.allocs),
		figure_exact(c, r.all.totals.frees), figure_bytes(d, r.all.kept_bytes));
	if (ph->estimated)
		fprintf(out, "  %s\n", ESTIMATE);
	fprintf(out, "  Reallocs show in what is live only. kept: allocated in the phase and live "
		     "at its end, at least.\n");
	snprintf(title, sizeof(title), "Functions by %s",
		by == METRIC_LEAKED ? "live" : profile_metric_name(by));
	line_heading(out, style, title);
	put_rows(out, r.functions, r.n_functions, "function", r.all.value, columns);
	line_heading(out, style, "Crates");
	put_rows(out, r.crates, r.n_crates, "crate", r.all.value, columns);
	rows_release(&r);
	return fflush(out) || ferror(out)
		       ? error_set(e, "cannot write the report: %s", strerror(errno))
		       : 0;
}

json_t *phases_json(const struct phases *ph)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; rows && i < ph->n; i++) {
		const struct phase *p = &ph->all[i];
		uint64_t start = tally_ns(ph->tally, p->start_ticks);
		json_t *row = json_pack(
			"{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			value_text(p->name, NAME_MAX_BYTES), "numbers",
			value_text(p->numbers, NAME_MAX_BYTES), "estimated", ph->estimated,
			"start_ns", value_integer(start), "ns",
			value_integer(tally_ns(ph->tally, p->end_ticks) - start), "live_bytes",
			value_integer(p->live_bytes), "end_bytes", value_integer(p->end_bytes),
			"peak_bytes", value_integer(p->peak_bytes), "rss_bytes",
			value_integer(p->rss_bytes), "allocs", value_integer(p->allocs),
			"alloc_bytes", value_integer(p->alloc_bytes), "frees",
			value_integer(p->frees));
		if (json_array_append_new(rows, row)) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}

static json_t *json_rows(const struct row *rows, uint32_t n)
{
	json_t *all = json_array();

	for (uint32_t i = 0; all && i < n; i++) {
		const struct totals *t = &rows[i].totals;
		json_t *row = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			value_text(rows[i].name, NAME_MAX_BYTES), "allocs",
			value_integer(t->allocs), "alloc_bytes", value_integer(t->alloc_bytes),
			"frees", value_integer(t->frees), "kept_bytes",
			value_integer(rows[i].kept_bytes), "live_count",
			value_integer(at_least_zero(t->live_count)), "live_bytes",
			value_integer(at_least_zero(t->live_bytes)));
		if (json_array_append_new(all, row)) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

int phase_json(FILE *out, const struct profile *p, const struct phases *ph, enum profile_metric by,
	uint32_t top, struct error *e)
{
	struct rows r;

	if (rows_init(&r, p, ph->estimated, by, top, e))
		return -1;
	json_t *all = json_pack("{s:s, s:i, s:o, s:s, s:b, s:o, s:o, s:o, s:o}", "format",
		"heaptally-phase", "version", 1, "phase", value_text(p->phase, NAME_MAX_BYTES),
		"by", by == METRIC_LEAKED ? "live" : profile_metric_name(by), "estimated",
		ph->estimated, "phases", phases_json(ph), "total",
		json_rows(&(struct row){"", r.all.totals, r.all.kept_bytes, 0}, 1), "functions",
		json_rows(r.functions, r.n_functions), "crates", json_rows(r.crates, r.n_crates));
	rows_release(&r);
	return values_write(out, all, false, "the report", e);
}
