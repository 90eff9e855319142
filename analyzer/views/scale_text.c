/* SPDX-License-Identifier: MIT */
/* The projection table. */
#include "scale_text.h"

#include <stdlib.h>
#include <string.h>

#include "../utf8.h"
#include "figures.h"
#include "lines.h"
#include "text.h"

#define SITE_SHARE 0.005 /* of the projected peak: smaller sites are not called out */
#define SITES      12u
#define FEW_MORE   1.5 /* blocks: what grows then are the blocks */

struct line {
	const struct scale_row *row;
	struct projection bytes, count;
};

static int by_bytes(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->bytes.value != y->bytes.value)
		return x->bytes.value < y->bytes.value ? 1 : -1;
	return strcmp(x->row->name, y->row->name);
}

static bool super_linear(const struct line *l)
{
	return l->bytes.fit.growth == GROWTH_N_LOG_N || l->bytes.fit.growth == GROWTH_QUADRATIC;
}

/* "123 MB": as a count where it is one. */
static const char *bytes_of(char *out, double value)
{
	return figure_bytes(out, value > 0 ? (uint64_t)value : 0);
}

static const char *count_of(char *out, double value)
{
	/* what was fitted is no exact count */
	if (value >= 1000) {
		double unit = value >= 1e6 ? 1e4 : value >= 1e5 ? 1e3 : value >= 1e4 ? 100 : 10;
		value = (double)(uint64_t)(value / unit + 0.5) * unit;
	}
	return figure_count(out, (uint64_t)(value + 0.5));
}

/* Half the band as a share of the value. */
static const char *band(char *out, const struct projection *p)
{
	double up = p->high - p->value, down = p->value - p->low, most = up > down ? up : down;

	if (p->value <= 0)
		return strcpy(out, "");
	snprintf(out, FIGURE_SIZE, "±%.0f%%", 100 * most / p->value);
	return out;
}

static void put_name(FILE *out, const char *name, unsigned columns)
{
	char *clean = utf8_clean(name, 4096);

	line_name(out, clean ? clean : "?", columns);
	fputc('\n', out);
	free(clean);
}

static void put_runs(FILE *out, const struct scale *s)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE];

	fprintf(out, "  %9s  %8s  %8s  %8s  %8s\n", "n", "peak", "blocks", "RSS", "time");
	for (unsigned i = 0; i < s->n_sizes; i++)
		fprintf(out, "  %9.0f  %8s  %8s  %8s  %8s\n", s->sizes[i],
			bytes_of(a, s->rows[0].bytes[i]),
			figure_count(b, (uint64_t)s->rows[0].count[i]),
			bytes_of(c, s->rss_bytes[i]),
			figure_time(d, (uint64_t)(s->seconds[i] * 1e9)));
}

static void put_sites(FILE *out, const struct line *lines, size_t n, const struct scale *s,
	double project, double whole, unsigned columns)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE];
	unsigned shown = 0;

	for (size_t i = 0; i < n && shown < SITES; i++) {
		const struct line *l = &lines[i];
		if (l->row->kind != SCALE_SITE || !super_linear(l) ||
			l->bytes.value < SITE_SHARE * whole)
			continue;
		if (shown++ == 0)
			fprintf(out, "  %-9s  at %-5.0f  at %-5.0f  share  site\n", "growth",
				s->sizes[s->n_sizes - 1], project);
		fprintf(out, "  %-9s  %8s  %8s  %5s  ", growth_name(l->bytes.fit.growth),
			bytes_of(a, l->row->bytes[s->n_sizes - 1]), bytes_of(b, l->bytes.value),
			figure_share(c, l->bytes.value / whole));
		put_name(out, l->row->name, columns - 40);
	}
	if (!shown)
		fprintf(out, "  none of %.1f%% of the projected peak or more\n", 100 * SITE_SHARE);
}

