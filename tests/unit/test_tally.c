/* SPDX-License-Identifier: MIT */
/*
 * The tally reader and writer. Expected values come from ledgers kept here, event by event, not from the code under
 * test.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "synth.h"

#define BUCKETS 40
#define THREADS 3
#define EVENTS  6000
#define MARKS   12

static char directory[64];

static void enter(void)
{
	strcpy(directory, "/tmp/test_tally.XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
}

static void leave(void)
{
	DIR *d = opendir(directory);

	for (struct dirent *f; (f = readdir(d));)
		if (f->d_name[0] != '.')
			unlink(f->d_name);
	closedir(d);
	rmdir(directory);
}

TestSuite(tally, .init = enter, .fini = leave);

static int files_here(void)
{
	DIR *d = opendir(".");
	int n = 0;

	for (struct dirent *f; (f = readdir(d));)
		n += f->d_name[0] != '.';
	closedir(d);
	return n;
}

static uint32_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)random_state * n) >> 32);
}

/* What the program itself would know. */
struct ledger {
	uint64_t allocs[BUCKETS], alloc_bytes[BUCKETS], frees[BUCKETS], min[BUCKETS], max[BUCKETS];
	int64_t live[BUCKETS], count[BUCKETS], peak[BUCKETS], peak_count[BUCKETS];
	uint64_t total, highest;
	int64_t points[HT_TIMELINE_POINTS][BUCKETS];
	uint32_t n_points;
	/* what was at each mark; 0 is the start */
	struct {
		uint64_t allocs[BUCKETS], alloc_bytes[BUCKETS], frees[BUCKETS];
		int64_t live[BUCKETS], count[BUCKETS];
	} marks[MARKS];
	uint32_t n_marks;
};

static void ledger_look(struct ledger *l)
{
	if (l->total <= l->highest)
		return;
	l->highest = l->total;
	memcpy(l->peak, l->live, sizeof(l->peak));
	memcpy(l->peak_count, l->count, sizeof(l->peak_count));
}

static void ledger_arrive(struct ledger *l, uint32_t b, uint64_t bytes)
{
	l->live[b] += (int64_t)bytes;
	l->count[b]++;
	l->total += bytes;
	l->min[b] = bytes < l->min[b] ? bytes : l->min[b];
	l->max[b] = bytes > l->max[b] ? bytes : l->max[b];
}

static void ledger_point(struct ledger *l)
{
	if (l->n_points == HT_TIMELINE_POINTS) {
		for (uint32_t k = 0; k < HT_TIMELINE_POINTS / 2; k++)
			memcpy(l->points[k], l->points[2 * k + 1], sizeof(l->points[k]));
		l->n_points /= 2;
	}
	memcpy(l->points[l->n_points++], l->live, sizeof(l->live));
}

static void ledger_mark(struct ledger *l)
{
	uint32_t i = l->n_marks++;

	memcpy(l->marks[i].allocs, l->allocs, sizeof(l->allocs));
	memcpy(l->marks[i].alloc_bytes, l->alloc_bytes, sizeof(l->alloc_bytes));
	memcpy(l->marks[i].frees, l->frees, sizeof(l->frees));
	memcpy(l->marks[i].live, l->live, sizeof(l->live));
	memcpy(l->marks[i].count, l->count, sizeof(l->count));
}

/* Bucket b holds blocks of exactly 16 * b bytes; bucket 0, the overflow bucket, is left alone. */
static void play(struct synth *s, struct ledger *l, uint32_t seed, uint32_t n_points)
{
	memset(l, 0, sizeof(*l));
	l->n_marks = 1;
	random_state = seed;
	uint32_t module = synth_module(s, "/usr/bin/prog");
	for (uint32_t b = 0; b < BUCKETS; b++)
		l->min[b] = UINT64_MAX;
	for (uint32_t b = 1; b < BUCKETS; b++) {
		uint32_t site = synth_site(s, b / 2, module, 16 * b);
		cr_assert_eq(synth_bucket(s, site, 16 * b), b);
	}
	for (uint32_t b = 1; b < BUCKETS; b += 3)
		for (uint32_t t = 0; t < THREADS; t++)
			synth_follow(s, b, t);
	for (uint32_t i = 0, phase = 0; i < EVENTS; i++) {
		uint32_t b = 1 + random_below(BUCKETS - 1), t = random_below(THREADS);
		if (i % 500 == 0)
			phase = random_below(100);
		/* sometimes one after the other, sometimes with little between them */
		if (seed % 3 && l->n_marks < MARKS && random_below(seed % 3 == 1 ? 600 : 30) == 0) {
			synth_mark(s, seed % 2 ? "make" : "seal", "", i);
			ledger_mark(l);
		}
		if (random_below(100) < phase || l->count[b] == 0) {
			synth_alloc(s, b, t, 1, 16 * b);
			l->allocs[b]++;
			l->alloc_bytes[b] += 16 * b;
			ledger_arrive(l, b, 16 * b);
		} else if (random_below(10) == 0) {
			uint32_t to = 1 + (b + random_below(BUCKETS - 2)) % (BUCKETS - 1);
			if (to == b)
				continue;
			synth_realloc(s, b, to, t, 16 * b, 16 * to);
			l->live[b] -= 16 * b;
			l->total -= 16 * b;
			l->count[b]--;
			ledger_arrive(l, to, 16 * to);
		} else {
			synth_free(s, b, t, 1, 16 * b);
			l->live[b] -= 16 * b;
			l->count[b]--;
			l->frees[b]++;
			l->total -= 16 * b;
		}
		ledger_look(l);
		if (n_points && i % (EVENTS / n_points) == 0) {
			synth_point(s, i);
			ledger_point(l);
		}
	}
}

static void expect_ledger(const struct tally *t, const struct ledger *l)
{
	for (uint32_t b = 0; b < BUCKETS; b++) {
		const struct ht_counters *c = &t->counters[b];
		cr_assert_eq(c->allocs, l->allocs[b]);
		cr_assert_eq(c->alloc_bytes, l->alloc_bytes[b]);
		cr_assert_eq(c->frees, l->frees[b]);
		cr_assert_eq(c->live_count, l->count[b]);
		cr_assert_eq(c->live_bytes, l->live[b]);
		cr_assert_eq(c->peak_count, l->peak_count[b], "bucket %u", b);
		cr_assert_eq(c->peak_bytes, l->peak[b], "bucket %u", b);
		cr_assert_eq(c->min_bytes, l->min[b]);
		cr_assert_eq(c->max_bytes, l->max[b]);
		cr_assert_eq(c->stamp_row, 0);
	}
	cr_assert_eq(t->n_marks, l->n_marks);
	for (uint32_t k = 0; k < l->n_marks; k++)
		for (uint32_t b = 0; b < BUCKETS; b++) {
			struct ht_phase at;
			tally_at_mark(t, b, k, &at);
			cr_assert_eq(at.counters, b);
			cr_assert_eq(at.mark, k);
			cr_assert_eq(at.allocs, l->marks[k].allocs[b], "bucket %u mark %u", b, k);
			cr_assert_eq(at.alloc_bytes, l->marks[k].alloc_bytes[b]);
			cr_assert_eq(at.frees, l->marks[k].frees[b]);
			cr_assert_eq(at.live_count, l->marks[k].count[b]);
			cr_assert_eq(at.live_bytes, l->marks[k].live[b]);
		}
	cr_assert_eq(t->header.peak_bytes, l->highest);
	cr_assert_eq(t->n_points, l->n_points);
	for (uint32_t i = 0; i < t->n_curves; i++) {
		const struct tally_curve *curve = &t->curves[i];
		for (uint32_t k = 0; k < t->n_points; k++)
			cr_assert_eq(curve->live_bytes[k], l->points[k][curve->bucket],
				"bucket %u point %u", curve->bucket, k);
	}
}

