/* SPDX-License-Identifier: MIT */
/* Marked phases and told ones: see phases.h. */
#include "phases.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LISTED_BYTES 300u
#define NO_PASS          UINT32_MAX

struct pass {
	char *name;
	uint64_t first_ticks;
	uint32_t phase;
};

static int out_of_memory(struct error *e)
{
	return error_set(e, "out of memory for the phases");
}

static uint64_t rising(uint64_t from, uint64_t to)
{
	return to > from && to - from <= INT64_MAX ? to - from : 0;
}

/* The timeline at a moment; between two points the value before. */
static const struct ht_point *point_at(const struct tally *t, uint64_t ticks)
{
	const struct ht_point *p = NULL;

	for (uint32_t i = 0; i < t->n_points && t->points[i].ticks <= ticks; i++)
		p = &t->points[i];
	return p;
}

static uint64_t highest_between(const struct tally *t, uint64_t start, uint64_t end)
{
	const struct ht_header *h = &t->header;
	uint64_t highest = h->peak_ticks >= start && h->peak_ticks < end ? h->peak_bytes : 0;

	/* a point tells of the span before it, so the first one in the phase may tell of the phase before */
	for (uint32_t i = 1; i < t->n_points; i++)
		if (t->points[i - 1].ticks >= start && t->points[i].ticks <= end &&
			t->points[i].live_max_bytes > highest)
			highest = t->points[i].live_max_bytes;
	return highest;
}

static uint64_t total_live(const struct tally *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->n_buckets; i++)
		sum += (uint64_t)t->counters[i].live_bytes;
	return at_least_zero((int64_t)sum);
}

/* Ends, and peaks where nobody measured them. */
static void complete(struct phases *ph)
{
	const struct tally *t = ph->tally;

	for (uint32_t i = 0; i < ph->n; i++) {
		struct phase *p = &ph->all[i], *next = i + 1 < ph->n ? p + 1 : NULL;
		uint64_t end = next ? next->start_ticks : t->header.last_ticks;
		p->end_ticks = end > p->start_ticks ? end : p->start_ticks;
		p->end_bytes = next ? next->live_bytes : total_live(t);
		if (!p->peak_bytes)
			p->peak_bytes = highest_between(
				t, p->start_ticks, next ? p->end_ticks : UINT64_MAX);
		if (p->peak_bytes < p->live_bytes)
			p->peak_bytes = p->live_bytes;
		if (p->peak_bytes < p->end_bytes)
			p->peak_bytes = p->end_bytes;
	}
}

/* Marked */

/* Sums in one pass: a bucket's rows are where it changed. */
static void marked_sums(struct phases *ph)
{
	const struct tally *t = ph->tally;
	uint32_t row = 0;

	for (uint32_t b = 0; b < t->n_buckets; b++) {
		struct ht_phase from = {0}, to;
		uint32_t k = 0;
		for (;; row++) {
			bool more = row < t->n_phases && t->phases[row].counters == b;
			struct phase *p = &ph->all[k];
			tally_at_mark(t, b, more ? t->phases[row].mark : t->n_marks, &to);
			p->allocs += rising(from.allocs, to.allocs);
			p->alloc_bytes += rising(from.alloc_bytes, to.alloc_bytes);
			p->frees += rising(from.frees, to.frees);
			if (!more)
				break;
			k = to.mark;
			from = to;
		}
	}
}

static int marked_init(struct phases *ph, struct error *e)
{
	const struct tally *t = ph->tally;

	ph->n = t->n_marks;
	ph->all = calloc(ph->n, sizeof(*ph->all));
	if (!ph->all)
		return out_of_memory(e);
	for (uint32_t i = 0; i < ph->n; i++) {
		const struct ht_mark *m = &t->marks[i];
		ph->all[i] = (struct phase){
			.name = tally_string(t, m->name),
			.numbers = tally_string(t, m->numbers),
			.start_ticks = m->ticks,
			.live_bytes = m->live_bytes,
			.rss_bytes = m->rss_bytes,
			.peak_bytes = i + 1 < ph->n ? m[1].peak_bytes : 0,
		};
	}
	marked_sums(ph);
	complete(ph);
	return 0;
}

/* Told */

/* "<rspack_core::compilation::XPass as …PassExt>::run_pass::{closure#0}" → "X". NULL: no pass; "": no memory. */
static char *pass_name(const char *function)
{
	const char *end = strstr(function, "PassExt>::run_pass"), *start;

	if (strstr(function, "Compiler>::emit_assets"))
		return strdup("EmitAssets");
	if (!end)
		return NULL;
	while (end > function && strncmp(end, " as ", 4) != 0)
		end--;
	for (start = end; start > function && start[-1] != ':' && start[-1] != '<'; start--)
		;
	size_t n = (size_t)(end - start);
	if (n == 0)
		return NULL;
	if (n > 4 && strncmp(end - 4, "Pass", 4) == 0)
		n -= 4;
	return strndup(start, n);
}

