/* SPDX-License-Identifier: MIT */
/*
 * Phases of buckets from phases of records. A record has a row for each phase in which it changed, so a bucket has
 * one for each phase in which any of its records did; what a record without such a row held is in its next one, or
 * what it holds now. Sums of untrusted values wrap.
 */
#include "tally_phases.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_record(const void *a, const void *b)
{
	const struct phase_row *x = a, *y = b;

	if (x->row.counters != y->row.counters)
		return compare(x->row.counters, y->row.counters);
	if (x->row.mark != y->row.mark)
		return compare(x->row.mark, y->row.mark);
	return compare(x->number, y->number);
}

/* Within a bucket and mark by record: any order that is the same every time would do. */
static int by_bucket(const void *a, const void *b)
{
	const struct phase_row *x = a, *y = b;

	if (x->bucket != y->bucket)
		return compare(x->bucket, y->bucket);
	if (x->row.mark != y->row.mark)
		return compare(x->row.mark, y->row.mark);
	return compare(x->row.counters, y->row.counters);
}

/* to += a - b, field by field. */
static void add_difference(struct ht_phase *to, const struct ht_phase *a, const struct ht_phase *b)
{
	to->allocs += a->allocs - b->allocs;
	to->alloc_bytes += a->alloc_bytes - b->alloc_bytes;
	to->frees += a->frees - b->frees;
	to->live_count = (int64_t)((uint64_t)to->live_count + (uint64_t)a->live_count -
				   (uint64_t)b->live_count);
	to->live_bytes = (int64_t)((uint64_t)to->live_bytes + (uint64_t)a->live_bytes -
				   (uint64_t)b->live_bytes);
}

static struct ht_phase value_of(const struct ht_counters *c)
{
	return (struct ht_phase){
		.allocs = c->allocs,
		.alloc_bytes = c->alloc_bytes,
		.frees = c->frees,
		.live_count = c->live_count,
		.live_bytes = c->live_bytes,
	};
}

int phase_merge_init(struct phase_merge *m, const struct ht_phase *rows, uint32_t n,
	const struct ht_owner *owners)
{
	*m = (struct phase_merge){0};
	if (n < 2)
		return 0;
	m->rows = malloc(n * sizeof(*m->rows));
	m->records = malloc(n * sizeof(*m->records));
	if (!m->rows || !m->records) {
		phase_merge_release(m);
		return -1;
	}
	for (uint32_t i = 1; i < n; i++)
		m->rows[m->n_rows++] = (struct phase_row){owners[rows[i].counters].bucket, i, rows[i]};
	qsort(m->rows, m->n_rows, sizeof(*m->rows), by_record);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < m->n_rows; i++) {
		const struct phase_row *r = &m->rows[i], *before = kept ? &m->rows[kept - 1] : NULL;
		bool same = before && before->row.counters == r->row.counters;
		if (same && before->row.mark == r->row.mark)
			continue;
		if (!same)
			m->records[m->n_records++] =
				(struct phase_record){.counters = r->row.counters};
		m->rows[kept++] = *r;
	}
	m->n_rows = kept;
	return 0;
}

void phase_merge_record(struct phase_merge *m, uint64_t record, const struct ht_counters *c)
{
	while (m->next < m->n_records && m->records[m->next].counters < record)
		m->next++;
	if (m->next < m->n_records && m->records[m->next].counters == record)
		m->records[m->next].now = value_of(c);
}

/*
 * Each row becomes a difference: what its record gained from this row to its next one, or to the end. Then, from a
 * bucket's last mark back to its first, its value at a mark is the value at the next one less what its records gained
 * since.
 */
int phase_merge_finish(struct phase_merge *m, struct tally *t)
{
	t->phases = calloc((size_t)m->n_rows + 1, sizeof(*t->phases));
	if (!t->phases)
		return -1;
	if (m->n_rows == 0)
		return 0;
	uint32_t record = m->n_records;
	for (uint32_t i = m->n_rows; i-- > 0;) {
		struct ht_phase *row = &m->rows[i].row, value = *row, gained = {0};
		bool last = i + 1 == m->n_rows || m->rows[i + 1].row.counters != row->counters;
		/* `now` is what the record held at the row behind this one, or at the end */
		if (last)
			record--;
		add_difference(&gained, &m->records[record].now, &value);
		m->records[record].now = value;
		gained.counters = row->counters;
		gained.mark = row->mark;
		*row = gained;
	}
	qsort(m->rows, m->n_rows, sizeof(*m->rows), by_bucket);
	for (uint32_t i = 0; i < m->n_rows; i++) {
		const struct phase_row *r = &m->rows[i], *before = r - 1;
		if (i == 0 || r->bucket != before->bucket || r->row.mark != before->row.mark)
			t->phases[t->n_phases++] =
				(struct ht_phase){.counters = r->bucket, .mark = r->row.mark};
		add_difference(&t->phases[t->n_phases - 1], &r->row, &(struct ht_phase){0});
	}
	for (uint32_t i = t->n_phases; i-- > 0;) {
		struct ht_phase *p = &t->phases[i], gained = *p;
		bool last = i + 1 == t->n_phases || p[1].counters != p->counters;
		struct ht_phase next = last ? value_of(&t->counters[p->counters]) : p[1];
		*p = (struct ht_phase){.counters = gained.counters, .mark = gained.mark};
		add_difference(p, &next, &gained);
	}
	return 0;
}

void phase_merge_release(struct phase_merge *m)
{
	free(m->rows);
	free(m->records);
	*m = (struct phase_merge){0};
}

void tally_at_mark(const struct tally *t, uint32_t bucket, uint32_t mark, struct ht_phase *value)
{
	uint32_t low = 0, high = t->n_phases;

	if (mark == 0) {
		*value = (struct ht_phase){0};
	} else {
		/* the first row of the bucket at or after the mark */
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			const struct ht_phase *p = &t->phases[middle];
			if (p->counters < bucket || (p->counters == bucket && p->mark < mark))
				low = middle + 1;
			else
				high = middle;
		}
		*value = low < t->n_phases && t->phases[low].counters == bucket
				 ? t->phases[low]
				 : value_of(&t->counters[bucket]);
	}
	value->counters = bucket;
	value->mark = mark;
}

static int content_order(const void *a, const void *b)
{
	const struct ht_content *x = a, *y = b;

	return x->bucket != y->bucket ? compare(x->bucket, y->bucket) : compare(x->hash, y->hash);
}

void contents_pack(struct ht_content *contents, uint32_t *n)
{
	uint32_t kept = 0;

	if (*n)
		qsort(contents, *n, sizeof(*contents), content_order);
	for (uint32_t i = 0; i < *n; i++) {
		struct ht_content c = contents[i], *before = kept ? &contents[kept - 1] : NULL;
		if (!c.count)
			continue;
		if (before && content_order(before, &c) == 0)
			before->count = before->count + c.count < c.count ? UINT32_MAX
									  : before->count + c.count;
		else
			contents[kept++] = c;
	}
	*n = kept;
}
