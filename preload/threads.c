/* SPDX-License-Identifier: MIT */
/* Thread states and thread records. */
#include "threads.h"

#include <string.h>

#include "tallyfile.h"

#define MAX_BUCKETS (4u << 20)

static struct sys_lock lock;
static struct thread *free_threads;
static uint32_t n_slots, n_serials, n_live;

bool threads_init(void)
{
	memset(&lock, 0, sizeof(lock));
	free_threads = NULL;
	n_slots = n_serials = n_live = 0;
	return true;
}

/* A record for a living thread: a free one, or a new one. NULL when the file is full. */
static struct ht_thread *new_record(void)
{
	uint32_t n = tally.header->n_threads;

	for (uint32_t i = 0; i < n; i++)
		if (tally.threads[i].threads == 0)
			return &tally.threads[i];
	if (!tallyfile_room(HT_SEC_THREADS, n + 1))
		return NULL;
	/* release: readers of the file look at no record beyond the count */
	__atomic_store_n(&tally.header->n_threads, n + 1, __ATOMIC_RELEASE);
	return &tally.threads[n];
}

struct thread *threads_attach(void)
{
	static struct ht_thread unrecorded;
	struct thread *t;

	sys_lock(&lock);
	t = free_threads;
	if (t) {
		free_threads = t->next_free;
	} else {
		t = sys_reserve(sizeof(*t));
		if (t)
			t->records = sys_reserve(sizeof(t->records[0]) * MAX_BUCKETS);
		if (!t || !t->records) {
			if (t)
				sys_unmap(t, sizeof(*t));
			sys_unlock(&lock);
			return NULL;
		}
		t->slot = n_slots++;
		ledger_join(&t->ledger);
	}
	t->serial = n_serials++;
	t->until_filled = t->until_content = t->until_timed = 1;
	t->unflushed_bytes = 0;
	t->flush_bytes = 0;
	t->unwinder.depth = 0;
	t->unwinder.stack_low = t->unwinder.stack_high = 0;
	t->record = new_record();
	if (t->record) {
		memset(t->record, 0, sizeof(*t->record));
		t->record->tid = sys_tid();
		t->record->threads = 1;
	} else {
		t->record = &unrecorded;
	}
	threads_note_name(t);
	__atomic_add_fetch(&n_live, 1, __ATOMIC_RELAXED);
	sys_unlock(&lock);
	return t;
}

static void merge(struct ht_thread *to, struct ht_thread *from)
{
	to->threads += from->threads;
	to->allocs += from->allocs;
	to->alloc_bytes += from->alloc_bytes;
	to->frees += from->frees;
	to->freed_bytes += from->freed_bytes;
	to->reallocs += from->reallocs;
	to->temporary += from->temporary;
	to->cut_stacks += from->cut_stacks;
	memset(from, 0, sizeof(*from));
}

void threads_detach(struct thread *t)
{
	threads_note_name(t);
	sys_lock(&lock);
	t->record->tid = 0;
	for (uint32_t i = 0; i < tally.header->n_threads; i++) {
		struct ht_thread *other = &tally.threads[i];
		if (other != t->record && other->threads && other->tid == 0 &&
			memcmp(other->name, t->record->name, sizeof(other->name)) == 0) {
			merge(other, t->record);
			break;
		}
	}
	t->next_free = free_threads;
	free_threads = t;
	__atomic_sub_fetch(&n_live, 1, __ATOMIC_RELAXED);
	sys_unlock(&lock);
}

uint32_t threads_count(void)
{
	uint32_t n = __atomic_load_n(&n_live, __ATOMIC_RELAXED);

	return n ? n : 1;
}

void threads_note_name(struct thread *t)
{
	sys_thread_name(t->record->name);
}

void threads_flush_caches(struct thread *t)
{
	memset(t->frames, 0, sizeof(t->frames));
	t->unwinder.depth = 0;
	t->unwinder.stack_low = t->unwinder.stack_high = 0;
}

struct threads_sum threads_sum(void)
{
	struct threads_sum sum = {0};

	/* Locked, so that a record that is being merged counts once. */
	sys_lock(&lock);
	for (uint32_t i = 0; i < tally.header->n_threads; i++) {
		const struct ht_thread *r = &tally.threads[i];
		sum.allocs += __atomic_load_n(&r->allocs, __ATOMIC_RELAXED) +
			      __atomic_load_n(&r->reallocs, __ATOMIC_RELAXED);
		sum.alloc_bytes += __atomic_load_n(&r->alloc_bytes, __ATOMIC_RELAXED);
	}
	sys_unlock(&lock);
	return sum;
}
