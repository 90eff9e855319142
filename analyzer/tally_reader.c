/* SPDX-License-Identifier: MIT */
/*
 * Untrusted records in, a checked tally out, merged over threads. The file may still be being written: counts are taken
 * before the records they count. See preload/FORMAT.md.
 */
#include "tally.h"

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tally_phases.h"
#include "tally_source.h"

#define BLOCK_RECORDS    1024u /* counters read at a time: stays in the L2 cache */
#define COARSENING_TRIES 3

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

/*
 * A record is published after those it refers to. Taken in the opposite order, each count covers whatever the
 * records counted before it refer to; acquire pairs with the shim's release.
 */
static void header_copy(struct ht_header *h, const struct ht_header *live)
{
	memcpy(h, live, sizeof(*h));
#define TAKE(field) (h->field = __atomic_load_n(&live->field, __ATOMIC_ACQUIRE))
	TAKE(point_generation);
	TAKE(n_points);
	TAKE(n_contents);
	TAKE(n_phases);
	TAKE(n_marks);
	TAKE(n_history);
	TAKE(n_counters);
	TAKE(n_light);
	TAKE(n_regrows);
	TAKE(n_chains);
	TAKE(n_buckets);
	TAKE(n_sites);
	TAKE(n_modules);
	TAKE(n_threads);
	TAKE(strings_bytes);
#undef TAKE
}

/* Adds on untrusted values: wraps instead of being undefined. */
static void add_signed(int64_t *to, int64_t value)
{
	*to = (int64_t)((uint64_t)*to + (uint64_t)value);
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
	to->timed_calls = from->timed_calls > UINT32_MAX - to->timed_calls
				  ? UINT32_MAX
				  : to->timed_calls + from->timed_calls;
	if (from->timed_squares > 0 && from->timed_squares <= FLT_MAX - to->timed_squares)
		to->timed_squares += from->timed_squares;
	to->timed_ticks += from->timed_ticks;
	to->filled_bytes += from->filled_bytes;
	to->unwritten_bytes += from->unwritten_bytes;
	for (int i = 0; i < (int)HT_LIFETIME_BINS; i++) {
		uint32_t sum = to->lifetimes[i] + from->lifetimes[i];
		to->lifetimes[i] = sum < from->lifetimes[i] ? UINT32_MAX : sum;
	}
}

/* A light record as one of COUNTERS. */
static struct ht_counters light_counters(const struct ht_light *l)
{
	struct ht_counters c = {
		.allocs = l->allocs,
		.alloc_bytes = l->alloc_bytes,
		.usable_bytes = l->usable_bytes,
		.live_count = l->live_count,
		.live_bytes = l->live_bytes,
		.min_bytes = l->min_bytes <= l->max_bytes ? l->min_bytes : UINT64_MAX,
		.max_bytes = l->min_bytes <= l->max_bytes ? l->max_bytes : 0,
		.stamp_row = l->stamp << 24,
		.frees = l->frees,
		.lifetime_ticks = l->lifetime_ticks,
		.peak_count = l->peak_count,
		.peak_bytes = l->peak_bytes,
		.temporary = l->temporary,
		.foreign_frees = l->foreign_frees,
	};

	for (uint32_t i = 0; i < HT_LIFETIME_BINS; i++)
		c.lifetimes[i] = l->lifetimes[i / 2] >> 4 * (i % 2) & 15u;
	return c;
}

static int merge_light(struct tally *t, const struct source *s, struct error *e)
{
	uint32_t n = t->header.n_light;
	struct ht_light *light = source_load(s, HT_SEC_LIGHT, n, e);
	int rc = light ? 0 : -1;

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct ht_counters c = light_counters(&light[i]);
		if (light[i].bucket >= t->n_buckets)
			rc = source_damaged(s->path, e, "light record %u is for bucket %u", i, light[i].bucket);
		else if (light[i].bucket)
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

static int load_counters(struct tally *t, const struct source *s, struct error *e)
{
	struct merge m = {.t = t, .n_counters = t->header.n_counters, .n_rows = t->header.n_history};
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

/*
 * A timeline that was being coarsened is in order up to the point that was moved last: the rest goes, and what is left
 * is of the next generation already.
 */
static void order_points(struct tally *t)
{
	for (uint32_t i = 1; i < t->n_points; i++)
		if (t->points[i].ticks < t->points[i - 1].ticks) {
			t->n_points = i;
			t->header.point_generation++;
		}
	t->header.n_points = t->n_points;
}

/* Free slots of the thread table go. */
static void pack_threads(struct tally *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_threads; i++) {
		if (!t->threads[i].threads)
			continue;
		t->threads[n] = t->threads[i];
		t->threads[n++].name[sizeof(t->threads[0].name) - 1] = 0;
	}
	t->n_threads = t->header.n_threads = n;
	t->header.cut_stacks = 0;
	for (uint32_t i = 0; i < n; i++)
		t->header.cut_stacks += t->threads[i].cut_stacks;
}

/* Ends the blob in NUL if it is empty; a string that is not ended is damage. */
static int check_blob(
	const struct source *s, char *blob, size_t *bytes, const char *what, struct error *e)
{
	if (*bytes == 0)
		*bytes = 1; /* source_load left room for one, and it is 0 */
	if (blob[0] || blob[*bytes - 1])
		return source_damaged(s->path, e, "its %s do not start and end in NUL", what);
	return 0;
}

static int check_modules(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_modules; i++) {
		const struct ht_module *m = &t->modules[i];
		if (m->path >= t->strings_bytes || m->build_id_bytes > sizeof(m->build_id))
			return source_damaged(s->path, e, "module %u has no path or build-id", i);
	}
	return 0;
}

