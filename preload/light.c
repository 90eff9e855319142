/* SPDX-License-Identifier: MIT */
/* Light records: few events of a bucket and thread in one cache line. */
#include "light.h"

#include <string.h>

#include "buckets.h"
#include "probes.h"
#include "sample.h"
#include "tallyfile.h"

#define MOST_EVENTS 15u        /* fits every field, the histogram's four bits too */
#define MOST_BYTES  (4u << 10) /* of a block: so few of these are never worth a row of history */

static struct sys_lock lock;

/* A number of a record that is zero all over; false: no room. */
static bool number_new(struct thread *t, uint32_t *n)
{
	bool room = true;

	if (t->free_light) {
		*n = t->free_light - 1;
		t->free_light = tally.light[*n].thread;
		tally.light[*n].thread = 0;
		return true;
	}
	sys_lock(&lock);
	*n = tally.header->n_light;
	room = tallyfile_room(HT_SEC_LIGHT, *n + 1);
	if (room) /* release: readers of the file look at no record beyond the count */
		__atomic_store_n(&tally.header->n_light, *n + 1, __ATOMIC_RELEASE);
	sys_unlock(&lock);
	return room;
}

/* The thread's light record of a bucket, made when there is none of either kind; NULL: it cannot or must not be light. */
static struct ht_light *light_of(struct thread *t, uint32_t bucket)
{
	uint32_t record = t->records[bucket], n;

	if (record)
		return record & LIGHT_FLAG ? &tally.light[record & ~LIGHT_FLAG] : NULL;
	if (sample_mean || __atomic_load_n(&tally.header->mark_stamp, __ATOMIC_RELAXED) ||
		bucket == 0 || !number_new(t, &n))
		return NULL;
	struct ht_light *l = &tally.light[n];
	l->min_bytes = UINT32_MAX;
	l->thread = t->slot;
	/* release: a reader that sees the bucket sees the rest */
	__atomic_store_n(&l->bucket, bucket, __ATOMIC_RELEASE);
	t->records[bucket] = LIGHT_FLAG | n;
	return l;
}

/* Brings a record up to now, before it changes; NULL: the next event is not for a light one. */
static struct ht_light *light_ready(struct thread *t, uint32_t bucket, uint64_t bytes)
{
	struct ht_light *l = light_of(t, bucket);
	struct ht_header *h = tally.header;
	/* acquire: pairs with the release in marks.c, so that a mark's stamp is known to who sees it given out */
	uint64_t stamp = __atomic_load_n(&h->stamp, __ATOMIC_ACQUIRE);

	if (!l || l->events == MOST_EVENTS || bytes > MOST_BYTES || probes_elapsed)
		return NULL;
	if (l->stamp != stamp) {
		if (__atomic_load_n(&h->mark_stamp, __ATOMIC_ACQUIRE))
			return NULL;
		if (l->stamp < __atomic_load_n(&h->peak_stamp, __ATOMIC_RELAXED)) {
			l->peak_count = l->live_count;
			l->peak_bytes = l->live_bytes;
		}
		l->stamp = stamp;
	}
	l->events++;
	return l;
}

COLD struct ht_counters *light_arrive(
	struct thread *t, uint32_t bucket, uint64_t bytes, uint64_t usable_bytes, bool fresh)
{
	struct ht_light *l = light_ready(t, bucket, usable_bytes > bytes ? usable_bytes : bytes);

	if (!l)
		return light_promote(t, bucket);
	l->live_count++;
	l->live_bytes += (int32_t)bytes;
	l->usable_bytes += (uint32_t)usable_bytes;
	if (bytes < l->min_bytes)
		l->min_bytes = (uint32_t)bytes;
	if (bytes > l->max_bytes)
		l->max_bytes = (uint32_t)bytes;
	if (fresh) {
		l->allocs++;
		l->alloc_bytes += (uint32_t)bytes;
	}
	return NULL;
}

COLD struct ht_counters *light_leave(
	struct thread *t, uint32_t bucket, uint64_t bytes, const struct light_end *end)
{
	struct ht_light *l = light_ready(t, bucket, bytes);

	if (!l)
		return light_promote(t, bucket);
	l->live_count--;
	l->live_bytes -= (int32_t)bytes;
	if (end) {
		l->frees++;
		if (end->timed) {
			l->lifetime_ticks += end->lifetime_ticks;
			l->lifetimes[end->bin / 2] += (uint8_t)(1u << 4 * (end->bin % 2));
		}
		l->temporary += end->temporary;
		l->foreign_frees += end->foreign;
	}
	return NULL;
}

COLD struct ht_counters *light_promote(struct thread *t, uint32_t bucket)
{
	uint32_t record = t->records[bucket];
	struct ht_counters *c = buckets_counters(t, bucket);
	struct ht_light *l = &tally.light[record & ~LIGHT_FLAG];

	if (c)
		return c;
	c = buckets_new_counters(t, bucket);
	if (!record || c == &buckets_nowhere) /* what is in the light one stays there */
		return c;
	*c = ht_light_counters(l);
	memset(l, 0, sizeof(*l));
	l->thread = t->free_light;
	t->free_light = (record & ~LIGHT_FLAG) + 1;
	return c;
}

void light_init(void)
{
	memset(&lock, 0, sizeof(lock));
}