#define expect_table(a, b, table, n)                                                               \
	do {                                                                                       \
		cr_assert_eq((a)->n, (b)->n);                                                      \
		cr_assert_eq(                                                                      \
			memcmp((a)->table, (b)->table, (a)->n * sizeof(*(a)->table)), 0, #table);  \
	} while (0)

static void expect_equal(const struct tally *a, const struct tally *b)
{
	struct ht_header x = a->header, y = b->header;

	x.state = y.state = 0;
	x.n_counters = y.n_counters = 0; /* how threads were spread is not kept */
	x.n_light = y.n_light = 0;
	x.n_history = y.n_history = 0;
	x.n_phases = y.n_phases = 0;
	x.n_contents = y.n_contents = 0; /* where there is nothing but row 0, that goes too */
	cr_assert_eq(memcmp(&x, &y, sizeof(x)), 0);
	expect_table(a, b, strings, strings_bytes);
	expect_table(a, b, modules, n_modules);
	expect_table(a, b, sites, n_sites);
	expect_table(a, b, buckets, n_buckets);
	expect_table(a, b, counters, n_buckets);
	expect_table(a, b, regrows, n_regrows);
	expect_table(a, b, chains, n_chains);
	expect_table(a, b, threads, n_threads);
	expect_table(a, b, points, n_points);
	expect_table(a, b, marks, n_marks);
	expect_table(a, b, phases, n_phases);
	expect_table(a, b, contents, n_contents);
	cr_assert_eq(a->n_curves, b->n_curves);
	for (uint32_t i = 0; i < a->n_curves; i++) {
		cr_assert_eq(a->curves[i].bucket, b->curves[i].bucket);
		cr_assert_eq(memcmp(a->curves[i].live_bytes, b->curves[i].live_bytes,
				     a->n_points * sizeof(int64_t)),
			0);
	}
	cr_assert_eq(!a->names, !b->names);
	if (a->names) {
		expect_table(a, b, names, names_bytes);
		expect_table(a, b, functions, n_functions);
		expect_table(a, b, frames, n_frames);
		expect_table(a, b, locations, n_locations);
	}
}

/* A little of everything. */
static void build(struct synth *s)
{
	struct ht_chain chain = {.origin = 1, .size_class = 4, .ended = 5, .lengths = {1, 4}};
	struct ht_content content = {.bucket = 2, .count = 3, .hash = 0xabc};
	struct ht_light light = {.bucket = 1, .events = 1, .allocs = 1, .alloc_bytes = 23};

	synth_init(s);
	uint32_t f = synth_call(s, synth_call(s, 0, "main"), "app::run");
	uint32_t a = synth_bucket(s, f, 24), b = synth_bucket(s, f, 4096);
	uint32_t main_thread = synth_thread(s, "main"), worker = synth_thread(s, "worker");
	synth_follow(s, a, worker);
	synth_alloc(s, a, main_thread, 10, 24);
	synth_point(s, 1000);
	synth_alloc(s, b, worker, 2, 4000);
	synth_mark(s, "seal", "modules=5", 1500);
	synth_realloc(s, a, b, worker, 24, 4096);
	synth_point(s, 2000);
	synth_free(s, a, worker, 4, 24);
	synth_add(s, HT_SEC_CONTENTS, &content);
	synth_add(s, HT_SEC_CHAINS, &chain);
	synth_add(s, HT_SEC_LIGHT, &light);
}

Test(tally, empty)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_modules, 1);
	cr_assert_eq(t.n_sites, 1);
	cr_assert_eq(t.n_buckets, 1);
	cr_assert_eq(t.counters[0].allocs, 0);
	cr_assert_gt(t.counters[0].min_bytes, t.counters[0].max_bytes);
	cr_assert_null(t.names);
	cr_assert_str_eq(tally_string(&t, t.header.program), "prog");
	tally_release(&t);
	synth_release(&s);
}

Test(tally, killed_before_the_first_record)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	for (int i = 0; i < HT_SEC_COUNT; i++)
		s.tables[i].n = 0;
	s.header.program = s.header.exe = s.header.command = s.header.cwd = 0;
	synth_tally(&s, &t);
	cr_assert_eq(t.n_sites, 1, "there is always a root");
	cr_assert_eq(t.n_buckets, 1);
	cr_assert_str_eq(tally_string(&t, t.modules[0].path), "");
	tally_release(&t);
	synth_release(&s);
}

Test(tally, threads_are_added_up)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 50), c = synth_bucket(&s, 0, 2000);
	synth_alloc(&s, b, 0, 3, 49);
	synth_alloc(&s, b, 1, 1, 56);
	synth_free(&s, b, 2, 2, 49); /* a thread that only frees */
	synth_counters(&s, b, 2)->foreign_frees = 2;
	synth_counters(&s, b, 2)->min_bytes = 0; /* as where nothing was set */
	synth_counters(&s, b, 0)->lifetimes[3] = UINT32_MAX - 1;
	synth_counters(&s, b, 2)->lifetimes[3] = 2;
	synth_tally(&s, &t);
	cr_assert_eq(t.counters[b].allocs, 4);
	cr_assert_eq(t.counters[b].alloc_bytes, 3 * 49 + 56);
	cr_assert_eq(t.counters[b].usable_bytes, 4 * 64);
	cr_assert_eq(t.counters[b].frees, 2);
	cr_assert_eq(t.counters[b].foreign_frees, 2);
	cr_assert_eq(t.counters[b].live_count, 2);
	cr_assert_eq(t.counters[b].live_bytes, 49 + 56);
	cr_assert_eq(t.counters[b].peak_bytes, 3 * 49 + 56);
	cr_assert_eq(t.counters[b].min_bytes, 49);
	cr_assert_eq(t.counters[b].max_bytes, 56);
	cr_assert_eq(t.counters[b].lifetimes[3], UINT32_MAX, "saturates");
	cr_assert_eq(t.counters[c].allocs, 0);
	cr_assert_gt(t.counters[c].min_bytes, t.counters[c].max_bytes);
	tally_release(&t);
	synth_release(&s);
}

