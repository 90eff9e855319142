/* SPDX-License-Identifier: MIT */
/*
 * The shim without its hooks, in a program of its own that the thread sanitizer watches: threads that record
 * allocations, reallocs and frees of each other's blocks, come and go, set marks, and load and unload a module
 * meanwhile. The blocks are slots of an arena, so that no allocator is in play. At the end the tally's sums must be the
 * program's own.
 *   driver ROUNDS [MODULE]
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../preload/marks.h"
#include "../../preload/record.h"
#include "../../preload/tallyfile.h"

#define THREADS      6
#define BLOCKS       1024 /* places that threads take from each other */
#define SPACE        4096 /* arena slots of each thread */
#define SLOT_BYTES   512
#define EVENTS       20000
#define CALLERS      64
#define MODULE_LOADS 20
#define CROWD_PAGES  16
#define CROWD_PLACES (4096 / 8)
#define CROWD_EVENTS 100000

struct block {
	void *p;
	size_t bytes;
};
static struct block *blocks[BLOCKS];
static char arena[THREADS][SPACE][SLOT_BYTES] __attribute__((aligned(4096)));
static struct block descriptions[THREADS][SPACE];
/* Above 16 MiB of live bytes changes gather in the threads, and the heap is looked at as a whole. */
static char large[64 << 20] __attribute__((aligned(4096)));
/* Pages with blocks anywhere. */
static char crowd[CROWD_PAGES][4096] __attribute__((aligned(4096)));
static struct block crowded[CROWD_PAGES][CROWD_PLACES];
static uint64_t allocs, alloc_bytes, frees, freed_bytes, reallocs;
static const char *module;

struct worker {
	pthread_t thread;
	uint32_t free[SPACE],
		n_free; /* own slots that are free: blocks come back by the same thread only */
	uint64_t state;
	int number;
};
static struct worker workers[THREADS];
/* Slots on their way back to the thread that owns them. */
static uint32_t returned[THREADS][SPACE];
static pthread_mutex_t return_locks[THREADS];
static uint32_t n_returned[THREADS];

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static uint64_t draw(struct worker *w)
{
	w->state = w->state * 6364136223846793005u + 1442695040888963407u;
	return w->state >> 33;
}

static __attribute__((noinline)) void take(struct block *b, size_t bytes)
{
	struct thread *t = record_enter_alloc(b->p, bytes);

	b->bytes = bytes;
	count(&allocs, 1);
	count(&alloc_bytes, bytes);
	if (t) {
		record_alloc(t, UNWIND_CALLER, b->p, bytes, SLOT_BYTES, 0, HT_SOURCE_LIBC, true);
		record_leave(t);
	}
}

static void leave(struct block *b)
{
	count(&frees, 1);
	count(&freed_bytes, b->bytes);
	record_freeing(b->p);
	b->p = NULL;
}

/* Blocks come and go in any order, in some pages a few at a time and in others many: tables that are full, and not at home. */
static void throng(struct worker *w)
{
	unsigned live[CROWD_PAGES] = {0};

	for (int i = 0; i < CROWD_EVENTS; i++) {
		unsigned page = (unsigned)(draw(w) % CROWD_PAGES);
		struct block *b = &crowded[page][draw(w) % CROWD_PLACES];
		if (b->p) {
			leave(b);
			live[page]--;
		} else if (live[page] < 7u << page % 7) {
			b->p = crowd[page] + (b - crowded[page]) * 8;
			take(b, draw(w) % 8 + 1);
			live[page]++;
		}
	}
	for (int page = 0; page < CROWD_PAGES; page++)
		for (int place = 0; place < CROWD_PLACES; place++)
			if (crowded[page][place].p)
				leave(&crowded[page][place]);
}

/* In place: another size, the same block. */
static __attribute__((noinline)) void resize(struct block *b, size_t bytes)
{
	struct record_realloc r;

	count(&reallocs, 1);
	count(&alloc_bytes, bytes);
	record_realloc_begin(&r, b->p);
	b->bytes = bytes;
	record_realloc_end(&r, UNWIND_CALLER, b->p, bytes, SLOT_BYTES, 0, HT_SOURCE_LIBC);
}

static void give_back(struct block *b)
{
	size_t owner = (size_t)((char *)b->p - arena[0][0]) / sizeof(arena[0]);
	size_t slot = (size_t)((char *)b->p - arena[owner][0]) / SLOT_BYTES;

	leave(b);
	pthread_mutex_lock(&return_locks[owner]);
	returned[owner][n_returned[owner]++] = (uint32_t)slot;
	pthread_mutex_unlock(&return_locks[owner]);
}

