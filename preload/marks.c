/* SPDX-License-Identifier: MIT */
/* Marks, and what the records held at them. */
#include "marks.h"

#include <string.h>

#include "clock.h"
#include "record.h"
#include "tallyfile.h"

#define NAME_BYTES    128u
#define NUMBERS_BYTES 512u

static struct sys_lock mark_lock, phase_lock;

bool marks_init(void)
{
	struct ht_header *h = tally.header;

	memset(&mark_lock, 0, sizeof(mark_lock));
	memset(&phase_lock, 0, sizeof(phase_lock));
	tally.marks[0] =
		(struct ht_mark){.ticks = h->start_ticks, .name = tallyfile_string("start")};
	h->n_marks = 1;
	h->n_phases = 1;
	h->mark_stamp = 0;
	return true;
}

/* Copies up to `stop` or the end; control characters would spoil a report. Returns where it stopped. */
static const char *take(char *to, size_t bytes, const char *from, char stop)
{
	size_t n = 0;

	for (; *from && *from != stop; from++)
		if (n < bytes - 1)
			to[n++] = *from >= 0 && (*from < ' ' || *from == 127) ? '_' : *from;
	to[n] = '\0';
	return from;
}

/* A name comes again and again in watch mode: it is kept once. */
static uint32_t name_string(const char *name, uint32_t n_marks)
{
	for (uint32_t i = 0; i < n_marks; i++)
		if (strcmp(tally.strings + tally.marks[i].name, name) == 0)
			return tally.marks[i].name;
	return tallyfile_string(name);
}

static void add(struct thread *t, const char *name, const char *numbers)
{
	struct ht_header *h = tally.header;

	sys_lock(&mark_lock);
	uint32_t n = h->n_marks;
	if (n == HT_MAX_MARKS || !tallyfile_room(HT_SEC_MARKS, n + 1)) {
		h->lost_marks++;
		goto out;
	}
	struct ht_mark *m = &tally.marks[n];
	m->name = name_string(name, n);
	m->numbers = tallyfile_string(numbers);
	clock_mark(t, m);
	/* release: readers of the file look at no mark beyond the count */
	__atomic_store_n(&h->n_marks, n + 1, __ATOMIC_RELEASE);
	/* The mark's stamp must be known before any record can take it on: one that did, unseen, would have nothing
	 * behind it to say what it held here. Whoever else moves the stamp on meanwhile makes us try again, and a
	 * record that looked in between leaves two rows, of which readers take the first. */
	uint64_t stamp = __atomic_load_n(&h->stamp, __ATOMIC_RELAXED);
	do
		__atomic_store_n(&h->mark_stamp, stamp + 1, __ATOMIC_RELEASE);
	while (!__atomic_compare_exchange_n(
		&h->stamp, &stamp, stamp + 1, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
out:
	sys_unlock(&mark_lock);
}

void marks_path(const char *path)
{
	char name[NAME_BYTES], numbers[NUMBERS_BYTES];

	if (likely(strncmp(path, MARKS_PREFIX, sizeof(MARKS_PREFIX) - 1) != 0))
		return;
	struct thread *t = record_enter();
	if (!t)
		return;
	path = take(name, sizeof(name), path + sizeof(MARKS_PREFIX) - 1, '?');
	take(numbers, sizeof(numbers), *path ? path + 1 : path, '\0');
	add(t, name, numbers);
	record_leave(t);
}

COLD void marks_phase(const struct ht_counters *c)
{
	struct ht_header *h = tally.header;

	/* where counts go that have no room */
	if (tallyfile_counters(c) == TALLYFILE_NOWHERE)
		return;
	sys_lock(&phase_lock);
	uint32_t n = h->n_phases;
	bool room = tallyfile_room(HT_SEC_PHASES, n + 1);
	if (room) {
		tally.phases[n] = (struct ht_phase){
			.counters = tallyfile_counters(c),
			.mark = __atomic_load_n(&h->n_marks, __ATOMIC_RELAXED) - 1,
			.allocs = c->allocs,
			.alloc_bytes = c->alloc_bytes,
			.frees = c->frees,
			.live_count = c->live_count,
			.live_bytes = c->live_bytes,
		};
		/* release: readers of the file look at no row beyond the count */
		__atomic_store_n(&h->n_phases, n + 1, __ATOMIC_RELEASE);
	}
	sys_unlock(&phase_lock);
	if (!room)
		tallyfile_dropped(HT_DROP_PHASES_FULL);
}