/* FORMAT.md, "Counters": a light record counts as the one of COUNTERS that it can be written as. */
Test(tally, light_records_are_added_up)
{
	struct synth s;
	struct tally t;
	struct ht_light unused = {.thread = 7}, only_frees = {.bucket = 2, .min_bytes = UINT32_MAX},
			few = {.bucket = 1,
				.thread = 1,
				.stamp = 4,
				.lifetime_ticks = 5000,
				.alloc_bytes = 130,
				.usable_bytes = 160,
				.live_bytes = 80,
				.peak_bytes = 130,
				.min_bytes = 50,
				.max_bytes = 80,
				.events = 3,
				.allocs = 2,
				.frees = 1,
				.live_count = 1,
				.peak_count = 2,
				.temporary = 1,
				.foreign_frees = 1};

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 50), c = synth_bucket(&s, 0, 2000);
	synth_alloc(&s, b, 0, 3, 60);
	s.header.rising = 0;
	s.header.peak_stamp = 4; /* the light record has its peak, the other one what is live */
	few.lifetimes[1] = 0xf0; /* bin 3: 15 of them */
	few.lifetimes[5] = 0x02; /* bin 10: 2 */
	synth_counters(&s, b, 0)->lifetimes[3] = 100;
	only_frees.events = only_frees.frees = 2;
	only_frees.live_count = -2;
	only_frees.live_bytes = only_frees.peak_bytes = -100;
	synth_add(&s, HT_SEC_LIGHT, &unused);
	synth_add(&s, HT_SEC_LIGHT, &few);
	synth_add(&s, HT_SEC_LIGHT, &only_frees);
	synth_tally(&s, &t);
	cr_assert_eq(t.counters[0].allocs, 0, "an unused record is nobody's");
	cr_assert_eq(t.counters[b].allocs, 5);
	cr_assert_eq(t.counters[b].alloc_bytes, 180 + 130);
	cr_assert_eq(t.counters[b].usable_bytes, 3 * 64 + 160);
	cr_assert_eq(t.counters[b].frees, 1);
	cr_assert_eq(t.counters[b].temporary, 1);
	cr_assert_eq(t.counters[b].foreign_frees, 1);
	cr_assert_eq(t.counters[b].live_count, 4);
	cr_assert_eq(t.counters[b].live_bytes, 180 + 80);
	cr_assert_eq(t.counters[b].peak_count, 3 + 2);
	cr_assert_eq(t.counters[b].peak_bytes, 180 + 130);
	cr_assert_eq(t.counters[b].min_bytes, 50);
	cr_assert_eq(t.counters[b].max_bytes, 80);
	cr_assert_eq(t.counters[b].lifetime_ticks, 5000);
	cr_assert_eq(t.counters[b].lifetimes[3], 115);
	cr_assert_eq(t.counters[b].lifetimes[10], 2);
	cr_assert_eq(t.counters[c].frees, 2);
	cr_assert_eq(t.counters[c].live_count, -2);
	cr_assert_eq(t.counters[c].live_bytes, -100);
	cr_assert_gt(t.counters[c].min_bytes, t.counters[c].max_bytes, "no request");
	tally_release(&t);
	synth_release(&s);
}

Test(tally, regrows_and_chains_of_threads_are_added_up)
{
	struct synth s;
	struct tally t;
	const struct ht_regrow steps[] = {{2, 1, 5, 50, 25, 1, 5}, {1, 2, 3, 30, 60, 2, 20},
		{1, 1, 1, 9, 10, 0, 0}, {1, 2, 4, 40, 80, 1, 10}};
	const struct ht_chain chains[] = {
		{.origin = 2, .size_class = 4, .now = 1},
		{.origin = 1,
			.size_class = 5,
			.now = (uint64_t)-2,
			.ended = 2,
			.regrows = 7,
			.lengths = {1, 1}},
		{.origin = 1, .size_class = 4, .now = 3, .copied_bytes = 40},
		{.origin = 1,
			.size_class = 5,
			.now = 3,
			.copied_bytes = 80,
			.lengths = {UINT32_MAX}},
	};

	synth_init(&s);
	synth_bucket(&s, 0, 32);
	synth_bucket(&s, 0, 48);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		synth_add(&s, HT_SEC_REGROWS, &steps[i]);
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		synth_add(&s, HT_SEC_CHAINS, &chains[i]);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_regrows, 3);
	cr_assert_eq(t.regrows[1].from, 1);
	cr_assert_eq(t.regrows[1].to, 2);
	cr_assert_eq(t.regrows[1].count, 7);
	cr_assert_eq(t.regrows[1].from_bytes, 70);
	cr_assert_eq(t.regrows[1].to_bytes, 140);
	cr_assert_eq(t.regrows[1].moved, 3);
	cr_assert_eq(t.regrows[1].copied_bytes, 30);
	cr_assert_eq(t.regrows[0].count, 1);
	cr_assert_eq(t.regrows[2].count, 5);
	cr_assert_eq(t.n_chains, 3);
	cr_assert_eq(t.chains[1].size_class, 5);
	cr_assert_eq(t.chains[1].now, 1, "it went down on another thread than up");
	cr_assert_eq(t.chains[1].ended, 2);
	cr_assert_eq(t.chains[1].regrows, 7);
	cr_assert_eq(t.chains[1].copied_bytes, 80);
	cr_assert_eq(t.chains[1].lengths[0], UINT32_MAX, "saturates");
	cr_assert_eq(t.chains[1].lengths[1], 1);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, zero_size_requests_have_a_range)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 0);
	synth_alloc(&s, b, 0, 2, 0);
	synth_tally(&s, &t);
	cr_assert_eq(t.counters[b].min_bytes, 0);
	cr_assert_eq(t.counters[b].max_bytes, 0);
	tally_release(&t);
	synth_release(&s);
}

/* The rule of FORMAT.md, case by case, on stamps set by hand. */
Test(tally, peak_rule)
{
	static const struct {
		uint32_t rising;
		uint64_t peak_stamp, stamp;
		int64_t expected;
	} cases[] = {
		{0, 0, 0, 7},               /* no peak yet: live */
		{0, 5, 4, 7},               /* untouched since the peak: live */
		{0, 5, 5, 9},               /* touched since: as saved */
		{0, 5, 6, 9}, {1, 5, 6, 7}, /* the peak is now */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct synth s;
		struct tally t;
		synth_init(&s);
		struct ht_counters *c = synth_counters(&s, synth_bucket(&s, 0, 8), 0);
		c->allocs = 10;
		c->live_count = c->live_bytes = 7;
		c->peak_count = c->peak_bytes = 9;
		c->stamp_row = cases[i].stamp << 24;
		s.header.rising = cases[i].rising;
		s.header.peak_stamp = cases[i].peak_stamp;
		s.header.stamp = 6;
		synth_tally(&s, &t);
		cr_assert_eq(t.counters[1].peak_bytes, cases[i].expected, "case %zu", i);
		cr_assert_eq(t.counters[1].peak_count, cases[i].expected, "case %zu", i);
		tally_release(&t);
		synth_release(&s);
	}
}

