/* SPDX-License-Identifier: MIT */
/*
 * Samples of time and of pages: how they are read, added up and estimated from. The expected values were worked out by
 * hand from the figures beside them.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../analyzer/views/measured_view.h"
#include "../../analyzer/views/report_model.h"
#include "synth.h"

static const char *const crates[] = {"alloc", "core", "std", NULL};

static void near(double got, double want)
{
	cr_assert(fabs(got - want) <= 1e-3 * fabs(want), "%g instead of %g", got, want);
}

static void add_row(
	struct synth *s, uint32_t page, uint32_t bucket, uint32_t blocks, uint32_t bytes)
{
	struct ht_locality row = {page, bucket, blocks, bytes};

	synth_add(s, HT_SEC_LOCALITY, &row);
}

/* Two snapshots of three rows, one in every second record. The second is newer. */
static void two_snapshots(struct synth *s)
{
	struct ht_snapshot shot = {.number = 7,
		.live_bytes = 100,
		.n_rows = 3,
		.first = 0,
		.step = 2,
		.pages = 3,
		.every = 4};

	synth_init(s);
	uint32_t a = synth_bucket(s, 0, 24), b = synth_bucket(s, 0, 100);
	for (uint32_t i = 0; i < 3; i++) {
		add_row(s, i, a, 1, 24);
		add_row(s, i / 2, i == 1 ? a : b, 2, 200 + i);
	}
	synth_add(s, HT_SEC_SNAPSHOTS, &shot);
	shot.number = 8;
	shot.live_bytes = 120;
	shot.first = 1;
	synth_add(s, HT_SEC_SNAPSHOTS, &shot);
}

static void expect_newer(const struct tally *t)
{
	static const struct ht_locality wanted[] = {{0, 2, 2, 200}, {0, 1, 2, 201}, {1, 2, 2, 202}};

	cr_assert_eq(t->snapshot.number, 8);
	cr_assert_eq(t->snapshot.live_bytes, 120);
	cr_assert_eq(t->n_locality, 3);
	cr_assert_eq(memcmp(t->locality, wanted, sizeof(wanted)), 0);
}

Test(measured, the_newest_snapshot_is_read)
{
	char path[] = "/tmp/test_measured.XXXXXX";
	struct synth s;
	struct tally t, again;
	struct error e;

	two_snapshots(&s);
	synth_tally(&s, &t);
	expect_newer(&t);
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(tally_write(&t, path, &e), 0);
	cr_assert_eq(tally_read(&again, path, &e), 0, "%s", e.text);
	expect_newer(&again);
	unlink(path);
	tally_release(&again);
	tally_release(&t);
	/* being written: what there was before */
	((struct ht_snapshot *)synth_at(&s, HT_SEC_SNAPSHOTS, 1))->number = 0;
	synth_tally(&s, &t);
	cr_assert_eq(t.snapshot.number, 7);
	cr_assert_eq(t.locality[2].page, 2);
	tally_release(&t);
	synth_release(&s);
}

Test(measured, rows_of_uncounted_buckets_are_ignored)
{
	struct synth s;
	struct tally t;

	two_snapshots(&s);
	((struct ht_locality *)synth_at(&s, HT_SEC_LOCALITY, 3))->bucket = 3;
	synth_tally(&s, &t);
	cr_assert_eq(t.n_locality, 2);
	cr_assert_eq(t.locality[1].page, 1);
	tally_release(&t);
	synth_release(&s);
}

static void page_far(struct ht_snapshot *shot, struct ht_locality *last)
{
	last->page = shot->pages;
}

static void page_back(struct ht_snapshot *shot, struct ht_locality *last)
{
	(void)shot;
	last[-2].page = 2;
}

static void rows_far(struct ht_snapshot *shot, struct ht_locality *last)
{
	(void)last;
	shot->n_rows = 4;
}

static void no_rows(struct ht_snapshot *shot, struct ht_locality *last)
{
	(void)last;
	shot->n_rows = 0;
}

