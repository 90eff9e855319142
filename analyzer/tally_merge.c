/* SPDX-License-Identifier: MIT */
/* What threads have of the same bucket, adds up: counters with their history and phases, regrows, chains. */
#include "tally_merge.h"

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tally_phases.h"

#define BLOCK_RECORDS 1024u /* counters read at a time: stays in the L2 cache */

/* A history row on its way to a curve. */
struct row_state {
	int64_t live_bytes; /* of its counters record, now */
	bool linked;        /* the record names this row as its own */
};

/* What merging counters over threads needs. */
struct merge {
	struct tally *t;
	struct ht_owner *owners;
	struct ht_history *rows;
	struct row_state *row_states;
	struct phase_merge phases;
	uint32_t n_counters, n_rows;
};

/* Adds on untrusted values: wraps instead of being undefined. */
static void add_signed(int64_t *to, int64_t value)
{
	*to = (int64_t)((uint64_t)*to + (uint64_t)value);
}

static void add_saturating(uint32_t *to, uint32_t value)
{
	*to = value > UINT32_MAX - *to ? UINT32_MAX : *to + value;
}

static void counters_add(
	struct ht_counters *to, const struct ht_counters *from, const struct ht_header *h)
{
	to->allocs += from->allocs;
	to->alloc_bytes += from->alloc_bytes;
	to->usable_bytes += from->usable_bytes;
	add_signed(&to->live_count, from->live_count);
	add_signed(&to->live_bytes, from->live_bytes);
	/* a record that only saw frees may have 0 and 0 here, if nobody set them */
	if (from->max_bytes || from->allocs || from->usable_bytes) {
		if (from->min_bytes < to->min_bytes)
			to->min_bytes = from->min_bytes;
		if (from->max_bytes > to->max_bytes)
			to->max_bytes = from->max_bytes;
	}
	bool passed = !h->rising && h->peak_stamp && from->stamp_row >> 24 >= h->peak_stamp;
	add_signed(&to->peak_count, passed ? from->peak_count : from->live_count);
	add_signed(&to->peak_bytes, passed ? from->peak_bytes : from->live_bytes);
	to->frees += from->frees;
	to->temporary += from->temporary;
	to->foreign_frees += from->foreign_frees;
	to->lifetime_ticks += from->lifetime_ticks;
	add_saturating(&to->timed_calls, from->timed_calls);
	if (from->timed_squares > 0 && from->timed_squares <= FLT_MAX - to->timed_squares)
		to->timed_squares += from->timed_squares;
	to->timed_ticks += from->timed_ticks;
	to->filled_bytes += from->filled_bytes;
	to->unwritten_bytes += from->unwritten_bytes;
	for (int i = 0; i < (int)HT_LIFETIME_BINS; i++)
		add_saturating(&to->lifetimes[i], from->lifetimes[i]);
}

static int merge_light(struct tally *t, const struct source *s, struct error *e)
{
	uint32_t n = t->header.n_light;
	struct ht_light *light = source_load(s, HT_SEC_LIGHT, n, e);
	int rc = light ? 0 : -1;
	/* Records are handed on: one may be for a bucket that was made after the counts were taken. */
	uint32_t n_buckets = __atomic_load_n(&s->live->n_buckets, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct ht_counters c = ht_light_counters(&light[i]);
		if (light[i].bucket && light[i].bucket >= n_buckets)
			rc = source_damaged(
				s->path, e, "light record %u is for bucket %u", i, light[i].bucket);
		else if (light[i].bucket && light[i].bucket < t->n_buckets)
			counters_add(&t->counters[light[i].bucket], &c, &t->header);
	}
	free(light);
	return rc;
}