/* Random programs of three threads: every counter, the peak and every curve against the ledger. */
Test(tally, random_programs)
{
	static const uint32_t points[] = {0, 100, 600, 1500};
	struct ledger *l = malloc(sizeof(*l));

	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct synth s;
		struct tally t, again;
		struct error e;
		synth_init(&s);
		play(&s, l, seed, points[seed % 4]);
		s.extents = seed % 5 + 1;
		s.spare = seed % 3;
		synth_tally(&s, &t);
		expect_ledger(&t, l);
		cr_assert_eq(t.n_curves, 13, "every third of 39 buckets is followed");
		cr_assert_eq(tally_write(&t, "random.tally", &e), 0);
		cr_assert_eq(tally_read(&again, "random.tally", &e), 0, "%s", e.text);
		expect_ledger(&again, l);
		expect_equal(&t, &again);
		tally_release(&again);
		tally_release(&t);
		synth_release(&s);
	}
	free(l);
}

Test(tally, curve_starts_when_followed)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 10);
	synth_alloc(&s, b, 0, 1, 10);
	synth_point(&s, 1);
	synth_point(&s, 2);
	synth_follow(&s, b, 0);
	synth_point(&s, 3);
	synth_alloc(&s, b, 0, 1, 10);
	synth_point(&s, 4);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_curves, 1);
	cr_assert_eq(t.curves[0].bucket, b);
	cr_assert_eq(t.curves[0].live_bytes[0], 0);
	cr_assert_eq(t.curves[0].live_bytes[1], 0);
	cr_assert_eq(t.curves[0].live_bytes[2], 10);
	cr_assert_eq(t.curves[0].live_bytes[3], 20);
	tally_release(&t);
	synth_release(&s);
}

/* Rows that say nothing yet or nothing true: the points before `first` stay unknown, though `next` is there too. */
Test(tally, row_never_written)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 10);
	synth_alloc(&s, b, 0, 1, 10);
	synth_point(&s, 1);
	synth_follow(&s, b, 0);
	synth_point(&s, 2);
	((struct ht_history *)synth_at(&s, HT_SEC_HISTORY, 1))->live_bytes[0] = 99;
	synth_tally(&s, &t);
	cr_assert_eq(t.n_curves, 1);
	cr_assert_eq(t.curves[0].live_bytes[0], 0);
	cr_assert_eq(t.curves[0].live_bytes[1], 10);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, rows_not_used)
{
	static const struct {
		const char *why;
		uint32_t bucket, record, generation, curves;
	} cases[] = {
		{"as it should be", 1, 0, 3, 1},
		{"ahead of the timeline", 1, 0, 4, 0},
		{"another bucket's", 2, 0, 3, 0},
		{"another record's", 1, 1, 3, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct synth s;
		struct tally t;
		synth_init(&s);
		uint32_t b = synth_bucket(&s, 0, 10);
		synth_bucket(&s, 0, 1000);
		s.header.point_generation = 3;
		synth_follow(&s, b, 0);
		synth_alloc(&s, b, 1, 1, 10);
		synth_point(&s, 1);
		struct ht_history *row = synth_at(&s, HT_SEC_HISTORY, 1);
		row->bucket = cases[i].bucket;
		row->counters = cases[i].record;
		row->generation = cases[i].generation;
		synth_tally(&s, &t);
		cr_assert_eq(t.n_curves, cases[i].curves, "%s", cases[i].why);
		tally_release(&t);
		synth_release(&s);
	}
}

/* A row that slept through two coarsenings: eight points, of which the fourth and the eighth are left. */
Test(tally, history_of_an_older_generation)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 10);
	synth_follow(&s, b, 0);
	for (int i = 0; i < 6; i++) {
		synth_alloc(&s, b, 0, 1, 10);
		synth_point(&s, i);
	}
	synth_alloc(&s, b, 0, 1, 10);
	synth_point(&s, 6);
	synth_point(&s, 7);
	synth_coarsen(&s);
	synth_coarsen(&s);
	synth_point(&s, 11);
	cr_assert_eq(((struct ht_history *)synth_at(&s, HT_SEC_HISTORY, 1))->generation, 0);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_points, 3);
	cr_assert_eq(t.points[0].ticks, 3);
	cr_assert_eq(t.points[1].ticks, 7);
	cr_assert_eq(t.curves[0].live_bytes[0], 40);
	cr_assert_eq(t.curves[0].live_bytes[1], 70);
	cr_assert_eq(t.curves[0].live_bytes[2], 70);
	tally_release(&t);
	synth_release(&s);
}

/* Killed in the middle of coarsening: three points of the new kind, and a row of the old. */
Test(tally, disorderly_timeline_loses_its_tail)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 8);
	synth_follow(&s, b, 0);
	for (uint64_t i = 0; i < 8; i++) {
		synth_alloc(&s, b, 0, 1, 8);
		synth_point(&s, 10 * i);
	}
	for (uint32_t k = 0; k < 3; k++)
		memcpy(synth_at(&s, HT_SEC_TIMELINE, k), synth_at(&s, HT_SEC_TIMELINE, 2 * k + 1),
			sizeof(struct ht_point));
	synth_tally(&s, &t);
	cr_assert_eq(t.n_points, 3);
	cr_assert_eq(t.header.n_points, 3);
	for (uint32_t k = 0; k < 3; k++) {
		cr_assert_eq(t.points[k].ticks, 20 * k + 10);
		cr_assert_eq(t.curves[0].live_bytes[k], 8 * (2 * k + 2));
	}
	tally_release(&t);
	synth_release(&s);
}

Test(tally, free_thread_slots_are_dropped)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	synth_thread(&s, "a");
	uint32_t gone = synth_thread(&s, "gone");
	uint32_t b = synth_thread(&s, "b");
	((struct ht_thread *)synth_at(&s, HT_SEC_THREADS, gone))->threads = 0;
	memset(((struct ht_thread *)synth_at(&s, HT_SEC_THREADS, b))->name, 'x', 16);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_threads, 2);
	cr_assert_str_eq(t.threads[0].name, "a");
	cr_assert_str_eq(t.threads[1].name, "xxxxxxxxxxxxxxx");
	tally_release(&t);
	synth_release(&s);
}

