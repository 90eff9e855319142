/* SPDX-License-Identifier: MIT */
/* Estimates from samples: see measured.h. */
#include "measured.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../utf8.h"

#define NAME_MAX_BYTES (64u << 10)
#define SCATTER_SHARE  100u /* a hundredth of the live bytes */
#define SCATTER_PAGES  10u  /* fewer pages say nothing */

/* What the sampled pages have of one function's blocks. */
struct gathered {
	uint64_t pages, blocks, bytes;
	double squares;      /* of the bytes on each page */
	uint64_t page_bytes; /* on the page at hand */
	uint32_t page;       /* that page, plus 1 */
};

static double ns_per_tick(const struct tally *t)
{
	const struct ht_header *h = &t->header;

	if (h->last_ticks <= h->start_ticks || h->last_ns <= h->start_ns)
		return 0;
	return (double)(h->last_ns - h->start_ns) / (double)(h->last_ticks - h->start_ticks);
}

static struct measured_time estimate(const struct totals *t, const struct tally *tally)
{
	struct measured_time m = {
		.calls = t->allocs + t->reallocs + t->frees, .timed = t->timed_calls};
	double n = (double)m.timed, calls = (double)m.calls, tick = ns_per_tick(tally);

	if (!m.timed)
		return m;
	double mean = (double)t->timed_ticks / n;
	double variance = n > 1 ? (t->timed_squares - n * mean * mean) / (n - 1) : 0;
	double left = calls > n ? 1 - n / calls : 0;
	m.ns = calls * mean * tick;
	/* Rounding may make a variance of next to nothing negative. */
	m.error_ns = variance > 0 ? calls * sqrt(variance / n * left) * tick : 0;
	m.share = tally->header.cpu_ns ? m.ns / (double)tally->header.cpu_ns : 0;
	return m;
}

static int by_time(const void *a, const void *b)
{
	const struct measured_time *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int by_scatter(const void *a, const void *b)
{
	const struct measured_scatter *x = a, *y = b;

	if (x->scatter != y->scatter)
		return x->scatter > y->scatter ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int add_time(struct measured_time *rows, uint32_t *n, const struct totals *t,
	const char *name, const struct tally *tally)
{
	if (t->timed_calls < MEASURED_TIMED)
		return 0;
	rows[*n] = estimate(t, tally);
	rows[*n].name = utf8_clean(name, NAME_MAX_BYTES);
	return rows[(*n)++].name ? 0 : -1;
}

static int make_times(struct measured *m, const struct profile *p)
{
	m->time = estimate(&p->total, p->tally);
	m->crates = calloc((size_t)p->n_crates + 1, sizeof(*m->crates));
	m->functions = calloc((size_t)p->n_blames + 1, sizeof(*m->functions));
	if (!m->crates || !m->functions)
		return -1;
	for (uint32_t i = 0; i < p->n_crates; i++)
		if (add_time(m->crates, &m->n_crates, &p->crates[i].totals, p->crates[i].name,
			    p->tally))
			return -1;
	for (uint32_t i = 0; i < p->n_blames; i++)
		if (add_time(m->functions, &m->n_functions, &p->blames[i].totals,
			    p->functions[p->blames[i].function].name, p->tally))
			return -1;
	qsort(m->crates, m->n_crates, sizeof(*m->crates), by_time);
	qsort(m->functions, m->n_functions, sizeof(*m->functions), by_time);
	return 0;
}

static void next_page(struct gathered *g)
{
	g->squares += (double)g->page_bytes * (double)g->page_bytes;
	g->page_bytes = 0;
}

static void gather(struct gathered *g, const struct ht_locality *row)
{
	if (g->page != row->page + 1) {
		next_page(g);
		g->page = row->page + 1;
		g->pages++;
	}
	g->blocks += row->blocks;
	g->bytes += row->bytes;
	g->page_bytes += row->bytes;
}

static struct measured_scatter scatter_of(struct gathered *g, uint32_t every)
{
	struct measured_scatter s = {.sampled_pages = g->pages};
	double page = HT_PAGE_BYTES, pages = (double)g->pages, bytes = (double)g->bytes;

	next_page(g);
	s.pages = g->pages * every;
	s.blocks = g->blocks * every;
	s.bytes = g->bytes * every;
	if (!g->bytes)
		return s;
	s.scatter = page * pages / bytes;
	/* the residuals' squares: those of page - scatter * bytes on it */
	double squares = s.scatter * s.scatter * g->squares - page * page * pages;
	if (squares > 0)
		s.error = sqrt(squares * (1 - 1.0 / every)) / bytes;
	return s;
}

static int make_scatters(struct measured *m, const struct profile *p)
{
	const struct tally *t = p->tally;
	struct gathered *all = calloc((size_t)p->n_functions + 1, sizeof(*all)), whole = {0};
	int bad = !all;

	m->snapshot = t->snapshot;
	m->snapshot_ns = tally_ns(t, t->snapshot.ticks);
	m->peak_bytes = t->header.peak_bytes;
	m->scatters = calloc((size_t)p->n_functions + 1, sizeof(*m->scatters));
	bad |= !m->scatters;
	for (uint32_t i = 0; !bad && i < t->n_locality; i++) {
		gather(&all[p->buckets[t->locality[i].bucket].blame], &t->locality[i]);
		gather(&whole, &t->locality[i]);
	}
	m->whole = scatter_of(&whole, t->snapshot.every);
	for (uint32_t f = 0; !bad && f < p->n_functions; f++) {
		struct measured_scatter s = scatter_of(&all[f], t->snapshot.every);
		if (s.sampled_pages < SCATTER_PAGES || !s.bytes ||
			s.bytes < t->snapshot.live_bytes / SCATTER_SHARE)
			continue;
		s.name = utf8_clean(p->functions[f].name, NAME_MAX_BYTES);
		bad |= !s.name;
		m->scatters[m->n_scatters++] = s;
	}
	if (!bad)
		qsort(m->scatters, m->n_scatters, sizeof(*m->scatters), by_scatter);
	free(all);
	return bad ? -1 : 0;
}

int measured_init(struct measured *m, const struct profile *p, struct error *e)
{
	*m = (struct measured){0};
	/* With sampling the timed calls are of large requests more than of small ones: they are no sample of all. */
	if (!p->tally->header.sample_bytes && make_times(m, p))
		goto failed;
	if (make_scatters(m, p))
		goto failed;
	return 0;
failed:
	measured_release(m);
	return error_set(e, "out of memory for the report");
}

void measured_release(struct measured *m)
{
	for (uint32_t i = 0; i < m->n_crates; i++)
		free(m->crates[i].name);
	for (uint32_t i = 0; i < m->n_functions; i++)
		free(m->functions[i].name);
	for (uint32_t i = 0; i < m->n_scatters; i++)
		free(m->scatters[i].name);
	free(m->crates);
	free(m->functions);
	free(m->scatters);
	*m = (struct measured){0};
}
