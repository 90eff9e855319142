/* SPDX-License-Identifier: MIT */
/* Peak, timeline, history. */
#include "clock.h"

#include <string.h>

#include "locality.h"
#include "marks.h"
#include "sample.h"

#define FIRST_POINT_NS                                                                             \
	100000u /* time between points at the start; doubles whenever the timeline is full */
#define EXACT_BELOW     (16u << 20) /* below this many live bytes every change is flushed at once */
#define ROW_SHARE       1024        /* a record gets a history row when it holds peak / ROW_SHARE */
#define ROW_LEAST_BYTES (64 << 10)
#define ROW_SAMPLES     4 /* and where samples are taken, what so many stand for */
/* Between two looks at what the kernel counts, in /proc too, and at names, which take 30 us: about 10 ms, and later more. */
#define SLOW_TICKS (1u << 25)
#define SLOW_SHARE 32u /* of the time so far */
#define ROW_MASK   0xffffffu

/* Every event reads this: in no cache line with what is written. */
uint64_t clock_next_point __attribute__((aligned(SYS_LINE_BYTES)));
static struct {
	struct sys_lock point_lock, row_lock;
	uint64_t live_max; /* since the last point or mark */
	/* under point_lock: */
	uint64_t point_max, mark_max; /* since each, but for what is in live_max */
	struct sys_usage usage;       /* these two at slow_ticks */
	struct sys_memory memory;
	uint64_t slow_ticks;
} own __attribute__((aligned(SYS_LINE_BYTES)));

bool clock_init(void)
{
	struct ht_header *h = tally.header;

	memset(&own, 0, sizeof(own));
	h->n_history = 1;
	h->n_points = 0;
	h->start_ns = h->last_ns = sys_monotonic_ns();
	h->start_ticks = h->last_ticks = sys_ticks();
	h->start_unix_ns = sys_realtime_ns();
	/* The rate is not known yet; three ticks a nanosecond is near enough for the first points. */
	h->point_ticks = FIRST_POINT_NS * 3ull;
	clock_next_point = h->start_ticks;
	return marks_init() && locality_init();
}

