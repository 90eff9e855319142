/* SPDX-License-Identifier: MIT */
/*
 * Counters of buckets with few events. Two thirds of all pairs of bucket and thread see one block or two, so each begins with
 * a light record of one cache line, and changes to one of COUNTERS when it has many events, a big block, or a sample.
 * Light records are of the time before the first mark, as rows of phases are about COUNTERS.
 */
#ifndef HEAPTALLY_LIGHT_H
#define HEAPTALLY_LIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"
#include "threads.h"

/* For a fresh process image or a forked child. */
void light_init(void);

/* In t->records: a light record, below this flag its number. */
#define LIGHT_FLAG (1u << 31)

/* How a block ended, for its bucket. */
struct light_end {
	uint64_t lifetime_ticks;
	uint32_t bin;                   /* of the histogram */
	bool timed, temporary, foreign; /* timed: the two above mean something */
};

/*
 * A block comes to, or leaves, a bucket of which the thread has no record in COUNTERS. NULL: it was counted in a light one.
 * Otherwise that thread's new record in COUNTERS, in which the event is not counted yet. fresh: it is no realloc; end: NULL
 * when it goes on in another bucket.
 */
struct ht_counters *light_arrive(
	struct thread *t, uint32_t bucket, uint64_t bytes, uint64_t usable_bytes, bool fresh);
struct ht_counters *light_leave(
	struct thread *t, uint32_t bucket, uint64_t bytes, const struct light_end *end);

/* The thread's record in COUNTERS, made when there is none: for samples, which light records have no room for. */
struct ht_counters *light_promote(struct thread *t, uint32_t bucket);

#endif