/* For each function which pass it is, several of one name being one. -1: out of memory. */
static int passes_find(
	const struct profile *p, uint32_t *of_function, struct pass **passes, uint32_t *n)
{
	*passes = NULL;
	*n = 0;
	for (uint32_t f = 0; f < p->n_functions; f++) {
		char *name = pass_name(p->functions[f].name);
		uint32_t i = 0;

		of_function[f] = NO_PASS;
		if (!name)
			continue;
		while (i < *n && strcmp((*passes)[i].name, name) != 0)
			i++;
		if (i < *n) {
			free(name);
		} else {
			struct pass *grown = realloc(*passes, (*n + 1) * sizeof(*grown));
			if (!grown) {
				free(name);
				return -1;
			}
			*passes = grown;
			grown[(*n)++] = (struct pass){.name = name, .first_ticks = UINT64_MAX};
		}
		of_function[f] = i;
	}
	return 0;
}

/* The innermost pass on each site's stack; parents come first. */
static void passes_of_sites(const struct profile *p, const uint32_t *of_function, uint32_t *of_site)
{
	of_site[0] = NO_PASS;
	for (uint32_t s = 1; s < p->tally->n_sites; s++) {
		uint32_t n;
		const struct ht_frame *f = profile_site_frames(p, s, &n);

		of_site[s] = of_site[p->tally->sites[s].parent];
		for (uint32_t i = 0; i < n; i++)
			if (of_function[f[i].function] != NO_PASS) {
				of_site[s] = of_function[f[i].function];
				break;
			}
	}
}

static int pass_by_time(const void *a, const void *b)
{
	const struct pass *x = *(struct pass *const *)a, *y = *(struct pass *const *)b;

	return (x->first_ticks > y->first_ticks) - (x->first_ticks < y->first_ticks);
}

static uint32_t phase_at(const struct phases *ph, uint64_t ticks)
{
	uint32_t k = 0;

	while (k + 1 < ph->n && ph->all[k + 1].start_ticks <= ticks)
		k++;
	return k;
}

/* Phases from passes that were seen, in order of time, after one for what came before them. */
static int told_phases(struct phases *ph, struct pass *passes, uint32_t n)
{
	const struct tally *t = ph->tally;
	struct pass **order = malloc((n + 1) * sizeof(*order));
	uint32_t seen = 0;

	ph->all = calloc(n + 1, sizeof(*ph->all));
	ph->names = calloc(n + 1, sizeof(*ph->names));
	if (!order || !ph->all || !ph->names) {
		free(order);
		return -1;
	}
	for (uint32_t i = 0; i < n; i++)
		if (passes[i].first_ticks != UINT64_MAX)
			order[seen++] = &passes[i];
	if (seen)
		qsort(order, seen, sizeof(*order), pass_by_time);
	ph->n = seen + 1;
	ph->all[0] = (struct phase){
		.name = "start", .numbers = "", .start_ticks = t->header.start_ticks};
	for (uint32_t i = 1; i <= seen; i++) {
		const struct ht_point *at = point_at(t, order[i - 1]->first_ticks);
		ph->names[i] = order[i - 1]->name;
		order[i - 1]->name = NULL;
		order[i - 1]->phase = i;
		ph->all[i] = (struct phase){
			.name = ph->names[i],
			.numbers = "",
			.start_ticks = order[i - 1]->first_ticks,
			.live_bytes = at ? at->live_bytes : 0,
			.rss_bytes = at ? at->rss_bytes : 0,
		};
	}
	free(order);
	return 0;
}

static int told_init(struct phases *ph, const struct profile *p, struct error *e)
{
	const struct tally *t = ph->tally;
	uint32_t *of_function = malloc(p->n_functions * sizeof(*of_function));
	uint32_t *of_site = malloc(t->n_sites * sizeof(*of_site)), n = 0;
	struct pass *passes = NULL;
	int ret = -1;

	ph->bucket_phase = calloc(t->n_buckets, sizeof(*ph->bucket_phase));
	ph->bucket_curve = calloc(t->n_buckets, sizeof(*ph->bucket_curve));
	if (!of_function || !of_site || !ph->bucket_phase || !ph->bucket_curve ||
		passes_find(p, of_function, &passes, &n) < 0)
		goto out;
	passes_of_sites(p, of_function, of_site);
	for (uint32_t b = 1; b < t->n_buckets; b++) {
		uint32_t pass = of_site[t->buckets[b].site];
		uint64_t first = t->buckets[b].first_ticks;
		if (pass != NO_PASS && first && first < passes[pass].first_ticks)
			passes[pass].first_ticks = first;
	}
	if (told_phases(ph, passes, n) < 0)
		goto out;
	for (uint32_t b = 0; b < t->n_buckets; b++) {
		const struct ht_counters *c = &t->counters[b];
		uint32_t pass = of_site[t->buckets[b].site];
		uint32_t k = pass != NO_PASS && passes[pass].phase
				     ? passes[pass].phase
				     : phase_at(ph, t->buckets[b].first_ticks);
		ph->bucket_phase[b] = k;
		ph->all[k].allocs += c->allocs;
		ph->all[k].alloc_bytes += c->alloc_bytes;
		ph->all[k].frees += c->frees;
	}
	for (uint32_t i = 0; i < t->n_curves; i++)
		ph->bucket_curve[t->curves[i].bucket] = i + 1;
	complete(ph);
	ret = 0;
out:
	for (uint32_t i = 0; i < n; i++)
		free(passes[i].name);
	free(passes);
	free(of_function);
	free(of_site);
	return ret ? out_of_memory(e) : 0;
}

