/* SPDX-License-Identifier: MIT */
/* What every hook does with an event, and when recording starts and ends. */
#include "record.h"

#include <link.h>
#include <pthread.h>
#include <string.h>

#include "adopt.h"
#include "adopt_cache.h"
#include "bootstrap.h"
#include "buckets.h"
#include "clock.h"
#include "modules.h"
#include "probes.h"
#include "sites.h"
#include "tallyfile.h"
#include "unwind_slow.h"

#define DEFAULT_MIN_BYTES 1000000u
#define DEFAULT_DEPTH     512u
#define TIMED_EVERY       16u
#define TIMED_BYTES       (4u << 10)
#define OFF               UINT64_MAX /* gate version of a process that is not recorded */
#ifndef THREAD_END_ROUNDS            /* the thread sanitizer wants the last round for itself */
#define THREAD_END_ROUNDS 4u         /* glibc's PTHREAD_DESTRUCTOR_ITERATIONS */
#endif

static struct record_gate no_gate;
struct record_gate *record_gate = &no_gate;
_Thread_local struct record_self record_self __attribute__((tls_model("initial-exec")));

static uint64_t versions =
	RECORD_MUTED;            /* the last version given out in this process and its ancestors */
static uint64_t process_version; /* the version with which this process began */
static uint32_t generation;
static uint32_t starting_pid; /* who is initialising; 0: nobody */
static pthread_key_t thread_key;
static bool have_thread_key;
static uint64_t min_bytes = DEFAULT_MIN_BYTES;
static char directory[4096];
static char program[256];
static char exe[4096];       /* kept: a forked child may have left for a place without /proc */
static bool selected = true; /* HEAPTALLY_ONLY matches */
static bool kept;

/* Options */