static int check_sites(const struct tally *t, const struct source *s, struct error *e)
{
	if (t->sites[0].parent || t->sites[0].module || t->sites[0].offset != HT_PSEUDO_ROOT)
		return source_damaged(s->path, e, "its first site is not the root");
	for (uint32_t i = 1; i < t->n_sites; i++) {
		const struct ht_site *site = &t->sites[i];
		if (site->parent >= i)
			return source_damaged(s->path, e, "site %u has parent %u", i, site->parent);
		if (site->module >= t->n_modules ||
			(site->module == 0 && site->offset >= HT_PSEUDO_COUNT))
			return source_damaged(s->path, e, "site %u is in no module", i);
	}
	return 0;
}

static int check_buckets(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_buckets; i++) {
		const struct ht_bucket *b = &t->buckets[i];
		if (b->site >= t->n_sites || b->size_class >= HT_SIZE_CLASSES || b->align > 64 ||
			b->source > HT_SOURCE_ADOPTED)
			return source_damaged(s->path, e, "bucket %u has site %u, size class %u", i,
				b->site, b->size_class);
	}
	for (uint32_t i = 0; i < t->n_regrows; i++)
		if (t->regrows[i].from >= t->n_buckets || t->regrows[i].to >= t->n_buckets)
			return source_damaged(s->path, e, "regrow %u is from bucket %u to %u", i,
				t->regrows[i].from, t->regrows[i].to);
	for (uint32_t i = 0; i < t->n_chains; i++)
		if (t->chains[i].origin >= t->n_buckets ||
			t->chains[i].size_class >= HT_SIZE_CLASSES)
			return source_damaged(
				s->path, e, "chain %u starts in bucket %u", i, t->chains[i].origin);
	return 0;
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

/* Adds up what threads have of the same. */
static void merge_regrows(struct tally *t)
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

static void merge_chains(struct tally *t)
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
		for (int k = 0; k < (int)HT_CHAIN_BINS; k++) {
			uint32_t sum = to->lengths[k] + c->lengths[k];
			to->lengths[k] = sum < c->lengths[k] ? UINT32_MAX : sum;
		}
	}
	t->n_chains = n;
}

static int check_marks(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_marks; i++)
		if (t->marks[i].name >= t->strings_bytes || t->marks[i].numbers >= t->strings_bytes)
			return source_damaged(s->path, e, "mark %u has no name or numbers", i);
	return 0;
}

static int load_contents(struct tally *t, const struct source *s, struct error *e)
{
	uint32_t n = t->header.n_contents;

	if (!(t->contents = source_load(s, HT_SEC_CONTENTS, n, e)))
		return -1;
	for (uint32_t i = 1; i < n; i++)
		if (t->contents[i].bucket >= t->n_buckets)
			return source_damaged(
				s->path, e, "content %u is of bucket %u", i, t->contents[i].bucket);
	/* row 0 is not used; in memory there is none */
	t->n_contents = n ? n - 1 : 0;
	memmove(t->contents, t->contents + 1, t->n_contents * sizeof(*t->contents));
	contents_pack(t->contents, &t->n_contents);
	return 0;
}

/* The newest snapshot; number 0: none. */
static int load_snapshot(struct ht_snapshot *newest, const struct source *s, struct error *e)
{
	uint64_t n = s->section_bytes[HT_SEC_SNAPSHOTS] / sizeof(*newest);
	struct ht_snapshot *all = source_load(s, HT_SEC_SNAPSHOTS, n, e);

	if (!all)
		return -1;
	*newest = (struct ht_snapshot){0};
	for (uint64_t i = 0; i < n; i++)
		if (all[i].number > newest->number)
			*newest = all[i];
	free(all);
	return 0;
}

