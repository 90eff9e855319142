/* SPDX-License-Identifier: MIT */
/*
 * One event of the host, from a hook into the tables: stack → site → bucket → ledger. Also the life of the recording:
 * when it starts in a process, in a forked child, in a thread, and when it ends.
 *
 * A hook does:   t = record_enter(); if (t) { record_…(t, …); record_leave(t); }
 * record_enter gives NULL when this event must not be recorded, and then the hook is the plain function.
 */
#ifndef HEAPTALLY_RECORD_H
#define HEAPTALLY_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "sample.h"
#include "sys.h"
#include "threads.h"
#include "unwind.h"

/*
 * The gate lies in a page that the kernel empties in a forked child, however it was forked. It holds the number of
 * the state that threads must have seen: of this process and of its modules. `open` in a thread is that number while
 * the thread may record; so one comparison tells a fresh thread, a forked child, an unloaded module, and a signal
 * handler that interrupted a recording. It is one word, so that a handler sees it before or after a change, and
 * leaves it as it found it.
 */
#define RECORD_FRESH  0u /* open: the thread has no state yet, or no more */
#define RECORD_CLOSED 1u /* open: the thread is recording */
#define RECORD_MUTED  2u /* open: what the thread does now is the shim's own doing */

struct record_gate {
	uint64_t version; /* 0 in a new process, then above RECORD_MUTED */
};
struct record_self {
	uint64_t open;
	uint64_t process; /* version of the gate when this thread's state was made */
	struct thread *thread;
	void *last_alloc;      /* for temporaries; NULL after anything else that is recorded */
	int64_t last_position; /* of sampling, after last_alloc */
	bool ended;            /* the thread is past its end: states are borrowed per event */
};
extern struct record_gate *record_gate;
extern _Thread_local struct record_self record_self __attribute__((tls_model("initial-exec")));

struct thread *record_enter_slow(void);
void record_leave_slow(void);

static inline struct thread *record_enter(void)
{
	struct record_self *self = &record_self;

	if (likely(self->open == __atomic_load_n(&record_gate->version, __ATOMIC_RELAXED) &&
		    self->open > RECORD_MUTED)) {
		/* A handler that runs before this store has come and gone when it is made. */
		__atomic_store_n(&self->open, RECORD_CLOSED, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		return self->thread;
	}
	return record_enter_slow();
}

static inline void record_leave(struct thread *t)
{
	struct record_self *self = &record_self;

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (likely(!self->ended))
		__atomic_store_n(&self->open, t->version, __ATOMIC_RELAXED);
	else
		record_leave_slow();
}

/* The same for an allocation that came to p, or failed: with sampling, most that did not fail are passed over. */
static inline struct thread *record_enter_alloc(const void *p, uint64_t bytes)
{
	return unlikely(!p) || !sample_skips(bytes) ? record_enter() : NULL;
}

/* While muted, the thread's events belong to a call that is recorded as one, or to the shim. */
static inline uint64_t record_mute(void)
{
	uint64_t before = record_self.open;

	__atomic_store_n(&record_self.open, RECORD_MUTED, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return before;
}

static inline void record_unmute(uint64_t before)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&record_self.open, before, __ATOMIC_RELAXED);
}

/* Allocations that the calling thread has recorded so far. */
uint64_t record_allocs(void);

/* uninitialised: nobody may rely on what is in the block. */
void record_alloc(struct thread *t, const uintptr_t *caller, void *p, uint64_t bytes,
	uint64_t usable_bytes, uint8_t align, enum ht_source source, bool uninitialised);
void record_failure(uint64_t bytes);
/* The whole of an allocation that failed. */
void record_failed(uint64_t bytes);

/* Takes a pointer out of the ledger before the real free or realloc can hand it to somebody else. False: unknown. */
bool record_take(struct thread *t, void *p, struct ledger_entry *e);
void record_unknown_free(struct thread *t);
/* What was taken is freed. */
void record_free(struct thread *t, void *p, const struct ledger_entry *e);

/* The whole of a free: before the real one. */
static inline void record_freeing(void *p)
{
	struct ledger_entry e;

	if (sample_unknown(p))
		return;
	/* The allocator will want what it keeps there: that is on its way while we look for what we know of p. */
	__builtin_prefetch((const char *)p - 8, 1);
	struct thread *t = record_enter();
	if (unlikely(!t))
		return;
	if (likely(record_take(t, p, &e)))
		record_free(t, p, &e);
	else
		record_unknown_free(t);
	record_leave(t);
}

/* The real free of what record_freeing was told of was timed, see probes.h. */
void record_freed(void);

/* The whole of a realloc of a pointer that is not NULL: begin before the real one, and one of the others after it. */
struct record_realloc {
	void *p;
	struct ledger_entry e;
	bool recorded, known;
};
void record_realloc_begin(struct record_realloc *r, void *p);
/* q: what the real one returned; NULL: it failed, and p stays as it was. */
void record_realloc_end(struct record_realloc *r, const uintptr_t *caller, void *q, uint64_t bytes,
	uint64_t usable_bytes, uint8_t align, enum ht_source source);
/* It was the C library's other way to free. */
void record_realloc_freed(struct record_realloc *r);

/* How an alignment is written in a bucket. */
static inline uint8_t record_align_code(size_t alignment)
{
	return (uint8_t)(alignment ? 1 + __builtin_ctzl(alignment) : 0);
}

/* mmap and its relatives, by whom. These two need no record_enter. */
void record_map(uintptr_t caller, uint64_t mapped_bytes, uint64_t unmapped_bytes);
void record_madvise(uint64_t bytes);

/* After a dlopen; needs no record_enter. */
void record_modules_added(void);
/* After a dlmopen: all of the namespace that `loaded` is in. Needs no record_enter. */
struct link_map;
void record_namespace_added(const struct link_map *loaded);
/* After a dlclose; needs no record_enter. */
void record_modules_changed(void);
/* In a constructor, and at exit. */
void record_start(void);
void record_exit(void);

#endif