static void no_step(struct ht_snapshot *shot, struct ht_locality *last)
{
	(void)last;
	shot->step = 0;
}

static void no_rate(struct ht_snapshot *shot, struct ht_locality *last)
{
	(void)last;
	shot->every = 0;
}

Test(measured, damaged_snapshots)
{
	static const struct {
		void (*damage)(struct ht_snapshot *shot, struct ht_locality *last);
		const char *words;
	} cases[] = {{page_far, "row 2 of its snapshot is of page 3"},
		{page_back, "row 2 of its snapshot is of page 1"},
		{rows_far, "snapshot 8 has 4 rows"}, {no_rows, "snapshot 8 has 0 rows"},
		{no_step, "snapshot 8"}, {no_rate, "snapshot 8"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[] = "/tmp/test_measured.XXXXXX";
		struct synth s;
		struct tally t;
		struct error e = {""};
		int fd = mkstemp(path);

		close(fd);
		two_snapshots(&s);
		cases[i].damage(
			synth_at(&s, HT_SEC_SNAPSHOTS, 1), synth_at(&s, HT_SEC_LOCALITY, 5));
		s.header.state = HT_STATE_EXITED;
		synth_write(&s, path);
		cr_assert_eq(tally_read(&t, path, &e), -1, "case %zu", i);
		cr_assert_not_null(strstr(e.text, cases[i].words), "case %zu: %s", i, e.text);
		/* while the host runs, rows beyond the file are rows that came since its size was read */
		s.header.state = HT_STATE_RECORDING;
		synth_write(&s, path);
		if (cases[i].damage == rows_far) {
			cr_assert_eq(tally_read(&t, path, &e), 0, "%s", e.text);
			cr_assert_eq(t.snapshot.number, 0);
			tally_release(&t);
		}
		unlink(path);
		synth_release(&s);
	}
}

Test(measured, squares_are_added_up_over_threads)
{
	static const float squares[] = {2500.5f, 1000, -7, NAN, INFINITY};
	struct synth s;
	struct tally t;

	synth_init(&s);
	uint32_t b = synth_bucket(&s, 0, 24);
	for (uint32_t i = 0; i < 5; i++) {
		synth_counters(&s, b, i)->timed_calls = i + 1;
		synth_counters(&s, b, i)->timed_ticks = 10;
		synth_counters(&s, b, i)->timed_squares = squares[i];
	}
	synth_tally(&s, &t);
	cr_assert_eq(t.counters[b].timed_calls, 15);
	cr_assert_eq(t.counters[b].timed_ticks, 50);
	cr_assert_eq(t.counters[b].timed_squares, 3500.5f);
	tally_release(&t);
	synth_counters(&s, b, 5)->timed_calls = UINT32_MAX - 14;
	synth_tally(&s, &t);
	cr_assert_eq(t.counters[b].timed_calls, UINT32_MAX);
	tally_release(&t);
	synth_release(&s);
}

static void make(struct synth *s, struct measured *m)
{
	struct tally t;
	struct profile p;
	struct error e = {""};

	synth_tally(s, &t);
	cr_assert_eq(profile_init(&p, &t, crates, &e), 0, "%s", e.text);
	cr_assert_eq(measured_init(m, &p, &e), 0, "%s", e.text);
	profile_release(&p);
	tally_release(&t); /* it must not need them */
}

/*
 * slow: 600 allocations and 400 frees; 25 calls timed at 10 ns and 25 at 30 ns. few: 90 allocations and 10 reallocs, 10
 * calls timed at 100 ns.
 */
static void timed(struct synth *s)
{
	synth_init(s);
	s->header.cpu_ns = 100000;
	uint32_t main = synth_call(s, 0, "app::main");
	uint32_t slow = synth_bucket(s, synth_call(s, main, "one::slow"), 64);
	uint32_t few = synth_bucket(s, synth_call(s, main, "two::few"), 64);
	synth_alloc(s, slow, 0, 600, 64);
	synth_free(s, slow, 1, 400, 64);
	synth_alloc(s, few, 0, 90, 64);
	for (int i = 0; i < 10; i++)
		synth_realloc(s, few, few, 0, 64, 64);
	struct ht_counters *c = synth_counters(s, slow, 0);
	c->timed_calls = 25;
	c->timed_ticks = 250;
	c->timed_squares = 2500;
	c = synth_counters(s, slow, 1);
	c->timed_calls = 25;
	c->timed_ticks = 750;
	c->timed_squares = 22500;
	c = synth_counters(s, few, 0);
	c->timed_calls = 10;
	c->timed_ticks = 1000;
	c->timed_squares = 100000;
}

Test(measured, time_in_the_allocator)
{
	struct synth s;
	struct measured m;

	timed(&s);
	make(&s, &m);
	cr_assert_eq(m.time.calls, 1100);
	cr_assert_eq(m.time.timed, 60);
	near(m.time.ns, 1100 * 2000 / 60.0);
	/* variance (125000 - 60 (2000/60)^2) / 59 = 988.70; 1100 sqrt(988.70 / 60 (1 - 60 / 1100)) */
	near(m.time.error_ns, 4341.8);
	near(m.time.share, 0.366667);
	cr_assert_eq(m.n_functions, 1, "10 timed calls are too few");
	cr_assert_eq(m.n_crates, 1);
	cr_assert_str_eq(m.functions[0].name, "one::slow");
	cr_assert_str_eq(m.crates[0].name, "one");
	cr_assert_eq(m.functions[0].calls, 1000);
	near(m.functions[0].ns, 20000);
	/* variance 5000 / 49; 1000 sqrt(102.04 / 50 * 0.95) */
	near(m.functions[0].error_ns, 1392.4);
	near(m.functions[0].share, 0.2);
	measured_release(&m);
	/* a sample of events has no sample of calls */
	s.header.sample_bytes = 65536;
	make(&s, &m);
	cr_assert_eq(m.time.timed, 0);
	cr_assert_eq(m.n_functions, 0);
	json_t *none = measured_time_json(&m);
	cr_assert(json_is_null(none));
	json_decref(none);
	measured_release(&m);
	synth_release(&s);
}

/*
 * 20 pages, one in 4. spread: 64 B in two buckets on each even page, 32 B on each odd one. packed: 4000 B on each of 10
 * pages. little: 4 B on each of 12. All live: 100 kB.
 */
static void paged(struct synth *s)
{
	struct ht_snapshot shot = {.number = 3,
		.ticks = 5000000,
		.live_bytes = 100000,
		.first = 0,
		.step = 1,
		.pages = 20,
		.every = 4};

	synth_init(s);
	uint32_t main = synth_call(s, 0, "app::main"), spread = synth_call(s, main, "app::spread");
	uint32_t a = synth_bucket(s, spread, 32), a2 = synth_bucket(s, spread, 40);
	uint32_t b = synth_bucket(s, synth_call(s, main, "app::packed"), 400);
	uint32_t c = synth_bucket(s, synth_call(s, main, "app::little"), 4);
	for (uint32_t page = 0; page < 20; page++) {
		add_row(s, page, a, 1, 32);
		if (page >= 10)
			add_row(s, page, b, 10, 4000);
		if (page % 2 == 0)
			add_row(s, page, a2, 1, 32);
		if (page < 12)
			add_row(s, page, c, 1, 4);
	}
	shot.n_rows = (uint32_t)s->tables[HT_SEC_LOCALITY].n;
	synth_add(s, HT_SEC_SNAPSHOTS, &shot);
}

Test(measured, scatter)
{
	struct synth s;
	struct measured m;
	char *text = NULL;
	size_t n = 0;

	paged(&s);
	make(&s, &m);
	cr_assert_eq(m.snapshot_ns, 5000000);
	cr_assert_eq(m.n_scatters, 2, "little has less than a hundredth");
	cr_assert_str_eq(m.scatters[0].name, "app::spread");
	cr_assert_eq(m.scatters[0].sampled_pages, 20);
	cr_assert_eq(m.scatters[0].pages, 80);
	cr_assert_eq(m.scatters[0].blocks, 120);
	cr_assert_eq(m.scatters[0].bytes, 3840);
	near(m.scatters[0].scatter, 4096 * 20 / 960.0);
	/* residuals: 10 of 4096 - 85.333 * 64 = -1365.3, 10 of 4096 - 85.333 * 32 = 1365.3; sqrt(20 * 1365.3^2 * 3/4) / 960 */
	near(m.scatters[0].error, 5.508);
	cr_assert_str_eq(m.scatters[1].name, "app::packed");
	near(m.scatters[1].scatter, 1.024);
	cr_assert(m.scatters[1].error < 1e-6);
	cr_assert_eq(m.whole.sampled_pages, 20);
	cr_assert_eq(m.whole.bytes, 4 * (960 + 40000 + 48));
	FILE *out = open_memstream(&text, &n);
	measured_text(out, &m, 80, false, 5);
	fclose(out);
	/* 41008 of 81920 bytes; 80 pages where one would do */
	cr_assert_not_null(
		strstr(text, "  looked at 20 pages, one in 4, with 100 kB live at 5 ms\n"));
	cr_assert_not_null(strstr(text, "  blocks fill 50.1% of their pages: 164 kB on 328 kB\n"));
	cr_assert_not_null(
		strstr(text, "    85.3x    ±6%       80        1      120  app::spread\n"));
	json_t *j = measured_locality_json(&m);
	cr_assert_eq(json_integer_value(json_object_get(j, "page_every")), 4);
	json_t *row = json_array_get(json_object_get(j, "functions"), 0);
	near(json_real_value(json_object_get(row, "scatter")), 85.3333);
	near(json_real_value(json_object_get(row, "standard_error")), 5.508);
	json_decref(j);
	free(text);
	measured_release(&m);
	synth_release(&s);
}

/* Points at 100, 200 and 1000 ms: the first two are in an eighth each, the last ends the rest. */
Test(measured, spans_of_the_run)
{
	static const uint64_t ms[] = {100, 200, 1000};
	struct synth s;
	struct tally t;
	struct profile p;
	struct report r;
	struct error e = {""};

	synth_init(&s);
	for (uint32_t i = 0; i < 3; i++) {
		synth_point(&s, ms[i] * 1000000);
		struct ht_point *at = synth_at(&s, HT_SEC_TIMELINE, i);
		at->cpu_ns = (i + 1) * 50000000;
		at->sys_ns = (i + 1) * (i + 1) * 1000000;
		at->minor_faults = 100 * ms[i];
		at->major_faults = i;
		at->madvise_bytes = 1000 * i;
		at->unmap_bytes = 5000;
	}
	synth_tally(&s, &t);
	cr_assert_eq(profile_init(&p, &t, crates, &e), 0, "%s", e.text);
	cr_assert_eq(report_init(&r, &p, METRIC_PEAK, 10, &e), 0, "%s", e.text);
	const struct report_memory *m = &r.memory;
	cr_assert_eq(m->n_spans, 3);
	cr_assert_eq(m->spans[0].until_ns, 100000000);
	cr_assert_eq(m->spans[0].ns, 100000000);
	cr_assert_eq(m->spans[0].unmapped_bytes, 5000);
	cr_assert_eq(m->spans[1].unmapped_bytes, 0);
	cr_assert_eq(m->spans[1].sys_ns, 3000000);
	cr_assert_eq(m->spans[1].minor_faults, 10000);
	cr_assert_eq(m->spans[1].major_faults, 1);
	cr_assert_eq(m->spans[2].ns, 800000000);
	cr_assert_eq(m->spans[2].purged_bytes, 1000);
	cr_assert_eq(m->spans[2].cpu_ns, 50000000);
	cr_assert_eq(m->run.sys_ns, 9000000);
	cr_assert_eq(m->run.minor_faults, 100000);
	report_release(&r);
	profile_release(&p);
	tally_release(&t);
	synth_release(&s);
}