static void expect_at(const struct tally *t, uint32_t bucket, uint32_t mark, uint64_t allocs,
	uint64_t alloc_bytes, uint64_t frees, int64_t live_count, int64_t live_bytes)
{
	struct ht_phase at;

	tally_at_mark(t, bucket, mark, &at);
	cr_assert_eq(at.allocs, allocs, "bucket %u mark %u: %lu", bucket, mark, at.allocs);
	cr_assert_eq(at.alloc_bytes, alloc_bytes);
	cr_assert_eq(at.frees, frees);
	cr_assert_eq(at.live_count, live_count);
	cr_assert_eq(at.live_bytes, live_bytes);
}

Test(tally, phases_by_hand)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t a = synth_bucket(&s, 0, 10), b = synth_bucket(&s, 0, 100);
	synth_alloc(&s, a, 0, 5, 10);
	cr_assert_eq(synth_mark(&s, "one", "", 1), 1);
	synth_alloc(&s, a, 1, 2, 10);
	synth_free(&s, a, 1, 4, 10); /* more than this thread has */
	synth_mark(&s, "two", "modules=7", 2);
	synth_mark(&s, "one", "", 3);
	synth_alloc(&s, b, 0, 1, 100);
	synth_free(&s, a, 0, 3, 10);
	synth_mark(&s, "end", "", 4);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_marks, 5);
	cr_assert_str_eq(tally_string(&t, t.marks[0].name), "start");
	cr_assert_str_eq(tally_string(&t, t.marks[3].name), "one");
	cr_assert_str_eq(tally_string(&t, t.marks[2].numbers), "modules=7");
	cr_assert_eq(t.n_phases, 3, "bucket a in phases 1 and 3, b in 3");
	expect_at(&t, a, 0, 0, 0, 0, 0, 0);
	expect_at(&t, a, 1, 5, 50, 0, 5, 50);
	expect_at(&t, a, 2, 7, 70, 4, 3, 30);
	expect_at(&t, a, 3, 7, 70, 4, 3, 30);
	expect_at(&t, a, 4, 7, 70, 7, 0, 0);
	expect_at(&t, a, 5, 7, 70, 7, 0, 0);
	for (uint32_t k = 0; k < 4; k++)
		expect_at(&t, b, k, 0, 0, 0, 0, 0);
	expect_at(&t, b, 4, 1, 100, 0, 1, 100);
	tally_release(&t);
	synth_release(&s);
}

/* A record that looked while a mark was being made has two rows for it. */
Test(tally, phase_rows_twice)
{
	struct synth s;
	struct tally t;
	struct ht_phase row = {.counters = 0,
		.mark = 1,
		.allocs = 2,
		.alloc_bytes = 20,
		.live_count = 2,
		.live_bytes = 20};

	synth_init(&s);
	uint32_t a = synth_bucket(&s, 0, 10);
	synth_alloc(&s, a, 0, 9, 10);
	synth_mark(&s, "one", "", 1);
	synth_add(&s, HT_SEC_PHASES, &row);
	row.allocs = 3;
	synth_add(&s, HT_SEC_PHASES, &row);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_phases, 1);
	expect_at(&t, a, 1, 2, 20, 0, 2, 20);
	expect_at(&t, a, 2, 9, 90, 0, 9, 90);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, contents_are_sorted_and_added_up)
{
	static const struct ht_content raw[] = {{2, 5, 30}, {1, 1, 90}, {2, 7, 10},
		{2, UINT32_MAX, 30}, {1, 0, 8}, {1, 2, 90}, {2, 4, 0}};
	static const struct ht_content wanted[] = {
		{1, 3, 90}, {2, 4, 0}, {2, 7, 10}, {2, UINT32_MAX, 30}};
	struct synth s;
	struct tally t;

	synth_init(&s);
	synth_bucket(&s, 0, 10);
	synth_bucket(&s, 0, 100);
	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
		synth_add(&s, HT_SEC_CONTENTS, &raw[i]);
	synth_tally(&s, &t);
	cr_assert_eq(t.n_contents, 4);
	cr_assert_eq(memcmp(t.contents, wanted, sizeof(wanted)), 0);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, extents_may_cut_a_section_anywhere)
{
	struct synth s;
	struct tally whole, t;

	build(&s);
	synth_tally(&s, &whole);
	for (unsigned extents = 1; extents < 12; extents++) {
		s.extents = extents;
		s.spare = extents % 4 * 16;
		synth_tally(&s, &t);
		expect_equal(&whole, &t);
		tally_release(&t);
	}
	tally_release(&whole);
	synth_release(&s);
}

Test(tally, full_extent_table)
{
	struct synth s;
	struct tally t;
	size_t bytes, records = 0;

	build(&s);
	s.extents = 100003; /* every record alone */
	for (int i = 0; i < HT_SEC_COUNT; i++)
		records += s.tables[i].n;
	char *pad = malloc(HT_MAX_EXTENTS);
	memset(pad, 'p', HT_MAX_EXTENTS);
	pad[HT_MAX_EXTENTS - records - 1] = 0;
	uint32_t at = synth_string(&s, pad);
	char *image = synth_image(&s, &bytes);
	struct ht_extent *table = (void *)(image + HT_EXTENTS_OFFSET);
	cr_assert_neq(table[HT_MAX_EXTENTS - 1].section, HT_SEC_FREE, "no end mark");
	free(image);
	synth_tally(&s, &t);
	cr_assert_str_eq(tally_string(&t, at), pad);
	tally_release(&t);
	synth_release(&s);
	free(pad);
}

