/* SPDX-License-Identifier: MIT */
/* Sampled measurements. */
#include "probes.h"

#include "index.h"
#include "sample.h"
#include "tallyfile.h"

#define PATTERN        0xc3a5d2e196b4f087u
#define FILL_LEAST     16u
#define FILL_MOST      (64u << 10) /* the pattern must not make the host's memory resident */
#define MAX_BUCKETS    (4u << 20)
#define OVERHEAD_TRIES 32
#define CALLS_AHEAD    8 /* of a timed call the CPU clock is read: a system call just before would slow it down */
#define LONG_TICKS     (1u << 15) /* a call that took longer may have waited for a CPU */

_Thread_local int32_t probes_until_timed __attribute__((tls_model("initial-exec")));
_Thread_local uint64_t probes_elapsed __attribute__((tls_model("initial-exec")));

static struct index content_index;
static uint8_t *distinct;    /* contents kept of each bucket */
static uint64_t clock_ticks; /* what reading the clock twice takes */
/* Of a thread that is a few calls before a timed one. */
static _Thread_local struct {
	uint64_t cpu_ns, ticks;
	bool armed;
} before __attribute__((tls_model("initial-exec")));

/* -ln((i + 1/2) / 64), in 256ths: quantiles of the exponential distribution */
static const uint16_t quantiles[64] = {1242, 961, 830, 744, 680, 628, 585, 549, 517, 488, 463, 439,
	418, 398, 380, 363, 347, 332, 318, 304, 291, 279, 268, 256, 246, 236, 226, 216, 207, 198,
	190, 181, 173, 166, 158, 151, 144, 137, 130, 124, 117, 111, 105, 99, 93, 87, 82, 76, 71, 66,
	61, 56, 51, 46, 41, 36, 32, 27, 23, 19, 14, 10, 6, 2};

uint32_t probes_interval(uint32_t mean)
{
	uint64_t drawn = sample_draw() >> 58;

	return (mean * quantiles[drawn] >> 8) + 1;
}

COLD uint64_t probes_start_slow(void)
{
	bool first = probes_until_timed == -1; /* a new thread's comes from 0 */

	if (!first && !before.armed) {
		before.armed = true;
		before.cpu_ns = sys_thread_cpu_ns();
		before.ticks = sys_ticks();
		probes_until_timed = CALLS_AHEAD;
		return 0;
	}
	before.armed = false;
	probes_until_timed = (int32_t)probes_interval(PROBES_TIMED_EVERY);
	if (first)
		return 0;
	probes_stop(sys_ticks()); /* so that its code is in the cache */
	probes_elapsed = 0;
	return sys_ticks();
}

COLD void probes_stop(uint64_t start)
{
	uint64_t end = sys_ticks(), took = end - start;
	const struct ht_header *h = tally.header;

	probes_elapsed = took > clock_ticks ? took - clock_ticks : 1;
	/* Without tables the call is timed all the same. */
	if (unlikely(took > LONG_TICKS && h)) {
		uint64_t ns = h->last_ns - h->start_ns, ticks = h->last_ticks - h->start_ticks;
		double cpu = (double)(sys_thread_cpu_ns() - before.cpu_ns) *
			     (ns ? (double)ticks / (double)ns : 3);
		double waited = (double)(end - before.ticks) - cpu;
		if (waited > 0)
			probes_elapsed = waited < (double)took ? took - (uint64_t)waited : 1;
	}
}

COLD bool probes_fill(void *p, uint64_t from_bytes, uint64_t bytes)
{
	uint64_t *words = p;

	if (bytes < FILL_LEAST || bytes > FILL_MOST)
		return false;
	for (uint64_t i = (from_bytes + 7) / 8; i < bytes / 8; i++)
		words[i] = PATTERN;
	return true;
}

COLD void probes_unfill(struct ht_counters *c, const void *p, uint64_t bytes)
{
	const uint64_t *words = p;
	uint64_t n = bytes / 8, written = n;

	while (written > 0 && words[written - 1] == PATTERN)
		written--;
	c->filled_bytes += n * 8;
	c->unwritten_bytes += (n - written) * 8;
}

COLD void probes_count(struct ht_counters *c)
{
	float ticks = (float)probes_elapsed;

	if (c->timed_calls < UINT32_MAX)
		c->timed_calls++;
	c->timed_ticks += probes_elapsed;
	c->timed_squares += ticks * ticks;
	probes_elapsed = 0;
}

/* Contents: by bucket and hash */

static bool match(uint32_t record, const void *key)
{
	const struct ht_content *c = &tally.contents[record], *k = key;

	return c->bucket == k->bucket && c->hash == k->hash;
}

static uint32_t create(const void *key)
{
	uint32_t record = tally.header->n_contents;

	if (!tallyfile_room(HT_SEC_CONTENTS, record + 1))
		return 0;
	tally.contents[record] = *(const struct ht_content *)key;
	if (tally.contents[record].hash)
		/* Under the index's lock; probes_content looks without it. */
		__atomic_store_n(&distinct[tally.contents[record].bucket],
			distinct[tally.contents[record].bucket] + 1, __ATOMIC_RELAXED);
	/* release: readers of the file look at no record beyond the count */
	__atomic_store_n(&tally.header->n_contents, record + 1, __ATOMIC_RELEASE);
	return record;
}

static const struct index_ops ops = {match, create};

static uint64_t hash_content(const void *p, uint64_t bytes)
{
	const unsigned char *at = p;
	uint64_t left = bytes < HT_CONTENT_BYTES ? bytes : HT_CONTENT_BYTES, h = bytes, word;

	for (; left >= 8; left -= 8, at += 8) {
		__builtin_memcpy(&word, at, 8);
		h = index_hash(h, word);
	}
	word = 0;
	for (uint64_t i = 0; i < left; i++)
		word |= (uint64_t)at[i] << 8 * i;
	h = index_hash(h, word);
	return h ? h : 1;
}

COLD void probes_content(struct thread *t, const void *p, const struct ledger_entry *e)
{
	struct ht_content key = {.bucket = e->bucket, .hash = hash_content(p, e->bytes)};
	uint64_t hash = index_hash(key.hash, key.bucket);
	uint32_t record = index_find(&content_index, &ops, hash, &key);

	t->until_content = probes_interval(PROBES_CONTENT_EVERY);
	/* Racing threads may keep a few more than the limit. */
	if (!record && __atomic_load_n(&distinct[e->bucket], __ATOMIC_RELAXED) >= HT_BUCKET_CONTENTS) {
		key.hash = 0;
		record = index_get(&content_index, &ops, index_hash(0, key.bucket), &key);
	} else if (!record) {
		record = index_add(&content_index, hash, &key);
	}
	if (record)
		__atomic_fetch_add(&tally.contents[record].count, 1, __ATOMIC_RELAXED);
}

bool probes_init(void)
{
	uint64_t least = 0;

	clock_ticks = 0;
	for (int i = 0; i < OVERHEAD_TRIES; i++) {
		probes_elapsed = 0;
		probes_stop(sys_ticks());
		if (i == 0 || probes_elapsed < least)
			least = probes_elapsed;
	}
	clock_ticks = least;
	probes_elapsed = 0;
	tally.header->n_contents = 1;
	distinct = sys_reserve(MAX_BUCKETS);
	return distinct && index_init(&content_index, &ops, 1u << 12);
}