static void put_structures(FILE *out, const struct line *lines, size_t n, const struct scale *s,
	double whole, unsigned columns)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], d[FIGURE_SIZE], f[FIGURE_SIZE];

	fprintf(out, "  %-9s  %7s  %8s  %8s  %5s  %5s  %s\n", "growth", "count", "per item",
		"total", "band", "share", "data structure");
	for (size_t i = 0; i < n; i++) {
		const struct line *l = &lines[i];
		if (l->row->kind != SCALE_STRUCTURE)
			continue;
		double item = l->row->item_bytes[s->n_sizes - 1];
		fprintf(out, "  %-9s  %7s  %8s  %8s  %*s  %5s  ", growth_name(l->bytes.fit.growth),
			l->count.value > 0 ? count_of(a, l->count.value) : "",
			item > 0 ? bytes_of(b, item + 0.5) : "", bytes_of(c, l->bytes.value), 6,
			band(d, &l->bytes), figure_share(f, l->bytes.value / whole));
		put_name(out, l->row->name, columns - 55);
	}
}

static void put_categories(
	FILE *out, const struct line *lines, size_t n, double whole, unsigned columns)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE];

	fprintf(out, "  %-9s  %8s  %5s  %5s  category\n", "growth", "total", "band", "share");
	for (size_t i = 0; i < n; i++) {
		const struct line *l = &lines[i];
		if (l->row->kind != SCALE_CATEGORY)
			continue;
		fprintf(out, "  %-9s  %8s  %*s  %5s  ", growth_name(l->bytes.fit.growth),
			bytes_of(a, l->bytes.value), 6, band(b, &l->bytes),
			figure_share(c, l->bytes.value / whole));
		put_name(out, l->row->name, columns - 38);
	}
}

int scale_text(FILE *out, const struct scale *s, double project, unsigned columns, bool style,
	struct error *e)
{
	struct line *lines = calloc(s->n_rows + 1, sizeof(*lines));
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE], title[128];

	if (!lines)
		return error_set(e, "out of memory for the projection");
	if (columns < TEXT_COLUMNS)
		columns = TEXT_COLUMNS;
	for (size_t i = 0; i < s->n_rows; i++) {
		lines[i].row = &s->rows[i];
		const double *count = s->rows[i].count;
		bool buffers = s->rows[i].kind == SCALE_SITE &&
			       count[s->n_sizes - 1] < FEW_MORE * count[0];
		projection_init(
			&lines[i].bytes, s->sizes, s->rows[i].bytes, s->n_sizes, buffers, project);
		projection_init(
			&lines[i].count, s->sizes, count, s->n_sizes, s->rows[i].room, project);
		if (s->rows[i].room)
			projection_doubles(
				&lines[i].bytes, s->sizes, s->rows[i].bytes, s->n_sizes, project);
	}
	struct projection peak = lines[0].bytes, rss;
	double whole = peak.value > 0 ? peak.value : 1;
	projection_init(&rss, s->sizes, s->rss_bytes, s->n_sizes, false, project);
	qsort(lines, s->n_rows, sizeof(*lines), by_bytes);

	line_look(out, style, LINE_BOLD);
	fputs("Runs", out);
	line_look(out, style, LINE_PLAIN);
	fputc('\n', out);
	put_runs(out, s);
	line_heading(out, style, "Super-linear sites");
	put_sites(out, lines, s->n_rows, s, project, whole, columns);
	bool any = false;
	for (size_t i = 0; i < s->n_rows; i++)
		any |= s->rows[i].kind == SCALE_STRUCTURE;
	if (any) {
		snprintf(title, sizeof(title), "Data structures at %.0f", project);
		line_heading(out, style, title);
		put_structures(out, lines, s->n_rows, s, whole, columns);
	}
	snprintf(title, sizeof(title), "Categories at %.0f", project);
	line_heading(out, style, title);
	put_categories(out, lines, s->n_rows, whole, columns);
	snprintf(title, sizeof(title), "In all at %.0f", project);
	line_heading(out, style, title);
	fprintf(out, "  peak of the heap  %8s  %s to %s, %s\n", bytes_of(a, peak.value),
		bytes_of(b, peak.low), bytes_of(c, peak.high), growth_name(peak.fit.growth));
	fprintf(out, "  resident memory   %8s  %s to %s, %s\n", bytes_of(a, rss.value),
		bytes_of(b, rss.low), bytes_of(c, rss.high), growth_name(rss.fit.growth));
	fprintf(out, "  All figures are of the peak. Bands: fits without one of the sizes, and "
		     "twice the residuals.\n");
	free(lines);
	return 0;
}