void clock_flush(struct thread *t)
{
	struct ht_header *h = tally.header;
	int64_t change = t->unflushed_bytes;
	uint64_t live = __atomic_add_fetch(&h->live_bytes, (uint64_t)change, __ATOMIC_RELAXED);
	uint64_t peak = __atomic_load_n(&h->peak_bytes, __ATOMIC_RELAXED);

	t->unflushed_bytes = 0;
	if ((int64_t)live > (int64_t)peak) {
		while ((int64_t)live > (int64_t)peak &&
			!__atomic_compare_exchange_n(&h->peak_bytes, &peak, live, true,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
		__atomic_store_n(&h->peak_ticks, sys_ticks(), __ATOMIC_RELAXED);
		__atomic_store_n(&h->rising, 1, __ATOMIC_RELAXED);
	} else if (live < peak && __atomic_load_n(&h->rising, __ATOMIC_RELAXED)) {
		/* Past the peak: from here on records save what they held before they change. Order for readers of a
		 * killed host: the new stamp first, then the end of `rising`. */
		uint64_t stamp = __atomic_add_fetch(&h->stamp, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&h->peak_stamp, stamp, __ATOMIC_RELEASE);
		__atomic_store_n(&h->rising, 0, __ATOMIC_RELEASE);
	}
	if ((int64_t)live > (int64_t)__atomic_load_n(&own.live_max, __ATOMIC_RELAXED))
		__atomic_store_n(&own.live_max, live, __ATOMIC_RELAXED);
	/* live/256 is shared by all threads, and each may be that far off in either direction */
	t->flush_bytes =
		live < EXACT_BELOW || (int64_t)live < 0 ? 0 : (live >> 9) / threads_count();
}

static void bring_forward(struct ht_history *row, uint32_t generation)
{
	for (; row->generation < generation; row->generation++) {
		for (uint32_t k = 0; k < HT_TIMELINE_POINTS / 2; k++)
			row->live_bytes[k] = row->live_bytes[2 * k + 1];
		row->first /= 2;
		row->next /= 2;
	}
}

static uint32_t new_row(uint32_t bucket, uint32_t counters)
{
	uint32_t n = 0;

	sys_lock(&own.row_lock);
	if (tallyfile_room(HT_SEC_HISTORY, tally.header->n_history + 1)) {
		n = tally.header->n_history;
		struct ht_history *row = &tally.history[n];
		row->bucket = bucket;
		row->counters = counters;
		row->generation = tally.header->point_generation;
		row->first = row->next = tally.header->n_points;
		/* release: readers of the file look at no row beyond the count */
		__atomic_store_n(&tally.header->n_history, n + 1, __ATOMIC_RELEASE);
	}
	sys_unlock(&own.row_lock);
	return n;
}

COLD void clock_catch_up(uint32_t bucket, struct ht_counters *c)
{
	struct ht_header *h = tally.header;
	/* acquire: pairs with the release in marks.c, so that a mark's stamp is known to who sees it given out */
	uint64_t stamp = __atomic_load_n(&h->stamp, __ATOMIC_ACQUIRE),
		 row_number = c->stamp_row & ROW_MASK;

	if (c->stamp_row >> 24 < __atomic_load_n(&h->mark_stamp, __ATOMIC_ACQUIRE))
		marks_phase(c);
	if (c->stamp_row >> 24 < __atomic_load_n(&h->peak_stamp, __ATOMIC_RELAXED)) {
		c->peak_count = c->live_count;
		c->peak_bytes = c->live_bytes;
	}
	uint64_t held = (uint64_t)(c->live_bytes < 0 ? -c->live_bytes : c->live_bytes);
	if (row_number == HT_NO_ROW && held >= ROW_LEAST_BYTES + ROW_SAMPLES * sample_mean &&
		held >= __atomic_load_n(&h->peak_bytes, __ATOMIC_RELAXED) / ROW_SHARE &&
		tallyfile_counters(c) != TALLYFILE_NOWHERE)
		row_number = new_row(bucket, tallyfile_counters(c));
	if (row_number != HT_NO_ROW) {
		struct ht_history *row = &tally.history[row_number];
		/* acquire: the count belongs to this generation or a later one, never to one before */
		uint32_t now = __atomic_load_n(&h->point_generation, __ATOMIC_ACQUIRE);
		uint32_t points = __atomic_load_n(&h->n_points, __ATOMIC_RELAXED);
		bring_forward(row, now);
		while (row->next < points && row->next < HT_TIMELINE_POINTS)
			row->live_bytes[row->next++] = c->live_bytes;
	}
	c->stamp_row = stamp << 24 | row_number;
}

static void coarsen(struct ht_header *h)
{
	struct ht_point *p = tally.points;

	for (uint32_t k = 0; k < HT_TIMELINE_POINTS / 2; k++) {
		uint64_t before = p[2 * k].live_max_bytes;
		p[k] = p[2 * k + 1];
		if (before > p[k].live_max_bytes)
			p[k].live_max_bytes = before;
	}
	h->n_points = HT_TIMELINE_POINTS / 2;
	/* release: who sees the generation sees the smaller count; FORMAT.md has the order for readers */
	__atomic_store_n(&h->point_generation, h->point_generation + 1, __ATOMIC_RELEASE);
	h->point_ticks *= 2;
}

/* Takes the highest since the last point or mark out, to the account of both. */
static void collect_max(uint64_t live)
{
	uint64_t highest = __atomic_exchange_n(&own.live_max, live, __ATOMIC_RELAXED);

	if (highest > own.point_max)
		own.point_max = highest;
	if (highest > own.mark_max)
		own.mark_max = highest;
}

void clock_mark(struct thread *t, struct ht_mark *m)
{
	struct sys_usage usage;
	struct sys_memory memory;

	m->ticks = sys_ticks();
	clock_flush(t);
	sys_usage(&usage);
	sys_memory(&memory);
	m->rss_bytes = memory.rss_bytes;
	m->cpu_ns = usage.cpu_ns;
	sys_lock(&own.point_lock);
	uint64_t live = __atomic_load_n(&tally.header->live_bytes, __ATOMIC_RELAXED);
	collect_max(live);
	m->live_bytes = live;
	m->peak_bytes = own.mark_max > live ? own.mark_max : live;
	own.mark_max = 0;
	sys_unlock(&own.point_lock);
}

static bool slow_due(const struct ht_header *h, uint64_t now)
{
	uint64_t since = now - own.slow_ticks;

	/* The last point of all, when clock_next_point is 0, is as of now. */
	return h->n_points == 0 || clock_next_point == 0 ||
	       (since > SLOW_TICKS && since > (now - h->start_ticks) / SLOW_SHARE);
}

COLD void clock_point(struct thread *t, uint64_t now)
{
	struct ht_header *h = tally.header;

	if (!sys_trylock(&own.point_lock))
		return; /* another thread is at it */
	if (now < clock_next_point)
		goto out;
	if (h->n_points == HT_TIMELINE_POINTS)
		coarsen(h);
	if (slow_due(h, now)) {
		sys_usage(&own.usage);
		sys_memory(&own.memory);
		threads_note_name(t);
		own.slow_ticks = now;
	}
	struct threads_sum sum = threads_sum();
	struct ht_point *p = &tally.points[h->n_points];
	uint64_t live = __atomic_load_n(&h->live_bytes, __ATOMIC_RELAXED);
	collect_max(live);
	*p = (struct ht_point){
		.ticks = now,
		.live_bytes = live,
		.live_max_bytes = own.point_max > live ? own.point_max : live,
		.allocs = sum.allocs,
		.alloc_bytes = sum.alloc_bytes,
		.rss_bytes = own.memory.rss_bytes,
		.vm_bytes = own.memory.vm_bytes,
		.data_bytes = own.memory.data_bytes,
		.map_bytes = h->map_bytes,
		.unmap_bytes = h->unmap_bytes,
		.madvise_bytes = h->madvise_bytes,
		.cpu_ns = own.usage.cpu_ns,
		.minor_faults = own.usage.minor_faults,
		.major_faults = own.usage.major_faults,
		.sys_ns = own.usage.sys_ns,
	};
	own.point_max = 0;
	h->last_ns = sys_monotonic_ns();
	h->last_ticks = sys_ticks();
	h->cpu_ns = own.usage.cpu_ns;
	h->walks = sum.allocs;
	/* release: readers of the file look at no point beyond the count */
	__atomic_store_n(&h->n_points, h->n_points + 1, __ATOMIC_RELEASE);
	/* After the count: a record caught up at the new stamp fills its row up to this point. */
	__atomic_add_fetch(&h->stamp, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&clock_next_point, now + h->point_ticks, __ATOMIC_RELAXED);
	sys_unlock(&own.point_lock);
	locality_point(t, live, now);
	return;
out:
	sys_unlock(&own.point_lock);
}