/* *moved: the host overwrote the rows while they were read, and they are of no use. */
static int load_locality(struct tally *t, const struct source *s, bool *moved, struct error *e)
{
	struct ht_snapshot now, *shot = &t->snapshot;

	if (load_snapshot(shot, s, e) < 0)
		return -1;
	uint64_t last = shot->n_rows ? shot->first + (uint64_t)(shot->n_rows - 1) * shot->step : 0;
	uint64_t number = shot->number;
	bool beyond = last >= s->section_bytes[HT_SEC_LOCALITY] / sizeof(*t->locality);
	/* A host that still runs may have made the file longer since its extents were read. */
	if (shot->number && beyond && t->header.state == HT_STATE_RECORDING)
		*shot = (struct ht_snapshot){0};
	if (shot->number && (beyond || !shot->step || !shot->every || !shot->n_rows))
		return source_damaged(s->path, e, "snapshot %llu has %u rows",
			(unsigned long long)shot->number, shot->n_rows);
	t->locality = source_load(s, HT_SEC_LOCALITY, shot->number ? last + 1 : 0, e);
	if (!t->locality || load_snapshot(&now, s, e) < 0)
		return -1;
	*moved = now.number != shot->number || number != shot->number;
	if (*moved)
		*shot = (struct ht_snapshot){0};
	for (uint32_t i = 0; i < shot->n_rows; i++) {
		struct ht_locality row = t->locality[shot->first + (uint64_t)i * shot->step],
				   *before = t->n_locality ? &t->locality[t->n_locality - 1] : NULL;
		if (row.page >= shot->pages || (before && row.page < before->page))
			return source_damaged(
				s->path, e, "row %u of its snapshot is of page %u", i, row.page);
		/* made after the count was taken */
		if (row.bucket < t->n_buckets)
			t->locality[t->n_locality++] = row;
	}
	return 0;
}

static int check_names(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_functions; i++) {
		const struct ht_function *f = &t->functions[i];
		if (f->name >= t->names_bytes || f->file >= t->names_bytes ||
			f->crate >= t->names_bytes || f->module >= t->n_modules)
			return source_damaged(s->path, e, "function %u has no name or module", i);
	}
	for (uint32_t i = 0; i < t->n_frames; i++)
		if (t->frames[i].function >= t->n_functions)
			return source_damaged(s->path, e, "frame %u has no function", i);
	for (uint32_t i = 0; i < t->n_locations; i++) {
		const struct ht_location *l = &t->locations[i], *before = l - 1;
		if (l->module >= t->n_modules || l->n_frames == 0 ||
			l->first_frame >= t->n_frames || l->n_frames > t->n_frames - l->first_frame)
			return source_damaged(s->path, e, "location %u has no module or frames", i);
		if (i && (l->module < before->module ||
				 (l->module == before->module && l->offset <= before->offset)))
			return source_damaged(s->path, e, "its locations are not sorted");
	}
	return 0;
}

static int load_names(struct tally *t, const struct source *s, struct error *e)
{
	uint32_t n[HT_SEC_COUNT] = {0};

	if (!s->section_bytes[HT_SEC_NAMES])
		return 0;
	for (uint32_t i = HT_SEC_FUNCTIONS; i <= HT_SEC_LOCATIONS; i++) {
		/* fits: at least 8 bytes a record */
		if (s->section_bytes[i] > SECTION_MAX_BYTES)
			return source_damaged(s->path, e, "its %s are larger than 4 GiB",
				source_sections[i].name);
		n[i] = (uint32_t)(s->section_bytes[i] / source_sections[i].record_bytes);
	}
	t->names_bytes = s->section_bytes[HT_SEC_NAMES];
	t->n_functions = n[HT_SEC_FUNCTIONS];
	t->n_frames = n[HT_SEC_FRAMES];
	t->n_locations = n[HT_SEC_LOCATIONS];
	if (!(t->names = source_load(s, HT_SEC_NAMES, t->names_bytes, e)) ||
		!(t->functions = source_load(s, HT_SEC_FUNCTIONS, t->n_functions, e)) ||
		!(t->frames = source_load(s, HT_SEC_FRAMES, t->n_frames, e)) ||
		!(t->locations = source_load(s, HT_SEC_LOCATIONS, t->n_locations, e)) ||
		check_blob(s, t->names, &t->names_bytes, "names", e) < 0)
		return -1;
	return check_names(t, s, e);
}