Test(tally, round_trip)
{
	struct synth s;
	struct tally t, again;
	struct error e;
	struct stat st;
	struct ht_header header;

	build(&s);
	synth_tally(&s, &t);
	cr_assert_not_null(t.names);
	cr_assert_eq(t.n_chains, 1);
	cr_assert_eq(t.n_regrows, 1);
	cr_assert_eq(t.n_curves, 1);
	cr_assert_eq(tally_write(&t, "round.tally", &e), 0);
	int fd = open("round.tally", O_RDONLY);
	cr_assert_eq(read(fd, &header, sizeof(header)), (ssize_t)sizeof(header));
	close(fd);
	cr_assert_eq(header.state, t.header.state | HT_STATE_FINISHED);
	cr_assert_eq(stat("round.tally", &st), 0);
	cr_assert_lt(st.st_size, 4096 + 4096, "no empty extent table is carried along");
	cr_assert_eq(tally_read(&again, "round.tally", &e), 0, "%s", e.text);
	cr_assert_eq(again.header.state, header.state);
	cr_assert_str_eq(again.path, "round.tally");
	expect_equal(&t, &again);

	/* and once more, over itself */
	tally_release(&t);
	cr_assert_eq(tally_write(&again, "round.tally", &e), 0);
	cr_assert_eq(tally_read(&t, "round.tally", &e), 0);
	expect_equal(&t, &again);
	cr_assert_eq(files_here(), 1);
	tally_release(&again);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, peak_survives_while_rising)
{
	struct synth s;
	struct tally t, again;
	struct error e;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 100);
	synth_alloc(&s, b, 0, 1, 100);
	synth_free(&s, b, 0, 1, 100);
	synth_alloc(&s, b, 1, 3, 100);
	cr_assert_eq(s.header.rising, 1);
	synth_tally(&s, &t);
	cr_assert_eq(t.counters[b].peak_bytes, 300);
	cr_assert_eq(tally_write(&t, "rising.tally", &e), 0);
	cr_assert_eq(tally_read(&again, "rising.tally", &e), 0);
	expect_equal(&t, &again);
	tally_release(&again);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, unnamed_stays_unnamed)
{
	struct synth s;
	struct tally t, again;
	struct error e;

	synth_init(&s);
	synth_tally(&s, &t);
	cr_assert_eq(tally_write(&t, "unnamed.tally", &e), 0);
	cr_assert_eq(tally_read(&again, "unnamed.tally", &e), 0);
	cr_assert_null(again.names);
	expect_equal(&t, &again);
	tally_release(&again);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, locations_are_found)
{
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t a = synth_module(&s, "/a"), b = synth_module(&s, "/b");
	for (uint64_t i = 50; i > 0; i--) {
		char name[16];
		snprintf(name, sizeof(name), "b%d", (int)i);
		synth_frame(&s, b, 10 * i, name, "b.c", (uint32_t)i);
		synth_frame(&s, a, 10 * i, "a", NULL, 0);
	}
	synth_frame(&s, b, 70, "outer", "b.c", 1);
	synth_tally(&s, &t);
	for (uint64_t i = 1; i <= 50; i++) {
		char name[16];
		const struct ht_location *l = tally_location(&t, (uint16_t)b, 10 * i);
		cr_assert_not_null(l);
		cr_assert_eq(l->n_frames, i == 7 ? 2 : 1);
		snprintf(name, sizeof(name), "b%d", (int)i);
		cr_assert_str_eq(
			tally_name(&t, t.functions[t.frames[l->first_frame].function].name), name);
		cr_assert_eq(t.frames[l->first_frame].line, i);
		cr_assert_null(tally_location(&t, (uint16_t)b, 10 * i + 1));
		cr_assert_not_null(tally_location(&t, (uint16_t)a, 10 * i));
	}
	cr_assert_null(tally_location(&t, 0, 10));
	tally_release(&t);
	synth_release(&s);
}

Test(tally, ticks_to_nanoseconds)
{
	struct tally t = {
		.header = {
			.start_ticks = 1000, .start_ns = 70, .last_ticks = 4000, .last_ns = 1070}};

	cr_assert_eq(tally_ns(&t, 0), 0);
	cr_assert_eq(tally_ns(&t, 1000), 0);
	cr_assert_eq(tally_ns(&t, 2500), 500);
	cr_assert_eq(tally_ns(&t, 4000), 1000);
	cr_assert_eq(tally_ns(&t, 7000), 2000, "a little beyond the last look");
	t.header.last_ns = UINT64_MAX;
	cr_assert_eq(tally_ns(&t, UINT64_MAX), UINT64_MAX);
	t.header.last_ticks = 1000;
	cr_assert_eq(tally_ns(&t, 2000), 0, "no second clock point");
}

static void expect_refused(const char *path, const char *words)
{
	struct tally t;
	struct error e = {""};

	cr_assert_eq(tally_read(&t, path, &e), -1, "%s was not refused", words);
	cr_assert_not_null(strstr(e.text, words), "'%s' does not say '%s'", e.text, words);
	cr_assert_not_null(strstr(e.text, path), "'%s' does not name the file", e.text);
	cr_assert_null(strchr(e.text, '\n'));
}

Test(tally, foreign_files)
{
	struct synth s;
	size_t bytes;

	expect_refused("missing.tally", "No such file");
	expect_refused("/tmp", "is not a tally");
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	expect_refused("fifo", "is not a tally");
	synth_save("", 0, "empty");
	expect_refused("empty", "is not a tally");
	synth_save("#!/bin/sh\n", 10, "script");
	expect_refused("script", "is not a tally");
	synth_save("heap", 4, "start");
	expect_refused("start", "is truncated");

	build(&s);
	s.header.version = HT_VERSION + 1;
	char *image = synth_image(&s, &bytes);
	synth_save(image, bytes, "newer");
	expect_refused("newer", "newer heaptally");
	synth_save(image, 20, "newer-cut");
	expect_refused("newer-cut", "newer heaptally");
	((struct ht_header *)image)->version = 1;
	synth_save(image, bytes, "older");
	expect_refused("older", "older heaptally");
	free(image);
	synth_release(&s);
}

/* Cut anywhere, a raw or finished file is refused as truncated or says the same as before: never anything else. */
Test(tally, cut_files)
{
	struct synth s;
	struct tally t, cut;
	struct error e;
	size_t bytes, refused = 0, read_back = 0;

	build(&s);
	s.spare = 100;
	synth_tally(&s, &t);
	char *image = synth_image(&s, &bytes);
	for (size_t n = sizeof(HT_MAGIC); n < bytes; n += n < 8192 ? 37 : 997) {
		synth_save(image, n, "cut");
		if (tally_read(&cut, "cut", &e) == 0) {
			expect_equal(&t, &cut);
			tally_release(&cut);
			read_back++;
		} else {
			cr_assert_not_null(
				strstr(e.text, "cut is truncated"), "%zu: %s", n, e.text);
			refused++;
		}
	}
	cr_assert_gt(refused, 0);
	cr_assert_gt(read_back, 0, "the last extent's spare records are not needed");
	free(image);

	cr_assert_eq(tally_write(&t, "finished", &e), 0);
	struct stat st;
	cr_assert_eq(stat("finished", &st), 0);
	for (off_t n = st.st_size - 1; n > 8; n -= 13) {
		cr_assert_eq(truncate("finished", n), 0);
		expect_refused("finished", "is truncated");
	}
	tally_release(&t);
	synth_release(&s);
}

/* Damage in a record, section by section. */
#define DAMAGE(name, section, type, field, value)                                                  \
	static void damage_##name(struct synth *s)                                                 \
	{                                                                                          \
		((type *)synth_at(s, section, s->tables[section].n - 1))->field = (value);         \
	}