/* Live at the end of a told phase: off its curve, or all or nothing. */
static void told_live(
	const struct phases *ph, uint32_t phase, uint32_t bucket, struct totals *totals)
{
	const struct tally *t = ph->tally;
	const struct ht_counters *c = &t->counters[bucket];
	uint32_t curve = ph->bucket_curve[bucket];
	const struct ht_point *at = point_at(t, ph->all[phase].end_ticks);

	if (phase + 1 < ph->n && ph->bucket_phase[bucket] > phase)
		return;
	if (phase + 1 < ph->n && curve && at) {
		int64_t live = t->curves[curve - 1].live_bytes[at - t->points];
		totals->live_bytes = (int64_t)at_least_zero(live);
		/* blocks of the size that the bucket's have on average */
		if (c->alloc_bytes && live > 0)
			totals->live_count = (int64_t)((double)live * (double)c->allocs /
						       (double)c->alloc_bytes);
	} else {
		totals->live_bytes = (int64_t)at_least_zero(c->live_bytes);
		totals->live_count = (int64_t)at_least_zero(c->live_count);
	}
}

int phases_init(struct phases *ph, const struct profile *p, struct error *e)
{
	int ret;

	*ph = (struct phases){.tally = p->tally, .estimated = p->tally->n_marks < 2};
	ret = ph->estimated ? told_init(ph, p, e) : marked_init(ph, e);
	if (ret < 0)
		phases_release(ph);
	return ret;
}

void phases_release(struct phases *ph)
{
	for (uint32_t i = 0; ph->names && i < ph->n; i++)
		free(ph->names[i]);
	free(ph->names);
	free(ph->all);
	free(ph->bucket_phase);
	free(ph->bucket_curve);
	*ph = (struct phases){0};
}

int phases_find(const struct phases *ph, const char *name, struct error *e)
{
	char list[MAX_LISTED_BYTES + 8] = "";
	size_t at = 0;

	for (uint32_t i = ph->n; i-- > 0;)
		if (strcmp(ph->all[i].name, name) == 0)
			return (int)i;
	for (uint32_t i = 0; i < ph->n; i++) {
		size_t n = strlen(ph->all[i].name);
		bool repeated = false;
		for (uint32_t k = 0; k < i && !repeated; k++)
			repeated = strcmp(ph->all[k].name, ph->all[i].name) == 0;
		if (repeated)
			continue;
		if (at + n + 2 > MAX_LISTED_BYTES) {
			strcpy(list + at, ", …");
			break;
		}
		if (at)
			at = (size_t)(stpcpy(list + at, ", ") - list);
		at = (size_t)(stpcpy(list + at, ph->all[i].name) - list);
	}
	return error_set(
		e, "no phase '%.100s'; there %s %s", name, ph->n == 1 ? "is only" : "are", list);
}

void phases_bucket(const struct phases *ph, uint32_t phase, uint32_t bucket, struct totals *totals)
{
	*totals = (struct totals){0};
	if (ph->estimated) {
		const struct ht_counters *c = &ph->tally->counters[bucket];
		if (ph->bucket_phase[bucket] == phase) {
			totals->allocs = c->allocs;
			totals->alloc_bytes = c->alloc_bytes;
			totals->frees = c->frees;
		}
		told_live(ph, phase, bucket, totals);
		return;
	}
	struct ht_phase from, to;
	tally_at_mark(ph->tally, bucket, phase, &from);
	tally_at_mark(ph->tally, bucket, phase + 1, &to);
	totals->allocs = rising(from.allocs, to.allocs);
	totals->alloc_bytes = rising(from.alloc_bytes, to.alloc_bytes);
	totals->frees = rising(from.frees, to.frees);
	totals->live_count = to.live_count;
	totals->live_bytes = to.live_bytes;
}

struct named {
	const struct phases *ph;
	const char *name;
	uint32_t last;
};

static void fill_named(void *arg, uint32_t bucket, struct totals *totals)
{
	const struct named *n = arg;
	struct totals one;

	*totals = (struct totals){0};
	for (uint32_t i = 0; i <= n->last; i++) {
		if (strcmp(n->ph->all[i].name, n->name) != 0)
			continue;
		phases_bucket(n->ph, i, bucket, &one);
		totals->live_bytes = totals->live_count = 0;
		totals_add(totals, &one);
	}
}

int phases_profile(struct profile *p, const struct phases *ph, const char *name,
	const char *const *plumbing_crates, struct error *e)
{
	int last = phases_find(ph, name, e);
	struct named named = {ph, name, (uint32_t)last};

	if (last < 0 || profile_init_with(p, ph->tally, plumbing_crates, fill_named, &named, e) < 0)
		return -1;
	p->phase = strdup(name);
	if (!p->phase) {
		profile_release(p);
		return out_of_memory(e);
	}
	return 0;
}
