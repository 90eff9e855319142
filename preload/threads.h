/* SPDX-License-Identifier: MIT */
/*
 * A thread's own state: its memory of the last stack, its caches, its counters. States are slots that are
 * handed on when threads end, so that their number follows the threads that live at the same time.
 */
#ifndef HEAPTALLY_THREADS_H
#define HEAPTALLY_THREADS_H

#include "format.h"
#include "ledger.h"
#include "unwind.h"

#define THREAD_FRAME_BITS 12u

/* The unwinder's rule for a return address. */
struct thread_frame {
	uintptr_t ip;
	uint64_t rule;
};

/* A hash table of a thread's own: what it has records for. Zeroed memory is a valid start. */
struct thread_slot {
	uint64_t key; /* 0: empty. Its upper half is the better one */
	uint32_t bucket;
	uint32_t record;
};

struct thread_table {
	struct thread_slot *slots; /* NULL: there are none yet */
	uint32_t shift;            /* of a key to its home; there are 2^(64 - shift) slots */
	uint32_t used;
};

struct thread {
	uint32_t slot;
	uint32_t serial;  /* counts threads over the run; tells who allocated */
	uint64_t version; /* of the gate that this state belongs to */
	struct ht_thread *record;
	uint32_t until_filled, until_content; /* events until the next probes */
	uint32_t until_timed;                 /* until the clock is read for any */
	uint32_t freed_bucket;   /* of the free that is going on; 0: it is not recorded */
	int64_t unflushed_bytes; /* change of live bytes not yet in the header */
	uint64_t flush_bytes;    /* how much of that may gather */
	uint32_t *
		records; /* by bucket: 1 + the number of its counters, or see light.h; 0: it has none yet */
	struct thread *next_free;
	struct ledger_own ledger;
	uint32_t
		free_light; /* 1 + the number of a light record without use, linked by `thread`; 0: none */
	/* By stack identity, class, alignment and source: bucket and counters (LIGHT_FLAG: they were light when last seen). */
	struct thread_table buckets;
	struct thread_table regrows; /* by both buckets: the record */
	struct thread_table chains;  /* by origin and class: the record */
	struct thread_frame frames[1u << THREAD_FRAME_BITS];
	struct unwinder unwinder;
};

/* For a fresh process image or a forked child. */
bool threads_init(void);

/* A state for the calling thread, or NULL without memory. */
struct thread *threads_attach(void);

/* The thread ends: its record is added to those of its name, its slot is free again. */
void threads_detach(struct thread *t);

/* Threads that have a state now. */
uint32_t threads_count(void);

/* Writes down the name that the calling thread has now. */
void threads_note_name(struct thread *t);

/* Empties what is cached about modules. */
void threads_flush_caches(struct thread *t);

/* Counters of a thread's record that others add up meanwhile: only the owner changes them. */
static inline void threads_add(uint64_t *own, uint64_t n)
{
	__atomic_store_n(own, *own + n, __ATOMIC_RELAXED);
}

struct threads_sum {
	uint64_t allocs; /* reallocs included */
	uint64_t alloc_bytes;
};
struct threads_sum threads_sum(void);

#endif
