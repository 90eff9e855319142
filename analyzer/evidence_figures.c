/* SPDX-License-Identifier: MIT */
/* The figures of one group: sizes, times, the size of T, what it held at the marks. */
#include <stdlib.h>
#include <string.h>

#include "evidence_internal.h"

#define VEC_FIRST_ITEMS                                                                            \
	4u /* RawVec's first growth reserves so many elements of 2 to 1024 bytes ... */
#define VEC_SMALL_BYTES  1024u
#define TABLE_GROUP      16u    /* hashbrown's, with SSE2 */
#define TABLE_LOOK_BYTES 65536u /* smallest tables beyond this do not tell their items */

double evidence_tick_ns(const struct tally *t)
{
	const struct ht_header *h = &t->header;

	return h->last_ticks > h->start_ticks && h->last_ns > h->start_ns
		       ? (double)(h->last_ns - h->start_ns) /
				 (double)(h->last_ticks - h->start_ticks)
		       : 0;
}

/* Sizes by class: the size that `percent` of all do not exceed. */
static uint64_t request_percentile(
	const struct evidence *v, const struct group *g, double percent, uint64_t all)
{
	const struct tally *t = v->profile->tally;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		const struct totals *x = &v->profile->buckets[b].totals;
		sum += x->allocs + x->reallocs;
		if (sum && (double)sum >= percent / 100 * (double)all)
			return t->counters[b].max_bytes;
	}
	return 0;
}

/*
 * RawVec::grow_one from empty reserves 8 elements of one byte, 4 of up to 1024, else 1 (MIN_NON_ZERO_CAP in
 * alloc/src/raw_vec). A first allocation of 8 bytes can be 8 or 4 elements, one of 1025 to 4096 bytes 4 or 1; a larger
 * one can be a reserve.
 */
static uint32_t first_growth_bytes(uint64_t first)
{
	if (first > VEC_FIRST_ITEMS * VEC_SMALL_BYTES)
		return 0;
	if (first > VEC_SMALL_BYTES || first == 8 || first % VEC_FIRST_ITEMS)
		return 0;
	return (uint32_t)(first / VEC_FIRST_ITEMS);
}

/* Bytes of hashbrown's table of n buckets: items, to a group's alignment; a byte each, and a group of them once more. */
static uint64_t table_bytes(uint64_t n, uint64_t item)
{
	return (n * item + TABLE_GROUP - 1) / TABLE_GROUP * TABLE_GROUP + n + TABLE_GROUP;
}

static bool is_table_of(uint64_t bytes, uint64_t item)
{
	for (uint64_t n = 4; n <= bytes; n *= 2)
		if (table_bytes(n, item) == bytes)
			return true;
	return false;
}

/* Where the items need no padding, n (item + 1) + 16 has one solution with an even item. */
static uint32_t large_table_item_bytes(uint64_t bytes)
{
	uint64_t both = evidence_less(bytes, TABLE_GROUP), n = both & -both;

	return n >= TABLE_GROUP && both / n - 1 <= UINT32_MAX ? (uint32_t)(both / n - 1) : 0;
}

static bool are_tables_of(const struct evidence *v, const struct group *g, uint64_t item)
{
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		const struct ht_counters *c = &v->profile->tally->counters[b];
		if (c->min_bytes <= c->max_bytes &&
			(!is_table_of(c->min_bytes, item) || !is_table_of(c->max_bytes, item)))
			return false;
	}
	return true;
}

/*
 * The item that all tables of the group can have been made of. Padding leaves several in small tables; the one that
 * is most aligned is taken. 0: there is no such item.
 */
static uint32_t table_item_bytes(const struct evidence *v, const struct group *g)
{
	uint64_t best = 0;

	if (g->min_bytes == g->max_bytes || g->min_bytes > TABLE_LOOK_BYTES)
		return large_table_item_bytes(g->max_bytes);
	for (uint64_t n = 4; n + TABLE_GROUP < g->min_bytes; n *= 2) {
		uint64_t items = g->min_bytes - n - TABLE_GROUP;
		/* n of them, rounded up, fill these bytes */
		for (uint64_t item = items / n; item && n * item + TABLE_GROUP > items; item--)
			if ((!best || (item & -item) > (best & -best)) && are_tables_of(v, g, item))
				best = item;
	}
	return (uint32_t)best;
}

/* A leaf: the parent's address, two numbers of 16 bits, 11 keys and 11 values; an inner node has 12 addresses more. */
static uint32_t node_item_bytes(uint64_t leaf)
{
	uint64_t item = leaf > 12 ? (leaf - 12) / 11 : 0;

	return item <= UINT32_MAX ? (uint32_t)item : 0;
}