DAMAGE(module_path, HT_SEC_MODULES, struct ht_module, path, 1000000)
DAMAGE(build_id, HT_SEC_MODULES, struct ht_module, build_id_bytes, 21)
DAMAGE(site_parent, HT_SEC_SITES, struct ht_site, parent, s->tables[HT_SEC_SITES].n - 1)
DAMAGE(site_module, HT_SEC_SITES, struct ht_site, module, 2)
DAMAGE(site_pseudo, HT_SEC_SITES, struct ht_site, module, 0)
DAMAGE(bucket_site, HT_SEC_BUCKETS, struct ht_bucket, site, s->tables[HT_SEC_SITES].n)
DAMAGE(bucket_class, HT_SEC_BUCKETS, struct ht_bucket, size_class, HT_SIZE_CLASSES)
DAMAGE(bucket_source, HT_SEC_BUCKETS, struct ht_bucket, source, 2)
DAMAGE(owner, HT_SEC_OWNERS, struct ht_owner, bucket, 3)
DAMAGE(regrow_from, HT_SEC_REGROWS, struct ht_regrow, from, 3)
DAMAGE(regrow_to, HT_SEC_REGROWS, struct ht_regrow, to, 3)
DAMAGE(light_bucket, HT_SEC_LIGHT, struct ht_light, bucket, 3)
DAMAGE(chain_origin, HT_SEC_CHAINS, struct ht_chain, origin, 3)
DAMAGE(chain_class, HT_SEC_CHAINS, struct ht_chain, size_class, HT_SIZE_CLASSES)
DAMAGE(history_bucket, HT_SEC_HISTORY, struct ht_history, bucket, 3)
DAMAGE(history_record, HT_SEC_HISTORY, struct ht_history, counters, 3)
DAMAGE(mark_name, HT_SEC_MARKS, struct ht_mark, name, 1000000)
DAMAGE(mark_numbers, HT_SEC_MARKS, struct ht_mark, numbers, 1000000)
DAMAGE(phase_counters, HT_SEC_PHASES, struct ht_phase, counters, 3)
DAMAGE(phase_mark, HT_SEC_PHASES, struct ht_phase, mark, 2)
DAMAGE(phase_start, HT_SEC_PHASES, struct ht_phase, mark, 0)
DAMAGE(content_bucket, HT_SEC_CONTENTS, struct ht_content, bucket, 3)
DAMAGE(function_name, HT_SEC_FUNCTIONS, struct ht_function, name, 1000000)
DAMAGE(function_file, HT_SEC_FUNCTIONS, struct ht_function, file, 1000000)
DAMAGE(function_crate, HT_SEC_FUNCTIONS, struct ht_function, crate, 1000000)
DAMAGE(frame_function, HT_SEC_FRAMES, struct ht_frame, function, 2)
DAMAGE(location_frame, HT_SEC_LOCATIONS, struct ht_location, first_frame, 2)
DAMAGE(location_frames, HT_SEC_LOCATIONS, struct ht_location, n_frames, 3)
DAMAGE(location_empty, HT_SEC_LOCATIONS, struct ht_location, n_frames, 0)
DAMAGE(location_module, HT_SEC_LOCATIONS, struct ht_location, module, 2)

static void damage_root(struct synth *s)
{
	((struct ht_site *)synth_at(s, HT_SEC_SITES, 0))->offset = 1;
}

static void damage_strings(struct synth *s)
{
	*(char *)synth_at(s, HT_SEC_STRINGS, 0) = 'x';
}

static void damage_strings_end(struct synth *s)
{
	synth_add(s, HT_SEC_STRINGS, "x");
}

static void damage_names_end(struct synth *s)
{
	synth_add(s, HT_SEC_NAMES, "x");
}

static void damage_program(struct synth *s)
{
	s->header.program = (uint32_t)s->tables[HT_SEC_STRINGS].n;
}

static void damage_version(struct synth *s)
{
	s->header.version = 0;
}

static void damage_header(struct synth *s)
{
	s->header.header_bytes--;
}

static void damage_state(struct synth *s)
{
	s->header.state = 4;
}

static void damage_same_locations(struct synth *s)
{
	synth_add(s, HT_SEC_LOCATIONS, synth_at(s, HT_SEC_LOCATIONS, 1));
}

static void damage_points(struct synth *s)
{
	for (int i = 0; i < 600; i++)
		synth_add(s, HT_SEC_TIMELINE, NULL);
}

Test(tally, damaged_records)
{
	static const struct {
		void (*damage)(struct synth *s);
		const char *words;
	} cases[] = {
		{damage_module_path, "module 1"},
		{damage_build_id, "module 1"},
		{damage_site_parent, "site 2 has parent 2"},
		{damage_site_module, "site 2"},
		{damage_site_pseudo, "site 2"},
		{damage_bucket_site, "bucket 2"},
		{damage_bucket_class, "bucket 2"},
		{damage_bucket_source, "bucket 2"},
		{damage_owner, "counters record 2 is for bucket 3"},
		{damage_regrow_from, "regrow 0"},
		{damage_regrow_to, "regrow 0"},
		{damage_light_bucket, "light record 0 is for bucket 3"},
		{damage_chain_origin, "chain 0"},
		{damage_chain_class, "chain 0"},
		{damage_history_bucket, "history row 1"},
		{damage_history_record, "history row 1"},
		{damage_mark_name, "mark 1"},
		{damage_mark_numbers, "mark 1"},
		{damage_phase_counters, "phase row 2 is for record 3"},
		{damage_phase_mark, "mark 2"},
		{damage_phase_start, "mark 0"},
		{damage_content_bucket, "content 1"},
		{damage_function_name, "function 1"},
		{damage_function_file, "function 1"},
		{damage_function_crate, "function 1"},
		{damage_frame_function, "frame 1"},
		{damage_location_frame, "location 1"},
		{damage_location_frames, "location 1"},
		{damage_location_empty, "location 1"},
		{damage_location_module, "location 1"},
		{damage_same_locations, "not sorted"},
		{damage_root, "root"},
		{damage_strings, "strings"},
		{damage_strings_end, "strings"},
		{damage_names_end, "names"},
		{damage_program, "header"},
		{damage_version, "format version 0"},
		{damage_header, "header of"},
		{damage_state, "state 4"},
		{damage_points, "602 points"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct synth s;
		build(&s);
		cases[i].damage(&s);
		synth_write(&s, "damaged.tally");
		expect_refused("damaged.tally", "is damaged: ");
		expect_refused("damaged.tally", cases[i].words);
		synth_release(&s);
	}
}

/* The site extent of a raw file: found by its type. */
static struct ht_extent *site_extent(char *image)
{
	struct ht_extent *x = (void *)(image + HT_EXTENTS_OFFSET);

	while (x->section != HT_SEC_SITES)
		x++;
	return x;
}

Test(tally, damaged_extents)
{
	static const struct {
		size_t field;
		uint64_t value;
		const char *words;
	} cases[] = {
		{offsetof(struct ht_extent, offset), 4096, "overlap"},
		{offsetof(struct ht_extent, offset), 0, "overlap"},
		{offsetof(struct ht_extent, offset), UINT64_MAX, "no possible place"},
		{offsetof(struct ht_extent, stored_bytes), UINT64_MAX, "no possible place"},
		{offsetof(struct ht_extent, stored_bytes), 16, "stored as 16 "},
		{offsetof(struct ht_extent, raw_bytes), 17, "within a record"},
		{offsetof(struct ht_extent, section), HT_SEC_COUNT, "unknown type"},
		{offsetof(struct ht_extent, section), HT_SEC_COUNT + (UINT64_C(2) << 32),
			"unknown type"},
		{offsetof(struct ht_extent, section), HT_SEC_SITES + (UINT64_C(2) << 32),
			"encoding 2"},
		{offsetof(struct ht_extent, section), HT_SEC_SITES + (UINT64_C(1) << 32),
			"cannot be decompressed"},
		{offsetof(struct ht_extent, section), HT_SEC_REGROWS, "its sites take"},
	};
	struct synth s;
	size_t bytes;

	build(&s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *image = synth_image(&s, &bytes);
		memcpy((char *)site_extent(image) + cases[i].field, &cases[i].value,
			sizeof(uint64_t));
		synth_save(image, bytes, "damaged.tally");
		expect_refused("damaged.tally", cases[i].words);
		free(image);
	}
	synth_release(&s);
}

/* Counts that would need more memory than the file can fill are refused before it is asked for. */
Test(tally, monstrous_counts)
{
	struct synth s;
	size_t bytes;
	struct rlimit limit = {UINT64_C(1) << 30, UINT64_C(1) << 30};

	build(&s);
	char *image = synth_image(&s, &bytes);
	struct ht_header *h = (void *)image, good = *h;
#ifndef __SANITIZE_ADDRESS__ /* whose own memory counts too */
	cr_assert_eq(setrlimit(RLIMIT_DATA, &limit), 0);
#else
	(void)limit;
#endif
	uint32_t *counts[] = {&h->n_modules, &h->n_sites, &h->n_buckets, &h->n_counters,
		&h->n_regrows, &h->n_chains, &h->n_threads, &h->n_history, &h->n_marks,
		&h->n_phases, &h->n_contents};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		*counts[i] = UINT32_MAX;
		synth_save(image, bytes, "monster");
		expect_refused("monster", "is damaged");
		*counts[i] = 10000000;
		synth_save(image, bytes, "monster");
		expect_refused("monster", "is damaged");
		*h = good;
	}
	h->strings_bytes = UINT64_MAX;
	synth_save(image, bytes, "monster");
	expect_refused("monster", "is damaged");
	free(image);
	synth_release(&s);
}

