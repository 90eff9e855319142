/* SPDX-License-Identifier: MIT */
/* Time, score and rank of findings, and what they share: see ranking.h. */
#include "ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t n_groups(const struct finding *f)
{
	return 1 + f->n_more;
}

static const struct group *group_at(const struct finding *f, uint32_t i)
{
	return i ? f->more[i - 1] : f->group;
}

static struct totals totals_of(const struct finding *f)
{
	struct totals all = {0};

	for (uint32_t i = 0; i < n_groups(f); i++)
		totals_add(&all, &group_at(f, i)->totals);
	return all;
}

/* ---- time ---- */

/* A call of the allocator, in nanoseconds; 0: not measured. */
static double call_ns(const struct evidence *v, const struct totals *t)
{
	const struct totals *run = &v->profile->total;
	double n = (double)t->timed_calls, tick_ns = evidence_tick_ns(v->profile->tally);

	if (v->profile->tally->header.sample_bytes || !run->timed_calls || !run->timed_ticks)
		return 0;
	double usual = (double)run->timed_ticks / (double)run->timed_calls;
	if (!t->timed_calls)
		return usual * tick_ns;
	double mean = (double)t->timed_ticks / n;
	double deviation =
		n > 1 ? sqrt(fmax(0, (t->timed_squares - n * mean * mean) / (n - 1))) : 0;
	deviation = fmax(deviation, fmax(mean, usual));
	double weight = usual * usual / (usual * usual + deviation * deviation / n);
	return (weight * mean + (1 - weight) * usual) * tick_ns;
}

void finding_time(struct finding *f, const struct evidence *v, const struct catalog *c)
{
	struct saving *s = &f->saving;
	struct totals all = totals_of(f);
	double made = (double)(all.allocs + all.reallocs), each = call_ns(v, &all);

	if (s->time_ns)
		return;
	if (!s->calls && made > 0)
		s->calls = (uint64_t)((double)s->allocs * (made + (double)all.frees) / made + 0.5);
	s->timed = s->calls && each > 0;
	double time_ns = s->timed ? (double)s->calls * each : (double)s->allocs * c->alloc_ns;
	s->time_ns = (uint64_t)(time_ns + (double)s->copied_bytes * c->copy_ns_per_byte);
}

/* ---- rank ---- */

static double score_of(const struct findings *fs, const struct saving *s)
{
	const struct ht_header *h = &fs->evidence->profile->tally->header;
	double worth = h->cpu_ns ? (double)h->peak_bytes / (double)h->cpu_ns : 1;

	return (double)s->peak_bytes + (double)s->time_ns * worth;
}

static int worst_first(const void *a, const void *b)
{
	const struct finding *x = *(struct finding *const *)a, *y = *(struct finding *const *)b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return strcmp(x->pattern->name, y->pattern->name);
}

/* ---- what they share ---- */

/* The findings about a group, last one first. */
struct about {
	uint32_t finding, next; /* next: 1 + index; 0: none */
};

static int share_group(struct finding *f, uint32_t with, const struct group *g)
{
	uint32_t i = 0;

	while (i < f->n_shared && f->shared[i].with != with)
		i++;
	if (i == f->n_shared) {
		struct shared *grown =
			reallocarray(f->shared, (size_t)f->n_shared + 1, sizeof(*grown));
		if (!grown)
			return -1;
		f->shared = grown;
		f->shared[f->n_shared++] = (struct shared){.with = with};
	}
	f->shared[i].peak_bytes += at_least_zero(g->totals.peak_bytes);
	f->shared[i].allocs += g->totals.allocs + g->totals.reallocs;
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static int by_rank(const void *a, const void *b)
{
	const struct shared *x = a, *y = b;

	return x->with < y->with ? -1 : x->with > y->with;
}

/* Blocks in common are shared only as far as both findings save in them. */
static void shared_finish(const struct findings *fs, struct finding *f)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < f->n_shared; i++) {
		struct shared x = f->shared[i];
		const struct saving *other = &fs->rows[x.with]->saving;
		x.peak_bytes = least(x.peak_bytes, f->saving.peak_bytes, other->peak_bytes);
		x.allocs = least(x.allocs, f->saving.allocs, other->allocs);
		if (x.peak_bytes || x.allocs)
			f->shared[kept++] = x;
	}
	f->n_shared = kept;
	if (kept)
		qsort(f->shared, kept, sizeof(*f->shared), by_rank);
}