/* Shell pattern with * and ? only. */
static bool matches(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = pattern++;
			retry = s;
		} else if (*pattern == '?' || *pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star + 1;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/*
 * The environment as the kernel passed it: libc's own view is not there yet when the loader runs the first
 * functions of a program (.preinit_array), and those may allocate. __libc_stack_end is where argc lies.
 */
extern void *__libc_stack_end;

static const char *option(const char *name)
{
	char **argv = (char **)__libc_stack_end + 1;
	size_t n = strlen(name);

	while (*argv)
		argv++;
	for (char **variable = argv + 1; *variable; variable++)
		if (strncmp(*variable, name, n) == 0 && (*variable)[n] == '=')
			return *variable + n + 1;
	return NULL;
}

static uint64_t number_option(const char *name, uint64_t otherwise)
{
	const char *s = option(name);
	uint64_t value = 0;

	if (!s || !*s)
		return otherwise;
	for (; *s >= '0' && *s <= '9'; s++)
		value = value * 10 + (uint64_t)(*s - '0');
	return *s ? otherwise : value;
}

static void read_options(void)
{
	const char *out = option("HEAPTALLY_OUT"), *only = option("HEAPTALLY_ONLY"), *base;
	size_t n = 0;

	sys_read_link("/proc/self/exe", exe, sizeof(exe));
	base = strrchr(exe, '/');
	base = base ? base + 1 : exe;
	while (base[n] && n < sizeof(program) - 1) {
		program[n] = base[n];
		n++;
	}
	program[n] = '\0';
	selected = !only || !*only || matches(only, program);
	min_bytes = number_option("HEAPTALLY_MIN_SIZE", DEFAULT_MIN_BYTES);
	adopt_cache_init(option("XDG_CACHE_HOME"), option("HOME"));
	directory[0] = '\0';
	if (!out || out[0] != '/') {
		sys_current_directory(directory, sizeof(directory) - 256);
		if (out && *out)
			strcat(directory, "/");
	}
	if (out && *out)
		strncat(directory, out, sizeof(directory) - strlen(directory) - 1);
}

/* The start of a process */

static void describe_process(struct ht_header *h)
{
	char text[8192];
	int n;

	h->pid = sys_pid();
	h->parent_pid = sys_parent_pid();
	h->generation = generation;
	/* Served before there was a tally; a forked child has no part in it. */
	if (generation == 0)
		bootstrap_counts(&h->bootstrap_allocs, &h->bootstrap_bytes);
	h->run = number_option("HEAPTALLY_RUN", 0);
	h->program = tallyfile_string(program);
	h->exe = tallyfile_string(exe);
	sys_current_directory(text, sizeof(text));
	h->cwd = tallyfile_string(text);
	n = sys_read_all("/proc/self/cmdline", text, sizeof(text));
	for (int i = 0; i + 1 < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	h->command = tallyfile_string(text);
}

static bool start_tables(void)
{
	uint32_t depth = (uint32_t)number_option("HEAPTALLY_DEPTH", DEFAULT_DEPTH);

	uint64_t sample = number_option("HEAPTALLY_SAMPLE", 0);

	if (tallyfile_open(directory, program) != 0)
		return false;
	if (depth == 0 || depth > UNWIND_MAX_DEPTH)
		depth = depth ? UNWIND_MAX_DEPTH : DEFAULT_DEPTH;
	describe_process(tally.header);
	adopt_init();
	if (!modules_init() || !site_tree_init() || !buckets_init() || !ledger_init(sample != 0) ||
		!probes_init() || !threads_init() || !unwind_init(depth) || !clock_init())
		return false;
	tally.header->stack_depth = depth;
	tally.header->sample_bytes = sample;
	sample_init(sample);
	kept = min_bytes == 0;
	if (kept)
		tallyfile_keep();
	/* Last: now it is a tally. */
	memcpy(tally.header->magic, HT_MAGIC, sizeof(tally.header->magic));
	return true;
}

/*
 * First event of a process image or of a forked child. One thread does it; others meanwhile pass through unrecorded,
 * which at the start of a process are none.
 */
static COLD bool start_process(void)
{
	uint32_t pid = sys_pid(), nobody = __atomic_load_n(&starting_pid, __ATOMIC_RELAXED);

	/* A number that is not ours was left by a parent that forked at just that moment. */
	if (nobody == pid || !__atomic_compare_exchange_n(&starting_pid, &nobody, pid, false,
				     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	if (record_gate == &no_gate) {
		struct record_gate *gate = sys_map_wiped_on_fork();
		read_options();
		if (gate)
			__atomic_store_n(&record_gate, gate, __ATOMIC_RELEASE);
		else
			selected = false;
	} else if (__atomic_load_n(&record_gate->version, __ATOMIC_ACQUIRE) == 0) {
		generation++;
	}
	uint64_t version = OFF;
	if (selected && start_tables())
		version = process_version = ++versions;
	/* release: the tables are whole for whoever sees the version */
	__atomic_store_n(&record_gate->version, version, __ATOMIC_RELEASE);
	__atomic_store_n(&starting_pid, 0, __ATOMIC_RELEASE);
	return version != OFF;
}

static void thread_ends(void *round)
{
	struct record_self *self = &record_self;
	uintptr_t n = (uintptr_t)round;

	/* Other destructors may still come: be the last of them, as far as that can be. */
	if (n < THREAD_END_ROUNDS) {
		pthread_setspecific(thread_key, (void *)(n + 1));
		return;
	}
	struct thread *t = record_enter();
	if (!t)
		return;
	self->ended = true;
	record_leave(t);
}

COLD struct thread *record_enter_slow(void)
{
	struct record_self *self = &record_self;
	uint64_t version = __atomic_load_n(&record_gate->version, __ATOMIC_ACQUIRE);

	if (version == OFF || self->open == RECORD_MUTED)
		return NULL;
	if (version == 0) {
		/* A child that a signal handler forked in the middle of a recording still says CLOSED; that is over. */
		self->open = RECORD_CLOSED;
		if (!start_process()) {
			self->open = RECORD_FRESH;
			return NULL;
		}
		version = record_gate->version;
	} else if (self->open == RECORD_CLOSED) {
		tallyfile_dropped(HT_DROP_REENTERED);
		return NULL;
	}
	__atomic_store_n(&self->open, RECORD_CLOSED, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (self->process != process_version || !self->thread) {
		self->thread = threads_attach();
		if (!self->thread) {
			tallyfile_dropped(HT_DROP_NO_THREAD);
			self->open = RECORD_FRESH;
			return NULL;
		}
		self->process = process_version;
		/* The key was asked for early, so its value has a place in the thread itself and costs no malloc. */
		if (have_thread_key && !self->ended)
			pthread_setspecific(thread_key, (void *)1);
	}
	if (self->thread->version != version) {
		threads_flush_caches(self->thread);
		self->thread->version = version;
	}
	return self->thread;
}

void record_leave_slow(void)
{
	struct record_self *self = &record_self;
	struct thread *t = self->thread;

	clock_flush(t);
	self->thread = NULL;
	threads_detach(t);
	self->open = RECORD_FRESH;
}

/* Events */

static COLD void point_due(struct thread *t, uint64_t now)
{
	clock_point(t, now);
	if (!kept && threads_sum().alloc_bytes >= min_bytes) {
		kept = true;
		tallyfile_keep();
	}
}

/*
 * When a block comes to a bucket, or 0: a look at the clock takes a good part of a cheap event. It is taken where there are
 * few events (c: the bucket's counters, NULL when light), or big blocks, and for one in TIMED_EVERY of the others.
 */
static inline uint64_t arrival_time(struct thread *t, const struct ht_counters *c, uint64_t bytes)
{
	if (unlikely(--t->until_timed == 0))
		t->until_timed = probes_interval(TIMED_EVERY);
	else if (likely(c && bytes <= TIMED_BYTES && !sample_mean))
		return 0;
	return sys_ticks();
}

/* now: of the event, or 0 where it is not known. */
static inline void after_event(struct thread *t, uint64_t now)
{
	if (unlikely(now && now >= __atomic_load_n(&clock_next_point, __ATOMIC_RELAXED)))
		point_due(t, now);
}

static uint32_t lifetime_bin(uint64_t ticks)
{
	uint32_t bits = ticks ? 64u - (uint32_t)__builtin_clzll(ticks) : 0;
	uint32_t bin = bits > HT_LIFETIME_FIRST ? (bits - HT_LIFETIME_FIRST + 1) / 2 : 0;

	return bin < HT_LIFETIME_BINS ? bin : HT_LIFETIME_BINS - 1;
}

/* The time of the free, where the block's birth is known; otherwise 0. */
static uint64_t count_free(
	struct thread *t, const void *p, const struct ledger_entry *e, bool temporary)
{
	uint64_t now = 0;
	uint64_t weight = sample_weight(p, e->bytes), bytes = weight * e->bytes;
	struct ht_counters *c = buckets_counters(t, e->bucket);
	struct light_end end = {
		.timed = e->birth_ticks != 0,
		.temporary = temporary,
		.foreign = e->thread != (uint8_t)t->serial,
	};

	if (unlikely(end.timed)) {
		now = sys_ticks();
		end.lifetime_ticks = ledger_age(e, now);
		end.bin = lifetime_bin(end.lifetime_ticks);
	}
	clock_live_changed(t, -(int64_t)bytes);
	if (unlikely(!c))
		c = light_leave(t, e->bucket, bytes, &end);
	if (likely(c)) {
		clock_touch(e->bucket, c);
		c->live_count -= (int64_t)weight;
		c->live_bytes -= (int64_t)bytes;
		c->frees += weight;
		if (unlikely(end.timed)) {
			c->lifetime_ticks += weight * end.lifetime_ticks;
			if (likely(weight <= UINT32_MAX - c->lifetimes[end.bin]))
				c->lifetimes[end.bin] += (uint32_t)weight;
		}
		if (temporary)
			c->temporary += weight;
		if (unlikely(end.foreign))
			c->foreign_frees += weight;
	}
	if (temporary)
		t->record->temporary += weight;
	if (unlikely(e->regrows > 0))
		buckets_chain_end(t, e->origin, e->bytes, e->regrows);
	t->record->frees += weight;
	t->record->freed_bytes += bytes;
	if (unlikely(sample_mean))
		sample_leave(p);
	return now;
}

/* Freed behind our back: by an unhooked function, or while the thread was not recorded. */
static COLD void lost_free(struct thread *t, const void *p, const struct ledger_entry *e)
{
	__atomic_fetch_add(&tally.header->lost_frees, 1, __ATOMIC_RELAXED);
	count_free(t, p, e, false);
}

static inline void enter_in_ledger(struct thread *t, void *p, const struct ledger_entry *e)
{
	struct ledger_entry old;
	enum ledger_result r = ledger_put(&t->ledger, (uintptr_t)p, e, &old);

	if (unlikely(r == LEDGER_REPLACED))
		lost_free(t, p, &old);
	else if (unlikely(r == LEDGER_NO_MEMORY))
		tallyfile_dropped(HT_DROP_LEDGER_FULL);
}

/* What an allocation and the arrival of a realloc have in common; fresh: it is no realloc. */
static inline void count_arrival(struct thread *t, uint32_t bucket, struct ht_counters *c,
	uint64_t weight, uint64_t bytes, uint64_t usable_bytes, bool fresh)
{
	if (unlikely(!c))
		c = light_arrive(t, bucket, bytes, usable_bytes, fresh);
	if (likely(c)) {
		clock_touch(bucket, c);
		c->live_count += (int64_t)weight;
		c->live_bytes += (int64_t)(weight * bytes);
		c->usable_bytes += weight * usable_bytes;
		if (bytes < c->min_bytes)
			c->min_bytes = bytes;
		if (bytes > c->max_bytes)
			c->max_bytes = bytes;
		if (fresh) {
			c->allocs += weight;
			c->alloc_bytes += weight * bytes;
		}
		if (unlikely(probes_elapsed))
			probes_count(c);
	}
	threads_add(&t->record->alloc_bytes, weight * bytes);
	if (unlikely(bytes == 0))
		__atomic_fetch_add(&tally.header->zero_sizes, 1, __ATOMIC_RELAXED);
}

void record_alloc(struct thread *t, const uintptr_t *caller, void *p, uint64_t bytes,
	uint64_t usable_bytes, uint8_t align, enum ht_source source, bool uninitialised)
{
	uint64_t weight = sample_weight(p, bytes);
	struct ht_counters *c;
	ledger_expect(&t->ledger, (uintptr_t)p);
	uint64_t stack = unwind_stack(t, caller);
	uint32_t bucket = buckets_get(t, stack, ht_size_class(bytes), align, source, &c);
	uint64_t now = arrival_time(t, c, bytes);
	struct ledger_entry e = {
		.bucket = bucket,
		.origin = bucket,
		.thread = (uint8_t)t->serial,
		.bytes = bytes,
		.birth_ticks = now,
	};

	if (uninitialised && unlikely(--t->until_filled == 0)) {
		t->until_filled = probes_interval(PROBES_FILLED_EVERY);
		e.filled = probes_fill(p, 0, bytes);
	}
	if (unlikely(sample_mean)) {
		sample_enter(p);
		record_self.last_position = sample_position();
	}
	/* Before the counters: its lock waits for every store before it. Their cache line comes meanwhile. */
	__builtin_prefetch(c, 1);
	enter_in_ledger(t, p, &e);
	clock_live_changed(t, (int64_t)(weight * bytes));
	count_arrival(t, bucket, c, weight, bytes, usable_bytes, true);
	if (unlikely(__atomic_load_n(&adopt_waiting, __ATOMIC_RELAXED)) && source == HT_SOURCE_LIBC)
		adopt_run();
	threads_add(&t->record->allocs, weight);
	record_self.last_alloc = p;
	after_event(t, now);
}

uint64_t record_allocs(void)
{
	struct thread *t = record_enter();

	if (!t)
		return 0;
	uint64_t allocs = t->record->allocs;
	record_leave(t);
	return allocs;
}

void record_failure(uint64_t bytes)
{
	__atomic_fetch_add(&tally.header->failures, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tally.header->failed_bytes, bytes, __ATOMIC_RELAXED);
}

void record_failed(uint64_t bytes)
{
	struct thread *t = record_enter();

	if (t) {
		record_failure(bytes);
		record_leave(t);
	}
}

bool record_take(struct thread *t, void *p, struct ledger_entry *e)
{
	return ledger_take(&t->ledger, (uintptr_t)p, e);
}

void record_unknown_free(struct thread *t)
{
	struct ht_header *h = tally.header;

	t->freed_bucket = 0;
	if (sample_mean) /* most pointers are unknown then */
		return;
	__atomic_fetch_add(
		generation ? &h->inherited_frees : &h->unknown_frees, 1, __ATOMIC_RELAXED);
}

void record_free(struct thread *t, void *p, const struct ledger_entry *e)
{
	bool own = e->thread == (uint8_t)t->serial,
	     last = p == record_self.last_alloc &&
		    (likely(!sample_mean) || record_self.last_position == sample_position());

	if (unlikely(e->filled))
		probes_unfill(light_promote(t, e->bucket), p, e->bytes);
	if (unlikely(--t->until_content == 0))
		probes_content(t, p, e);
	t->freed_bucket = e->bucket;
	uint64_t now = count_free(t, p, e, last && own);
	if (last) /* whoever gets this address next, it is not what was allocated last here */
		record_self.last_alloc = NULL;
	after_event(t, now);
}

COLD void record_freed(void)
{
	struct thread *t;

	/* In a handler that interrupted a recording, the free itself was counted as dropped. */
	t = record_self.open == RECORD_CLOSED ? NULL : record_enter();
	if (t && t->freed_bucket)
		probes_count(light_promote(t, t->freed_bucket));
	probes_elapsed = 0;
	if (t)
		record_leave(t);
}

static void count_regrow(struct thread *t, const uintptr_t *caller, void *p,
	const struct ledger_entry *e, void *q, uint64_t bytes, uint64_t usable_bytes, uint8_t align,
	enum ht_source source)
{
	struct ht_counters *c;
	uint64_t stack = unwind_stack(t, caller);
	uint32_t bucket = buckets_get(t, stack, ht_size_class(bytes), align, source, &c);
	uint64_t now = arrival_time(t, c, bytes);
	struct ht_counters *before = buckets_counters(t, e->bucket);
	struct ledger_entry now_entry = *e;

	clock_live_changed(t, (int64_t)bytes - (int64_t)e->bytes);
	if (unlikely(!before))
		before = light_leave(t, e->bucket, e->bytes, NULL);
	if (likely(before)) {
		clock_touch(e->bucket, before);
		before->live_count--;
		before->live_bytes -= (int64_t)e->bytes;
	}
	/* Of a bucket that is both, the first half may have made new counters. */
	count_arrival(
		t, bucket, c ? c : buckets_counters(t, bucket), 1, bytes, usable_bytes, false);
	if (unlikely(e->filled))
		now_entry.filled = probes_fill(q, e->bytes, bytes);
	buckets_regrown(t, e->bucket, bucket, e->bytes, bytes, p != q);
	buckets_chain_step(t, e->origin, e->bytes, bytes, e->regrows == 0,
		p == q ? 0 : (e->bytes < bytes ? e->bytes : bytes));
	threads_add(&t->record->reallocs, 1);
	record_self.last_alloc = q;
	now_entry.bucket = bucket;
	now_entry.regrows++;
	now_entry.thread = (uint8_t)t->serial;
	now_entry.bytes = bytes;
	enter_in_ledger(t, q, &now_entry);
	after_event(t, now);
}

void record_realloc_begin(struct record_realloc *r, void *p)
{
	struct thread *t = sample_unknown(p) ? NULL : record_enter();

	*r = (struct record_realloc){.p = p, .recorded = t != NULL};
	if (t) {
		r->known = record_take(t, p, &r->e);
		record_leave(t);
	}
}

/* With sampling a realloc is a free and an allocation: the new size has a chance of its own. */
static COLD void realloc_sampled(struct record_realloc *r, const uintptr_t *caller, void *q,
	uint64_t bytes, uint64_t usable_bytes, uint8_t align, enum ht_source source)
{
	struct ledger_entry old;
	struct thread *t = r->known ? record_enter() : NULL;

	if (t && q)
		count_free(t, r->p, &r->e, false);
	else if (t)
		ledger_put(&t->ledger, (uintptr_t)r->p, &r->e, &old);
	if (t)
		record_leave(t);
	t = record_enter_alloc(q, bytes);
	if (!t)
		return;
	if (q)
		record_alloc(t, caller, q, bytes, usable_bytes, align, source, false);
	else
		record_failure(bytes);
	record_leave(t);
}

void record_realloc_end(struct record_realloc *r, const uintptr_t *caller, void *q, uint64_t bytes,
	uint64_t usable_bytes, uint8_t align, enum ht_source source)
{
	struct ledger_entry old;

	if (unlikely(sample_mean)) {
		realloc_sampled(r, caller, q, bytes, usable_bytes, align, source);
		return;
	}
	struct thread *t = r->recorded ? record_enter() : NULL;
	if (!t)
		return;
	if (likely(q && r->known)) {
		count_regrow(t, caller, r->p, &r->e, q, bytes, usable_bytes, align, source);
	} else if (q) {
		record_unknown_free(t);
		record_alloc(t, caller, q, bytes, usable_bytes, align, source, false);
	} else {
		if (r->known)
			ledger_put(&t->ledger, (uintptr_t)r->p, &r->e, &old);
		record_failure(bytes);
	}
	record_leave(t);
}

void record_realloc_freed(struct record_realloc *r)
{
	struct thread *t = r->recorded ? record_enter() : NULL;

	if (!t)
		return;
	if (r->known)
		record_free(t, r->p, &r->e);
	else
		record_unknown_free(t);
	record_leave(t);
}

/* True in a process whose tables are there. */
static bool recording(void)
{
	uint64_t version = __atomic_load_n(&record_gate->version, __ATOMIC_ACQUIRE);

	return version > RECORD_MUTED && version != OFF;
}

void record_map(uintptr_t caller, uint64_t mapped_bytes, uint64_t unmapped_bytes)
{
	struct ht_header *h = tally.header;

	if (!recording())
		return;
	if (mapped_bytes) {
		__atomic_fetch_add(&h->map_calls, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&h->map_bytes, mapped_bytes, __ATOMIC_RELAXED);
	}
	if (unmapped_bytes) {
		__atomic_fetch_add(&h->unmap_calls, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&h->unmap_bytes, unmapped_bytes, __ATOMIC_RELAXED);
	}
	/* The module takes a look-up, and a handler must not wait for the thread it interrupted in a recording. */
	uint64_t before = record_self.open;
	if (before == RECORD_CLOSED)
		return;
	/* An adopted allocator maps while the call of it is recorded as one: that is no event of its own, but seen. */
	if (before == RECORD_MUTED)
		record_unmute(RECORD_FRESH);
	struct thread *t = record_enter();
	if (t) {
		modules_count_map(caller, mapped_bytes, unmapped_bytes);
		record_leave(t);
	}
	if (before == RECORD_MUTED)
		record_mute();
}

void record_madvise(uint64_t bytes)
{
	if (!recording())
		return;
	__atomic_fetch_add(&tally.header->madvise_calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tally.header->madvise_bytes, bytes, __ATOMIC_RELAXED);
}

static void forget_module(const struct module *m)
{
	unwind_forget(m->start, m->end);
	adopt_forget(m);
}

void record_modules_added(void)
{
	struct thread *t = recording() ? record_enter() : NULL;

	if (!t)
		return;
	modules_scan(adopt_consider);
	adopt_run_whole();
	record_leave(t);
}

void record_namespace_added(const struct link_map *loaded)
{
	struct thread *t = recording() ? record_enter() : NULL;

	if (!t)
		return;
	while (loaded->l_prev)
		loaded = loaded->l_prev;
	for (; loaded; loaded = loaded->l_next)
		modules_find((uintptr_t)loaded->l_ld);
	modules_scan(adopt_consider);
	adopt_run_whole();
	record_leave(t);
}

void record_modules_changed(void)
{
	if (!recording())
		return;
	struct thread *t = record_enter();
	if (!t)
		return;
	bool any = modules_sweep(forget_module);
	record_leave(t);
	if (!any)
		return;
	/* release: threads that see the new version see the rules gone */
	__atomic_store_n(&record_gate->version, __atomic_add_fetch(&versions, 1, __ATOMIC_RELAXED),
		__ATOMIC_RELEASE);
}

void record_start(void)
{
	have_thread_key = pthread_key_create(&thread_key, thread_ends) == 0;
	/* What the loader allocates for libunwind is not the host's. */
	uint64_t before = record_mute();
	unwind_slow_load();
	record_unmute(before);
	/* Begin now, while the output directory is in reach: the host may change its root or its rights. */
	struct thread *t = record_enter();
	if (t) {
		modules_scan(adopt_consider);
		adopt_run_whole();
		record_leave(t);
	}
}

void record_exit(void)
{
	struct thread *t = record_enter();

	if (!t)
		return;
	modules_scan(NULL);
	clock_flush(t);
	clock_next_point = 0;
	clock_point(t, sys_ticks());
	if (!kept && threads_sum().alloc_bytes >= min_bytes)
		tallyfile_keep();
	else if (threads_sum().alloc_bytes < min_bytes)
		tallyfile_discard();
	tally.header->state = HT_STATE_EXITED;
	record_leave(t);
}