/* A frame that says it holds more than its descriptor does, and one whose descriptor promises too much. */
Test(tally, dishonest_frames)
{
	struct synth s;
	struct tally t;
	struct error e;
	size_t bytes;

	build(&s);
	char *image = synth_image(&s, &bytes);
	struct ht_extent *x = site_extent(image);
	size_t raw = s.tables[HT_SEC_SITES].n * sizeof(struct ht_site);
	char *sites = malloc(raw + sizeof(struct ht_site));
	memcpy(sites, image + x->offset, raw);
	memset(sites + raw, 0, sizeof(struct ht_site));

	x->codec = HT_CODEC_ZSTD;
	x->stored_bytes = ZSTD_compress(image + x->offset, 4096, sites, raw, 3);
	synth_save(image, bytes, "honest");
	cr_assert_eq(tally_read(&t, "honest", &e), 0, "%s", e.text);
	cr_assert_eq(t.n_sites, 3);
	tally_release(&t);

	x->raw_bytes = raw + sizeof(struct ht_site);
	synth_save(image, bytes, "promise");
	expect_refused("promise", "compressed with spare records");
	x->raw_bytes = UINT64_C(1) << 40;
	synth_save(image, bytes, "promise");
	expect_refused("promise", "stored as");
	x->raw_bytes = UINT64_C(1) << 31;
	synth_save(image, bytes, "promise");
	expect_refused("promise", "stored as");

	x->raw_bytes = raw;
	x->stored_bytes = UINT64_C(1) << 20;
	synth_save(image, bytes, "promise");
	expect_refused("promise", "stored as");

	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
	x->stored_bytes = ZSTD_compress2(zstd, image + x->offset, 4096, sites, raw);
	ZSTD_freeCCtx(zstd);
	synth_save(image, bytes, "silent");
	expect_refused("silent", "cannot be decompressed");

	x->stored_bytes =
		ZSTD_compress(image + x->offset, 4096, sites, raw + sizeof(struct ht_site), 3);
	synth_save(image, bytes, "liar");
	expect_refused("liar", "cannot be decompressed");
	x->stored_bytes = ZSTD_compress(image + x->offset, 4096, sites, raw, 3);
	image[x->offset + x->stored_bytes - 1] ^= 0x55;
	x->stored_bytes -= 1;
	synth_save(image, bytes, "short");
	expect_refused("short", "cannot be decompressed");
	free(sites);
	free(image);
	synth_release(&s);
}

Test(tally, full_disk_leaves_the_old_file)
{
	struct synth s;
	struct tally t;
	struct error e;
	struct rlimit limit = {5000, RLIM_INFINITY};
	char content[16] = "";

	build(&s);
	synth_tally(&s, &t);
	synth_save("old content", 11, "target");
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(tally_write(&t, "target", &e), -1);
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_not_null(strstr(e.text, "cannot write target: "), "%s", e.text);
	cr_assert_eq(files_here(), 1, "nothing is left beside it");
	int fd = open("target", O_RDONLY);
	cr_assert_eq(read(fd, content, sizeof(content)), 11);
	cr_assert_str_eq(content, "old content");
	close(fd);
	tally_release(&t);
	synth_release(&s);
}

Test(tally, unwritable_targets)
{
	struct synth s;
	struct tally t;
	struct error e;
	struct stat st;

	build(&s);
	synth_tally(&s, &t);
	cr_assert_eq(tally_write(&t, "no/such/directory", &e), -1);
	cr_assert_not_null(
		strstr(e.text, "cannot write no/such/directory: No such file"), "%s", e.text);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_assert_eq(tally_write(&t, "fifo", &e), -1);
	cr_assert_not_null(strstr(e.text, "no regular file"), "%s", e.text);
	cr_assert_eq(tally_write(&t, "/dev/null", &e), -1, "a device is never replaced");
	cr_assert_eq(lstat("fifo", &st), 0);
	cr_assert(S_ISFIFO(st.st_mode));

	synth_save("", 0, "real");
	cr_assert_eq(symlink("real", "link"), 0);
	cr_assert_eq(tally_write(&t, "link", &e), 0);
	cr_assert_eq(lstat("link", &st), 0);
	cr_assert(S_ISLNK(st.st_mode));
	cr_assert_eq(stat("real", &st), 0);
	cr_assert_gt(st.st_size, 4096);
	cr_assert_eq(files_here(), 3);
	tally_release(&t);
	synth_release(&s);
}
