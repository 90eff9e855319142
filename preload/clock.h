/* SPDX-License-Identifier: MIT */
/*
 * Time along the run: the peak, the points of the timeline, and the history of the buckets that matter. FORMAT.md,
 * "Peak" and "Timeline", says how records are caught up lazily, so that neither costs more than a comparison while
 * nothing happens.
 */
#ifndef HEAPTALLY_CLOCK_H
#define HEAPTALLY_CLOCK_H

#include "tallyfile.h"
#include "threads.h"

bool clock_init(void);

/* Adds the thread's gathered change of live bytes to the header; notices peaks. */
void clock_flush(struct thread *t);

/* The next point of the timeline is due at this tick count. */
extern uint64_t clock_next_point;
void clock_point(struct thread *t, uint64_t now);

/* What a mark says of this moment. The caller has the marks' lock. */
void clock_mark(struct thread *t, struct ht_mark *m);

/* A counters record is about to change and its stamp is old. */
void clock_catch_up(uint32_t bucket, struct ht_counters *c);

static inline void clock_live_changed(struct thread *t, int64_t bytes)
{
	t->unflushed_bytes += bytes;
	if (unlikely((uint64_t)(t->unflushed_bytes < 0 ? -t->unflushed_bytes : t->unflushed_bytes) >
		     t->flush_bytes))
		clock_flush(t);
}

/* Call before a record changes. */
static inline void clock_touch(uint32_t bucket, struct ht_counters *c)
{
	if (unlikely(c->stamp_row >> 24 != __atomic_load_n(&tally.header->stamp, __ATOMIC_RELAXED)))
		clock_catch_up(bucket, c);
}

#endif