/* Zero all over, but for min_bytes, which is set when the record is made. */
static bool record_unused(const struct ht_counters *r)
{
	uint64_t words[sizeof(*r) / sizeof(uint64_t)], any = 0;

	memcpy(words, r, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		any |= i == offsetof(struct ht_counters, min_bytes) / sizeof(*words) ? 0 : words[i];
	return any == 0;
}

static void merge_records(struct merge *m, uint64_t first, const struct ht_counters *r, size_t n)
{
	struct tally *t = m->t;

	for (size_t i = 0; i < n; i++, r++) {
		uint64_t record = first + i;
		uint32_t bucket = m->owners[record].bucket;
		uint32_t row = r->stamp_row & 0xffffff;
		if (record_unused(r))
			continue;
		counters_add(&t->counters[bucket], r, &t->header);
		phase_merge_record(&m->phases, record, r);
		if (row != HT_NO_ROW && row < m->n_rows && m->rows[row].bucket == bucket &&
			m->rows[row].counters == record) {
			m->row_states[row].linked = true;
			m->row_states[row].live_bytes = r->live_bytes;
		}
	}
}

/* The records of one raw extent, a block at a time: there may be gigabytes of them. */
static int merge_raw(struct merge *m, const struct source *s, const struct ht_extent *x,
	uint64_t first, uint64_t n, struct error *e)
{
	const size_t size = sizeof(struct ht_counters);
	struct ht_counters *block = malloc(BLOCK_RECORDS * size);
	int rc = 0;

	if (!block)
		return source_no_memory(s->path, e);
	for (uint64_t i = 0; i < n && rc == 0; i += BLOCK_RECORDS) {
		size_t step = n - i < BLOCK_RECORDS ? n - i : BLOCK_RECORDS;
		rc = source_read(s, x->offset + i * size, block, step * size, e);
		if (rc == 0)
			merge_records(m, first + i, block, step);
	}
	free(block);
	return rc;
}

static int merge_extents(struct merge *m, const struct source *s, struct error *e)
{
	const size_t size = sizeof(struct ht_counters);
	uint64_t need = m->n_counters, at = 0;

	if (source_check(s, HT_SEC_COUNTERS, need * size, e) < 0)
		return -1;
	for (uint32_t i = 0; i < s->n_extents && at < need; i++) {
		const struct ht_extent *x = &s->extents[i];
		if (x->section != HT_SEC_COUNTERS)
			continue;
		uint64_t n = x->raw_bytes / size < need - at ? x->raw_bytes / size : need - at;
		if (x->codec == HT_CODEC_ZSTD) {
			struct ht_counters *records = malloc(x->raw_bytes + 1);
			if (!records)
				return source_no_memory(s->path, e);
			int rc = source_inflate(s, x, records, e);
			if (rc == 0)
				merge_records(m, at, records, n);
			free(records);
			if (rc < 0)
				return -1;
		} else if (merge_raw(m, s, x, at, n, e) < 0) {
			return -1;
		}
		at += n;
	}
	return 0;
}

/*
 * Adds a row to its bucket's curve. Coarsening keeps every second value, the odd indices; point k of now was
 * point (k + 1) * 2^behind - 1 when the row was written.
 */
static void curve_add(int64_t *to, uint32_t n_points, const struct ht_history *row, uint32_t behind,
	int64_t live_bytes)
{
	for (uint32_t k = 0; k < n_points; k++) {
		uint32_t i = HT_TIMELINE_POINTS;
		if (behind < 10 && ((k + 1) << behind) - 1 < HT_TIMELINE_POINTS)
			i = ((k + 1) << behind) - 1;
		if (i < row->first)
			continue;
		add_signed(&to[k],
			i < row->next && i < HT_TIMELINE_POINTS ? row->live_bytes[i] : live_bytes);
	}
}

/* A row is of use when its record knows it, and no newer than the timeline (the host may be at it just now). */
static bool row_usable(const struct merge *m, uint32_t row)
{
	return m->row_states[row].linked &&
	       m->rows[row].generation <= m->t->header.point_generation;
}

static int curves_make(struct merge *m, const struct source *s, struct error *e)
{
	struct tally *t = m->t;
	uint32_t *place =
		calloc(t->n_buckets, sizeof(*place)); /* 1 + index of the bucket's curve */
	int rc = -1;

	if (!place)
		return source_no_memory(s->path, e);
	for (uint32_t i = 1; i < m->n_rows; i++)
		if (row_usable(m, i) && !place[m->rows[i].bucket]) {
			place[m->rows[i].bucket] = 1;
			t->n_curves++;
		}
	t->curves = calloc(t->n_curves + 1, sizeof(*t->curves));
	if (!t->curves) {
		source_no_memory(s->path, e);
		goto out;
	}
	for (uint32_t bucket = 0, n = 0; bucket < t->n_buckets; bucket++) {
		if (!place[bucket])
			continue;
		t->curves[n].bucket = bucket;
		t->curves[n].live_bytes = calloc(t->n_points + 1, sizeof(int64_t));
		if (!t->curves[n].live_bytes) {
			source_no_memory(s->path, e);
			goto out;
		}
		place[bucket] = ++n;
	}
	for (uint32_t i = 1; i < m->n_rows; i++)
		if (row_usable(m, i))
			curve_add(t->curves[place[m->rows[i].bucket] - 1].live_bytes, t->n_points,
				&m->rows[i], t->header.point_generation - m->rows[i].generation,
				m->row_states[i].live_bytes);
	rc = 0;
out:
	free(place);
	return rc;
}

static int load_phases(struct merge *m, const struct source *s, struct error *e)
{
	uint32_t n = m->t->header.n_phases;
	struct ht_phase *rows = source_load(s, HT_SEC_PHASES, n, e);
	int rc = rows ? 0 : -1;

	for (uint32_t i = 1; i < n && rc == 0; i++)
		if (rows[i].counters >= m->n_counters || rows[i].mark == 0 ||
			rows[i].mark >= m->t->n_marks)
			rc = source_damaged(s->path, e, "phase row %u is for record %u, mark %u", i,
				rows[i].counters, rows[i].mark);
	if (rc == 0 && phase_merge_init(&m->phases, rows, n, m->owners) < 0)
		rc = source_no_memory(s->path, e);
	free(rows);
	return rc;
}

int merge_counters(struct tally *t, const struct source *s, struct error *e)
{
	struct merge m = {
		.t = t, .n_counters = t->header.n_counters, .n_rows = t->header.n_history};
	uint64_t bytes = (uint64_t)t->n_buckets * sizeof(*t->counters);
	int rc = -1;

	if (bytes > SECTION_MAX_BYTES)
		return source_damaged(s->path, e, "it claims %u buckets", t->n_buckets);
	t->counters = calloc(1, bytes);
	m.owners = source_load(s, HT_SEC_OWNERS, m.n_counters, e);
	if (!m.owners)
		goto out;
	m.rows = source_load(s, HT_SEC_HISTORY, m.n_rows, e);
	if (!m.rows)
		goto out;
	m.row_states = calloc((size_t)m.n_rows + 1, sizeof(*m.row_states));
	if (!t->counters || !m.row_states) {
		source_no_memory(s->path, e);
		goto out;
	}
	for (uint32_t i = 0; i < m.n_counters; i++)
		if (m.owners[i].bucket >= t->n_buckets) {
			source_damaged(s->path, e, "counters record %u is for bucket %u", i,
				m.owners[i].bucket);
			goto out;
		}
	for (uint32_t i = 1; i < m.n_rows; i++)
		if (m.rows[i].bucket >= t->n_buckets || m.rows[i].counters >= m.n_counters) {
			source_damaged(s->path, e, "history row %u is for bucket %u, record %u", i,
				m.rows[i].bucket, m.rows[i].counters);
			goto out;
		}
	for (uint32_t i = 0; i < t->n_buckets; i++)
		t->counters[i].min_bytes = UINT64_MAX;
	if (load_phases(&m, s, e) < 0 || merge_extents(&m, s, e) < 0 || merge_light(t, s, e) < 0)
		goto out;
	if (phase_merge_finish(&m.phases, t) < 0)
		source_no_memory(s->path, e);
	else
		rc = curves_make(&m, s, e);
out:
	phase_merge_release(&m.phases);
	free(m.owners);
	free(m.rows);
	free(m.row_states);
	return rc;
}

static int regrow_compare(const void *a, const void *b)
{
	const struct ht_regrow *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

static int chain_compare(const void *a, const void *b)
{
	const struct ht_chain *x = a, *y = b;

	if (x->origin != y->origin)
		return x->origin < y->origin ? -1 : 1;
	return (x->size_class > y->size_class) - (x->size_class < y->size_class);
}

void merge_regrows(struct tally *t)
{
	uint32_t n = 0;

	qsort(t->regrows, t->n_regrows, sizeof(*t->regrows), regrow_compare);
	for (uint32_t i = 0; i < t->n_regrows; i++) {
		const struct ht_regrow *r = &t->regrows[i];
		struct ht_regrow *to = n ? &t->regrows[n - 1] : NULL;
		if (!to || regrow_compare(to, r) != 0) {
			t->regrows[n++] = *r;
			continue;
		}
		to->count += r->count;
		to->from_bytes += r->from_bytes;
		to->to_bytes += r->to_bytes;
		to->moved += r->moved;
		to->copied_bytes += r->copied_bytes;
	}
	t->n_regrows = n;
}

void merge_chains(struct tally *t)
{
	uint32_t n = 0;

	qsort(t->chains, t->n_chains, sizeof(*t->chains), chain_compare);
	for (uint32_t i = 0; i < t->n_chains; i++) {
		const struct ht_chain *c = &t->chains[i];
		struct ht_chain *to = n ? &t->chains[n - 1] : NULL;
		if (!to || chain_compare(to, c) != 0) {
			t->chains[n++] = *c;
			continue;
		}
		to->now += c->now;
		to->ended += c->ended;
		to->regrows += c->regrows;
		to->copied_bytes += c->copied_bytes;
		for (int k = 0; k < (int)HT_CHAIN_BINS; k++)
			add_saturating(&to->lengths[k], c->lengths[k]);
	}
	t->n_chains = n;
}
