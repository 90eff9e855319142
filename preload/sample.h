/* SPDX-License-Identifier: MIT */
/*
 * Sampling by bytes. Along the bytes that a thread asks for lie marks at exponentially distributed distances (a Poisson
 * process of mean distance R), and an allocation of s bytes is recorded when a mark falls into its s + 16: with
 * probability p(s) = 1 - exp(-(s + 16) / R), whatever happened before. It then counts for 1/p(s) allocations, so that
 * every count and sum of bytes is an unbiased estimate; for N allocations of a size the variance of their count is
 * N (1 - p) / p. (Horvitz and Thompson 1952; heapprofd and jemalloc sample the same way.) A weight has to be a whole
 * number: it is rounded up or down by a hash of the pointer, which keeps the mean and lets the free find it again.
 */
#ifndef HEAPTALLY_SAMPLE_H
#define HEAPTALLY_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "sys.h"

#define SAMPLE_FILTER_WORDS 1024u
#define SAMPLE_PLACES       (SAMPLE_FILTER_WORDS * 64)
#define SAMPLE_PLACE_SHIFT  14u

extern uint64_t sample_mean; /* R in bytes; 0: every event is recorded */
/* Bit set: a sampled live pointer falls on that place, by its 16 KiB; and by a hash of it. */
extern uint64_t sample_filter[SAMPLE_FILTER_WORDS], sample_second[SAMPLE_FILTER_WORDS];
/*
 * Bytes until the thread's next sample, in two parts: what may be used up by a jump past us, above 0 where samples
 * are taken, and the rest. So requests of SAMPLE_UNSEEN_BYTES are always looked at, and it is noticed when they fail.
 */
#define SAMPLE_UNSEEN_BYTES (128u << 10)
extern _Thread_local int64_t sample_left __attribute__((tls_model("initial-exec")));
extern _Thread_local int64_t sample_rest __attribute__((tls_model("initial-exec")));

/* For a fresh process image or a forked child. */
void sample_init(uint64_t mean_bytes);

/* A random number, of a sequence of the thread's own: xorshift64*, Vigna 2016. */
uint64_t sample_draw(void);

/* The slow half of sample_skips: sample_left is used up, or the thread is new. */
bool sample_renew(void);

/* By neighbourhood: what is freed in turn often lies close together, and a cache line of places stands for 8 MiB. */
static inline uint32_t sample_place(const void *p)
{
	return (uint32_t)((uintptr_t)p >> SAMPLE_PLACE_SHIFT) & (SAMPLE_PLACES - 1);
}

static inline uint32_t sample_second_place(const void *p)
{
	return (uint32_t)((uintptr_t)p * 0x9e3779b97f4a7c15u >> 32) & (SAMPLE_PLACES - 1);
}

/*
 * The quick half of sample_skips, which also says when to look further: true for an allocation that is not recorded. Without
 * sampling sample_left stays 0.
 */
static inline bool sample_passes(uint64_t bytes)
{
	uint64_t left = (uint64_t)sample_left;

	if (left <= bytes || left - bytes <= 16)
		return false;
	sample_left = (int64_t)(left - bytes - 16);
	return true;
}

/* True for an allocation that is not recorded. */
static inline bool sample_skips(uint64_t bytes)
{
	if (likely(!sample_mean))
		return false;
	sample_left -= (int64_t)bytes + 16;
	return likely(sample_left > 0) || sample_renew();
}

/* Another one after each allocation that is passed over. */
static inline int64_t sample_position(void)
{
	return sample_left + sample_rest;
}

static inline bool sample_marked(const uint64_t *filter, uint32_t place)
{
	return __atomic_load_n(&filter[place / 64], __ATOMIC_RELAXED) >> place % 64 & 1;
}

/* With sampling: true for a pointer that was not recorded; false for those that were, and some others. */
static inline bool sample_filtered(const void *p)
{
	return !sample_marked(sample_filter, sample_place(p));
}

/* The same by both filters, which leaves few others. */
static inline bool sample_unknown(const void *p)
{
	return unlikely(sample_mean) &&
	       (likely(sample_filtered(p)) ||
		       !sample_marked(sample_second, sample_second_place(p)));
}

void sample_enter(const void *p);
void sample_leave(const void *p);

/* What a recorded allocation counts for. The same at its free. */
uint64_t sample_weigh(const void *p, uint64_t bytes);

static inline uint64_t sample_weight(const void *p, uint64_t bytes)
{
	return likely(!sample_mean) ? 1 : sample_weigh(p, bytes);
}

#endif
