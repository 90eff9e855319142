/* SPDX-License-Identifier: MIT */
/*
 * Buckets and their counters. A bucket's number is global; its counters are one record per thread slot, written by
 * that thread alone and made when first touched.
 */
#ifndef HEAPTALLY_BUCKETS_H
#define HEAPTALLY_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"
#include "light.h"
#include "tallyfile.h"
#include "threads.h"

struct ledger_entry;

bool buckets_init(void);

/*
 * The bucket of an allocation and this thread's counters for it, as buckets_counters gives them. stack: the identity of the stack that the thread walked
 * last; align: as in struct ht_bucket.
 */
uint32_t buckets_get(struct thread *t, uint64_t stack, uint32_t size_class, uint8_t align,
	enum ht_source source, struct ht_counters **counters);

extern struct ht_counters buckets_nowhere;

/*
 * This thread's counters of a known bucket; NULL: it has none yet, or light ones. Without room they are a record that nobody
 * reads.
 */
static inline struct ht_counters *buckets_counters(struct thread *t, uint32_t bucket)
{
	uint32_t record = t->records[bucket] - 1;

	if (likely(record < LIGHT_FLAG - 1))
		return &tally.counters[record];
	return record == TALLYFILE_NOWHERE - 1 ? &buckets_nowhere : NULL;
}

/* New ones, of which the bucket has none. */
struct ht_counters *buckets_new_counters(struct thread *t, uint32_t bucket);

/* A live buffer went from one bucket to another by realloc. */
void buckets_regrown(struct thread *t, uint32_t from, uint32_t to, uint64_t from_bytes,
	uint64_t to_bytes, bool moved);

/* A chain takes a step (origin and classes), and ends. */
void buckets_chain_step(struct thread *t, uint32_t origin, uint64_t from_bytes, uint64_t to_bytes,
	bool first, uint64_t copied_bytes);
void buckets_chain_end(struct thread *t, uint32_t origin, uint64_t bytes, uint32_t regrows);

#endif