static struct block *fresh(struct worker *w)
{
	if (w->n_free == 0) {
		pthread_mutex_lock(&return_locks[w->number]);
		w->n_free = n_returned[w->number];
		memcpy(w->free, returned[w->number], w->n_free * sizeof(w->free[0]));
		n_returned[w->number] = 0;
		pthread_mutex_unlock(&return_locks[w->number]);
	}
	if (w->n_free == 0)
		return NULL;
	uint32_t slot = w->free[--w->n_free];
	struct block *b = &descriptions[w->number][slot];
	b->p = arena[w->number][slot];
	return b;
}

static void event(struct worker *w)
{
	uint64_t drawn = draw(w);
	struct block *b = NULL, **place = &blocks[drawn % BLOCKS];

	if (drawn % 3 != 0) {
		b = fresh(w);
		if (b) {
			take(b, drawn % SLOT_BYTES + 1);
			memset(b->p, (int)drawn, b->bytes / 2);
		}
	}
	/* acquire and release: a pointer goes from thread to thread in order, as in any sound host */
	b = __atomic_exchange_n(place, b, __ATOMIC_ACQ_REL);
	if (!b)
		return;
	if (drawn % 5 == 0)
		resize(b, b->bytes * 2 < SLOT_BYTES ? b->bytes * 2 : b->bytes / 2 + 1);
	give_back(b);
}

/* Stacks of many depths, so that sites and rules come up in all threads at once. */
static __attribute__((noinline)) void descend(struct worker *w, unsigned more)
{
	if (more == 0)
		event(w);
	else if (more % 2)
		descend(w, more - 1);
	else
		descend(w, more / 2);
	__asm__ volatile("" ::: "memory");
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < EVENTS; i++) {
		descend(w, (unsigned)(draw(w) % CALLERS));
		if (w->number == 1 && i % 1000 == 0)
			marks_path(MARKS_PREFIX "tsan");
	}
	return NULL;
}

/* A thread whose state ends with it, and is handed on. */
static void *load(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; module && i < MODULE_LOADS; i++) {
		void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
		record_modules_added();
		descend(w, 3);
		if (handle)
			dlclose(handle);
		record_modules_changed();
		descend(w, 5);
	}
	return NULL;
}

static int check(const char *what, uint64_t got, uint64_t want)
{
	if (got == want)
		return 0;
	fprintf(stderr, "driver: %s is %lu instead of %lu\n", what, got, want);
	return 1;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1, bad = 0;

	module = argc > 2 ? argv[2] : NULL;
	record_start();
	for (int i = 0; i < THREADS; i++) {
		pthread_mutex_init(&return_locks[i], NULL);
		workers[i].number = i;
		workers[i].state = (uint64_t)i;
		workers[i].n_free = SPACE;
		for (uint32_t k = 0; k < SPACE; k++)
			workers[i].free[k] = k;
	}
	struct block most = {.p = large};
	take(&most, sizeof(large));
	throng(&workers[0]);
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < THREADS; i++)
			if (pthread_create(&workers[i].thread, NULL, i == 0 ? load : work,
				    &workers[i]) != 0)
				return 2;
		for (int i = 0; i < THREADS; i++)
			pthread_join(workers[i].thread, NULL);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i])
			give_back(blocks[i]);
	leave(&most);
	record_exit();
	if (!tally.header) {
		fputs("driver: nothing was recorded\n", stderr);
		return 2;
	}
	/* Threads end in this library's destructors, after the sanitizer's idea of their end: their lock orders them. */
	threads_sum();
	struct ht_thread sum = {0};
	for (uint32_t i = 0; i < tally.header->n_threads; i++) {
		sum.allocs += tally.threads[i].allocs;
		sum.alloc_bytes += tally.threads[i].alloc_bytes;
		sum.frees += tally.threads[i].frees;
		sum.freed_bytes += tally.threads[i].freed_bytes;
		sum.reallocs += tally.threads[i].reallocs;
	}
	int64_t *live = calloc(tally.header->n_buckets, sizeof(*live));
	for (size_t i = 0; live && i < tally.header->n_counters; i++)
		live[tally.owners[i].bucket] += tally.counters[i].live_bytes;
	for (size_t i = 0; live && i < tally.header->n_light; i++)
		live[tally.light[i].bucket] += tally.light[i].live_bytes;
	for (size_t i = 0; live && i < tally.header->n_buckets; i++)
		bad += check("live_bytes of a bucket", (uint64_t)live[i], 0);
	bad += check("memory", live != NULL, true);
	free(live);
	if (tally.header->sample_bytes == 0) {
		bad += check("allocs", sum.allocs, allocs);
		bad += check("alloc_bytes", sum.alloc_bytes, alloc_bytes);
		bad += check("frees", sum.frees, frees);
		bad += check("freed_bytes", sum.freed_bytes, freed_bytes);
		bad += check("reallocs", sum.reallocs, reallocs);
		for (int cause = 0; cause < HT_DROP_COUNT; cause++)
			bad += check("dropped", tally.header->dropped[cause], 0);
	} else if (sum.allocs == 0) {
		bad += check("any samples", 0, 1);
	}
	return bad != 0;
}
