/* SPDX-License-Identifier: MIT */
/*
 * A sample of pages. The pages that the ledger may have something of are counted off in spans of a power of two, and one
 * page of each span is drawn; so that any heap takes about the same, well below a millisecond or two. Nothing stops
 * meanwhile, and no lock is taken that an allocation takes (but that of a growing file).
 */
#include "locality.h"

#include <string.h>

#include "index.h"
#include "ledger.h"
#include "sample.h"
#include "sys.h"
#include "tallyfile.h"
#include "threads.h"

#define LEAST_BYTES    (1u << 20) /* live, for a first look */
#define GROWN_SHARE    10u        /* again when a tenth more is live */
#define REST_FACTOR    200u       /* at most a 200th of the time is spent here */
#define SAMPLE_PAGES   2048u
#define MAX_ROWS       (256u << 10)
#define MAX_AREAS      1024u
#define MAX_BUCKETS    (4u << 20)
#define SNAPSHOTS      2u
#define PAGES_PER_PART (LEDGER_PART_BYTES / HT_PAGE_BYTES)

/* One snapshot being taken. */
struct look {
	uint32_t slot; /* which of the SNAPSHOTS */
	uint32_t n_rows, pages;
	uint32_t first_row; /* of the page at hand */
	bool full;
};

static struct sys_lock looking;
static uint64_t last_live, number, rest_until;
static uint32_t *row_of;             /* by bucket: its row, if that is one of the page at hand */
static const struct ledger_own *own; /* of the thread that looks */
static struct ledger_view view;
static uint32_t areas[MAX_AREAS];
static struct ledger_block blocks[LEDGER_PAGE_BLOCKS];

static inline struct ht_locality *row_at(const struct look *l, uint32_t row)
{
	return &tally.locality[(size_t)row * SNAPSHOTS + l->slot];
}

static struct ht_locality *row_for(struct look *l, uint32_t bucket)
{
	uint32_t row = row_of[bucket];

	if (row >= l->first_row && row < l->n_rows && row_at(l, row)->bucket == bucket)
		return row_at(l, row);
	row = l->n_rows;
	if (row == MAX_ROWS || !tallyfile_room(HT_SEC_LOCALITY, (row + 1) * SNAPSHOTS)) {
		l->full = true;
		return NULL;
	}
	*row_at(l, row) = (struct ht_locality){.page = l->pages, .bucket = bucket};
	row_of[bucket] = row;
	l->n_rows++;
	return row_at(l, row);
}

/* Adds what blocks that begin in the page `from` have on the page `page`. */
static void add_blocks(struct look *l, uintptr_t from, uintptr_t page)
{
	uint32_t n = ledger_page(own, from, blocks);

	for (uint32_t i = 0; i < n; i++) {
		const struct ledger_block *b = &blocks[i];
		uintptr_t start = b->start < page ? page : b->start, end = b->start + b->bytes;
		if (b->bytes >= HT_PAGE_BYTES || (from != page && end <= page))
			continue;
		if (end > page + HT_PAGE_BYTES)
			end = page + HT_PAGE_BYTES;
		struct ht_locality *row = row_for(l, b->bucket);
		if (!row)
			return;
		row->blocks += from == page;
		row->bytes += (uint32_t)(end - start);
	}
}

static void add_page(struct look *l, uintptr_t page)
{
	uintptr_t before = page - HT_PAGE_BYTES;

	l->first_row = l->n_rows;
	if (before >> LEDGER_AREA_BITS == view.area)
		add_blocks(l, before, page);
	add_blocks(l, page, page);
	l->pages += l->n_rows > l->first_row;
}

static uint64_t count_pages(uint32_t n_areas)
{
	uint64_t n = 0;

	for (uint32_t a = 0; a < n_areas; a++) {
		ledger_view(&view, own, areas[a]);
		for (uint32_t part = 0; part < LEDGER_PARTS; part++)
			n += view.written[part];
	}
	return n * PAGES_PER_PART;
}

/* Which page of a span is drawn. */
static uint64_t drawn(uint64_t span, uint32_t every)
{
	return span * every + index_hash(span, number) % every;
}

static void look_at_heap(struct look *l, uint32_t n_areas, uint32_t every)
{
	uint64_t passed = 0, next = drawn(0, every);

	for (uint32_t a = 0; a < n_areas && !l->full; a++) {
		uintptr_t at = (uintptr_t)areas[a] << LEDGER_AREA_BITS;
		ledger_view(&view, own, areas[a]);
		for (uint32_t part = 0; part < LEDGER_PARTS && !l->full; part++) {
			if (!view.written[part])
				continue;
			for (; next < passed + PAGES_PER_PART;
				next = drawn(next / every + 1, every))
				add_page(l, at + (uintptr_t)part * LEDGER_PART_BYTES +
						    (next - passed) * HT_PAGE_BYTES);
			passed += PAGES_PER_PART;
		}
	}
}

static void take_snapshot(uint64_t live_bytes, uint64_t now)
{
	struct look l = {.slot = (uint32_t)(number % SNAPSHOTS)};
	struct ht_snapshot *s = &tally.snapshots[l.slot];
	uint32_t n_areas = ledger_areas(areas, MAX_AREAS), every = 1;
	uint64_t pages = count_pages(n_areas);

	while (pages / every > SAMPLE_PAGES)
		every *= 2;
	/* release: its rows change after that */
	__atomic_store_n(&s->number, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	look_at_heap(&l, n_areas, every);
	if (l.full || l.pages == 0)
		return;
	s->ticks = now;
	s->live_bytes = live_bytes;
	s->n_rows = l.n_rows;
	s->first = l.slot;
	s->step = SNAPSHOTS;
	s->pages = l.pages;
	s->every = every;
	/* release: whole for whoever sees the number */
	__atomic_store_n(&s->number, ++number, __ATOMIC_RELEASE);
}

COLD void locality_point(const struct thread *t, uint64_t live_bytes, uint64_t now)
{
	/* What a sample of the blocks shares its pages with is not known. */
	if (sample_mean || live_bytes < LEAST_BYTES || (int64_t)live_bytes < 0 ||
		live_bytes <= last_live + last_live / GROWN_SHARE || now < rest_until ||
		!sys_trylock(&looking))
		return;
	if (live_bytes > last_live + last_live / GROWN_SHARE) {
		uint64_t start = sys_ticks();
		own = &t->ledger;
		take_snapshot(live_bytes, now);
		last_live = live_bytes;
		now = sys_ticks();
		rest_until = now + (now - start) * REST_FACTOR;
	}
	sys_unlock(&looking);
}

bool locality_init(void)
{
	memset(&looking, 0, sizeof(looking));
	last_live = number = rest_until = 0;
	row_of = sys_reserve(MAX_BUCKETS * sizeof(*row_of));
	return row_of != NULL;
}