void group_fill(struct evidence *v, struct group *g, bool grows_vec, double tick_ns)
{
	const struct tally *t = v->profile->tally;
	uint64_t first = 0;
	bool one_first = true;

	g->min_bytes = UINT64_MAX;
	g->align = t->buckets[v->bucket_order[g->first_bucket]].align;
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		g->filled_bytes += t->counters[b].filled_bytes;
		g->unwritten_bytes += t->counters[b].unwritten_bytes;
		totals_add(&g->totals, &v->profile->buckets[b].totals);
		if (t->buckets[b].align != g->align)
			g->align = 0;
		if (t->counters[b].min_bytes > t->counters[b].max_bytes)
			continue;
		g->min_bytes = t->counters[b].min_bytes < g->min_bytes ? t->counters[b].min_bytes
								       : g->min_bytes;
		g->max_bytes = t->counters[b].max_bytes > g->max_bytes ? t->counters[b].max_bytes
								       : g->max_bytes;
		if (t->counters[b].allocs) {
			one_first &= t->counters[b].min_bytes == t->counters[b].max_bytes &&
				     (!first || first == t->counters[b].min_bytes);
			first = t->counters[b].min_bytes;
		}
	}
	if (g->min_bytes > g->max_bytes)
		g->min_bytes = 0;
	uint64_t all = g->totals.allocs + g->totals.reallocs;
	g->p50_bytes = request_percentile(v, g, 50, all);
	g->p99_bytes = request_percentile(v, g, 99, all);
	g->slack_bytes =
		evidence_less(g->totals.usable_bytes, totals_metric(&g->totals, METRIC_BYTES));
	if (tick_ns > 0)
		g->lifetime_mean_ns = (uint64_t)(totals_life_ticks(&g->totals) * tick_ns);
	g->element_bytes = names_builtin_bytes(g->element);
	if (g->container == CONTAINER_STRING)
		g->element_bytes = 1;
	else if (g->container == CONTAINER_BTREE)
		g->element_bytes = node_item_bytes(g->min_bytes);
	else if (!g->element_bytes && g->container == CONTAINER_TABLE)
		g->element_bytes = table_item_bytes(v, g);
	else if (!g->element_bytes && grows_vec && one_first)
		g->element_bytes = first_growth_bytes(first);
}

/* Does a bucket's curve say what the bucket held? Not all threads' records need have been followed. */
static bool *curves_telling(const struct tally *t)
{
	bool *telling = calloc((size_t)t->n_buckets + 1, sizeof(*telling));
	uint32_t at = 0;

	for (uint32_t i = 0; i < t->n_points; i++)
		if (t->points[i].live_bytes > t->points[at].live_bytes)
			at = i;
	for (uint32_t i = 0; telling && t->n_points && i < t->n_curves; i++) {
		int64_t there = t->counters[t->curves[i].bucket].peak_bytes;
		telling[t->curves[i].bucket] =
			2 * (double)t->curves[i].live_bytes[at] > (double)there;
	}
	return telling;
}

/* When its blocks were freed, on average, if they were allocated evenly until then. */
static uint64_t freed_ticks(const struct totals *t, uint64_t first_ticks, uint64_t until_ticks)
{
	uint64_t middle = first_ticks + evidence_less(until_ticks, first_ticks) / 2;
	double freed = (double)middle + totals_life_ticks(t);

	return t->lives && freed < 0x1p64 ? (uint64_t)freed : UINT64_MAX;
}

/*
 * Marked phases are exact. In told ones a bucket without a curve is taken to hold what it held at the peak from the
 * phase it belongs to until its blocks were freed, which is after the peak, and then what it held in the end.
 */
int evidence_phases(struct evidence *v)
{
	const struct tally *t = v->profile->tally;
	uint32_t n = v->phases.n;
	bool *telling;

	if (n < 2)
		return 0;
	telling = curves_telling(t);
	v->phase_ends = calloc((size_t)v->n_groups * n + 1, sizeof(*v->phase_ends));
	if (!v->phase_ends || !telling) {
		free(telling);
		return -1;
	}
	for (uint32_t b = 0; b < t->n_buckets; b++) {
		uint32_t at = v->bucket_group[b];
		uint64_t freed = 0;
		bool begun = false;
		if (at == PROFILE_NONE)
			continue;
		int64_t *ends = v->phase_ends + (size_t)at * n;
		v->groups[at].phase_ends = ends;
		for (uint32_t i = 0; i < n; i++) {
			struct totals x;
			phases_bucket(&v->phases, i, b, &x);
			if (x.allocs && !begun) {
				begun = true;
				freed = freed_ticks(&v->profile->buckets[b].totals,
					t->buckets[b].first_ticks, v->phases.all[i].end_ticks);
			}
			if (v->phases.estimated && !telling[b])
				x.live_bytes = !begun ? 0
					       : v->phases.all[i].end_ticks <= freed ||
							       v->phases.all[i].start_ticks <=
								       t->header.peak_ticks
						       ? t->counters[b].peak_bytes
						       : t->counters[b].live_bytes;
			ends[i] = (int64_t)((uint64_t)ends[i] + (uint64_t)x.live_bytes);
		}
	}
	free(telling);
	return 0;
}
