/* SPDX-License-Identifier: MIT */
/*
 * What is measured of few events only, so that it costs nothing: how long the allocator took, how much of a block was
 * never written, and whether blocks had the same content. Every thread takes each of these at intervals of its own,
 * drawn at random (as from a Poisson process), so that no loop of the host keeps step with them.
 */
#ifndef HEAPTALLY_PROBES_H
#define HEAPTALLY_PROBES_H

#include "ledger.h"
#include "sys.h"
#include "threads.h"

#define PROBES_TIMED_EVERY   1000u
#define PROBES_FILLED_EVERY  128u
#define PROBES_CONTENT_EVERY 32u

/* Calls of the allocator until the next timed one, and the ticks that the last one took; 0: it was not timed. */
extern _Thread_local int32_t probes_until_timed __attribute__((tls_model("initial-exec")));
extern _Thread_local uint64_t probes_elapsed __attribute__((tls_model("initial-exec")));

/* For a fresh process image or a forked child. */
bool probes_init(void);

/* Around a call of the allocator. start gives 0 for one that is not timed. */
uint64_t probes_start_slow(void);
void probes_stop(uint64_t start);
/* To the account of a bucket. */
void probes_count(struct ht_counters *c);

static inline uint64_t probes_start(void)
{
	return likely(--probes_until_timed > 0) ? 0 : probes_start_slow();
}

/* A call that was timed ends: no unlikely branch, which would lead to code far away and take part of the time. */
#define probes_timed(start) __builtin_expect_with_probability((start) != 0, 0, 0.5)

/* Gives a fresh block, or from `from` on what a realloc added to it, the pattern; false: it is of no fitting size. */
bool probes_fill(void *p, uint64_t from_bytes, uint64_t bytes);
/* A filled block is about to be freed. */
void probes_unfill(struct ht_counters *c, const void *p, uint64_t bytes);

/* A block is about to be freed. */
void probes_content(struct thread *t, const void *p, const struct ledger_entry *e);

/* The next interval. */
uint32_t probes_interval(uint32_t mean);

#endif