static int load(struct tally *t, const struct source *s, bool *moved, struct error *e)
{
	struct ht_header *h = &t->header;

	t->strings_bytes = h->strings_bytes;
	t->n_modules = h->n_modules;
	t->n_sites = h->n_sites;
	t->n_buckets = h->n_buckets;
	t->n_regrows = h->n_regrows;
	t->n_chains = h->n_chains;
	t->n_threads = h->n_threads;
	t->n_points = h->n_points;
	t->n_marks = h->n_marks;
	if (h->n_marks > HT_MAX_MARKS)
		return source_damaged(s->path, e, "it claims %u marks", h->n_marks);
	if (h->n_points > HT_TIMELINE_POINTS || h->peak_stamp >> 40)
		return source_damaged(s->path, e, "%u points on its timeline, peak stamp %llu",
			h->n_points, (unsigned long long)h->peak_stamp);
	if (!(t->strings = source_load(s, HT_SEC_STRINGS, t->strings_bytes, e)) ||
		!(t->modules = source_load(s, HT_SEC_MODULES, t->n_modules, e)) ||
		!(t->sites = source_load(s, HT_SEC_SITES, t->n_sites, e)) ||
		!(t->buckets = source_load(s, HT_SEC_BUCKETS, t->n_buckets, e)) ||
		!(t->regrows = source_load(s, HT_SEC_REGROWS, t->n_regrows, e)) ||
		!(t->chains = source_load(s, HT_SEC_CHAINS, t->n_chains, e)) ||
		!(t->threads = source_load(s, HT_SEC_THREADS, t->n_threads, e)) ||
		!(t->points = source_load(s, HT_SEC_TIMELINE, t->n_points, e)) ||
		!(t->marks = source_load(s, HT_SEC_MARKS, t->n_marks, e)))
		return -1;
	/* a process killed at its very start may have no root yet; a zero record is one */
	h->n_modules = t->n_modules += !t->n_modules;
	h->n_sites = t->n_sites += !t->n_sites;
	h->n_buckets = t->n_buckets += !t->n_buckets;
	h->n_marks = t->n_marks += !t->n_marks;
	order_points(t);
	pack_threads(t);
	if (check_blob(s, t->strings, &t->strings_bytes, "strings", e) < 0)
		return -1;
	h->strings_bytes = t->strings_bytes;
	if (h->program >= t->strings_bytes || h->exe >= t->strings_bytes ||
		h->command >= t->strings_bytes || h->cwd >= t->strings_bytes)
		return source_damaged(s->path, e, "its header names strings that do not exist");
	if (check_modules(t, s, e) < 0 || check_sites(t, s, e) < 0 || check_buckets(t, s, e) < 0 ||
		check_marks(t, s, e) < 0 || load_counters(t, s, e) < 0 ||
		load_contents(t, s, e) < 0 || load_locality(t, s, moved, e) < 0 ||
		load_names(t, s, e) < 0)
		return -1;
	merge_regrows(t);
	merge_chains(t);
	return 0;
}

int tally_read(struct tally *t, const char *path, struct error *e)
{
	struct source s;
	uint32_t generation = 0;
	int rc = -1;

	for (int i = 0; i < COARSENING_TRIES; i++) {
		bool moved = false;
		memset(&s, 0, sizeof(s));
		memset(t, 0, sizeof(*t));
		rc = source_open(&s, path, e);
		if (rc == 0) {
			header_copy(&t->header, s.live);
			generation = t->header.point_generation;
			rc = source_extents(&s, e);
		}
		if (rc == 0)
			rc = load(t, &s, &moved, e);
		if (rc == 0 && !(t->path = strdup(path)))
			rc = source_no_memory(path, e);
		/* points and history rows belong together: read again when they were coarsened meanwhile */
		moved |= rc == 0 &&
			 generation != __atomic_load_n(&s.live->point_generation, __ATOMIC_ACQUIRE);
		source_close(&s);
		if (rc < 0 || (moved && i + 1 < COARSENING_TRIES))
			tally_release(t);
		if (rc < 0 || !moved)
			break;
	}
	return rc;
}

void tally_release(struct tally *t)
{
	for (uint32_t i = 0; i < t->n_curves && t->curves; i++)
		free(t->curves[i].live_bytes);
	free(t->path);
	free(t->strings);
	free(t->modules);
	free(t->sites);
	free(t->buckets);
	free(t->counters);
	free(t->regrows);
	free(t->chains);
	free(t->threads);
	free(t->points);
	free(t->curves);
	free(t->marks);
	free(t->phases);
	free(t->contents);
	free(t->locality);
	free(t->names);
	free(t->functions);
	free(t->frames);
	free(t->locations);
	memset(t, 0, sizeof(*t));
}

uint64_t tally_ns(const struct tally *t, uint64_t ticks)
{
	const struct ht_header *h = &t->header;

	if (ticks <= h->start_ticks || h->last_ticks <= h->start_ticks || h->last_ns <= h->start_ns)
		return 0;
	unsigned __int128 ns = (unsigned __int128)(ticks - h->start_ticks) *
			       (h->last_ns - h->start_ns) / (h->last_ticks - h->start_ticks);
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

const struct ht_location *tally_location(const struct tally *t, uint16_t module, uint64_t offset)
{
	uint32_t low = 0, high = t->n_locations;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct ht_location *l = &t->locations[middle];
		if (l->module == module && l->offset == offset)
			return l;
		if (l->module < module || (l->module == module && l->offset < offset))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