/* Each finding with the worse ones. */
static int share(struct findings *fs)
{
	const struct evidence *v = fs->evidence;
	uint32_t *last = calloc((size_t)v->n_groups + 1, sizeof(*last)), n = 0;
	struct about *all;

	for (uint32_t i = 0; i < fs->n; i++)
		n += n_groups(fs->rows[i]);
	all = calloc((size_t)n + 1, sizeof(*all));
	int bad = !last || !all;
	n = 0;
	for (uint32_t i = 0; !bad && i < fs->n; i++) {
		struct finding *f = fs->rows[i];
		f->n_shared = 0;
		for (uint32_t k = 0; !bad && k < n_groups(f); k++) {
			const struct group *g = group_at(f, k);
			for (uint32_t at = last[g - v->groups]; !bad && at; at = all[at - 1].next)
				bad = share_group(f, all[at - 1].finding, g);
		}
		for (uint32_t k = 0; !bad && k < n_groups(f); k++) {
			uint32_t *to = &last[group_at(f, k) - v->groups];
			all[n] = (struct about){i, *to};
			*to = ++n;
		}
		if (!bad)
			shared_finish(fs, f);
	}
	free(last);
	free(all);
	return bad ? -1 : 0;
}

int findings_together(struct saving *to, const struct findings *fs, const bool *keep)
{
	const struct evidence *v = fs->evidence;
	struct part {
		double peak_bytes, allocs;
	} *parts = calloc((size_t)v->n_groups + 1, sizeof(*parts)), all = {0};

	*to = (struct saving){0};
	if (!parts)
		return -1;
	for (uint32_t i = 0; i < fs->n; i++) {
		const struct finding *f = fs->rows[i];
		if (keep && !keep[i])
			continue;
		double peak_bytes = 0, allocs = 0;
		for (uint32_t k = 0; k < n_groups(f); k++) {
			const struct totals *t = &group_at(f, k)->totals;
			peak_bytes += (double)at_least_zero(t->peak_bytes);
			allocs += (double)t->allocs + (double)t->reallocs;
		}
		for (uint32_t k = 0; k < n_groups(f); k++) {
			const struct totals *t = &group_at(f, k)->totals;
			struct part *x = &parts[group_at(f, k) - v->groups];
			double bytes = (double)at_least_zero(t->peak_bytes),
			       calls = (double)t->allocs + (double)t->reallocs;
			if (peak_bytes > 0)
				x->peak_bytes = fmax(x->peak_bytes,
					(double)f->saving.peak_bytes * bytes / peak_bytes);
			if (allocs > 0)
				x->allocs =
					fmax(x->allocs, (double)f->saving.allocs * calls / allocs);
		}
	}
	for (uint32_t i = 0; i < v->n_groups; i++) {
		all.peak_bytes += parts[i].peak_bytes;
		all.allocs += parts[i].allocs;
	}
	free(parts);
	to->peak_bytes = (uint64_t)(all.peak_bytes + 0.5);
	to->allocs = (uint64_t)(all.allocs + 0.5);
	return 0;
}

void findings_rank(struct findings *fs, double min_score)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fs->n; i++) {
		struct finding *f = fs->rows[i];
		f->score = score_of(fs, &f->saving);
		if (f->score >= min_score)
			fs->rows[kept++] = f;
		else
			finding_release(f);
	}
	fs->n = kept;
	if (kept)
		qsort(fs->rows, kept, sizeof(*fs->rows), worst_first);
	fs->bad |= share(fs) || findings_together(&fs->together, fs, NULL);
}
