/* SPDX-License-Identifier: MIT */
/*
 * Patterns about single blocks, against tallies made by hand: boxed-objects, foreign-free, padded-or-empty, string-storm
 * and clone-storm, and the estimate of equal contents that the last two rest on. What each figure must be is worked out
 * in the comments; what is like the pattern and is none stands beside it.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "../../analyzer/evidence_samples.h"
#include "fixture.h"

#define BOX    "<alloc::boxed::Box<app::Node>>::new"
#define ARC    "<alloc::sync::Arc<app::Node>>::new"
#define STRING "<alloc::string::String as core::convert::From<&str>>::from"
#define CLONE  "<alloc::string::String as core::clone::Clone>::clone"
#define VEC    "<alloc::vec::Vec<app::Item>>::with_capacity"

static void add_content(struct synth *s, uint32_t bucket, uint64_t hash, uint32_t count)
{
	const struct ht_content c = {.bucket = bucket, .hash = hash, .count = count};

	synth_add(s, HT_SEC_CONTENTS, &c);
}

/* `different` contents, each met `count` times. */
static void add_contents(
	struct synth *s, uint32_t bucket, uint64_t first_hash, uint32_t different, uint32_t count)
{
	for (uint32_t i = 0; i < different; i++)
		add_content(s, bucket, first_hash + i, count);
}

/* ---- boxed-objects ---- */

/*
 * 20,000 boxes of 40 bytes, all alive at the peak. synth's usable size is 48: 8 bytes of slack each, and glibc's header
 * of 8. They are 800,000 bytes: an arena takes them in 1 + 12.2 calls.
 */
Test(boxed_objects, an_arena_for_a_graph)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_hold(s, STACK(s, "app::main", "app::graph", BOX), 20000, 40);
	synth_free(s, b, 0, 20000, 40);
	fixture_load(&f, "boxed-objects");
	const struct finding *x = fixture_only(&f, "app::graph");
	cr_assert_str_eq(x->fix, "arena");
	cr_assert_eq(fixture_figure(x, "objects"), 20000);
	cr_assert_eq(fixture_figure(x, "object_bytes"), 40);
	cr_assert_eq(fixture_figure(x, "alive_share"), 1);
	cr_assert_eq(fixture_figure(x, "slack_bytes"), 160000);
	cr_assert_eq(fixture_figure(x, "header_bytes"), 160000);
	cr_assert_eq(x->saving.peak_bytes, 320000);
	cr_assert_eq(x->saving.allocs, 20000 - 14);
	cr_assert_eq(x->saving.copied_bytes, 0);
	cr_assert_not(x->saving.timed);
	cr_assert_eq(x->saving.time_ns, (20000 - 14) * 40);
	cr_assert_eq(x->confidence, CONFIDENCE_HIGH);
	cr_assert_not_null(strstr(x->fix_code, "app::Node"), "%s", x->fix_code);
	cr_assert_not_null(strstr(x->fix_line, "20000"), "%s", x->fix_line);
	fixture_release(&f);
}

/* 20,000 made, of which 12,000 are alive at the peak: 60%. An arena would keep the dead ones; a slab does not. */
Test(boxed_objects, a_slab_where_many_die)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_hold(s, STACK(s, "app::graph", BOX), 8000, 40);
	synth_free(s, b, 0, 8000, 40);
	synth_alloc(s, b, 0, 12000, 40);
	synth_hold(s, STACK(s, "app::shared", ARC), 6000, 56);
	fixture_load(&f, "boxed-objects");
	cr_assert_eq(f.findings.n, 2);
	const struct finding *x = f.findings.rows[0];
	cr_assert_str_eq(x->fix, "slab");
	cr_assert_eq(x->saving.peak_bytes, 12000 * 16);
	cr_assert_eq(x->confidence, CONFIDENCE_MEDIUM);
	x = f.findings.rows[1];
	cr_assert_str_eq(x->fix, "index");
	cr_assert_eq(x->saving.peak_bytes, 6000 * 16);
	fixture_release(&f);
}

static void add_timed(struct synth *s, uint32_t bucket, uint32_t calls, uint64_t ns, float squares)
{
	struct ht_counters *c = synth_counters(s, bucket, 0);

	c->timed_calls = calls;
	c->timed_ticks = ns;
	c->timed_squares = squares;
}

/*
 * 1,000 calls of the run took 60,000 ns: 60 each. 100 of them are the graph's, 50 ns each and all alike. How far calls
 * differ is taken to be no less than the mean, so that the graph's own mean weighs 60² / (60² + 60² / 100) = 100 / 101:
 * (100 * 50 + 60) / 101 ns. It saves 20,000 - 14 allocations, and as many frees.
 */
Test(boxed_objects, allocator_time_is_measured)
{
	struct fixture f;
	struct synth *s = &f.synth;

	synth_init(s);
	uint32_t b = synth_bucket(s, STACK(s, "app::graph", BOX), 40);
	synth_alloc(s, b, 0, 20000, 40);
	add_timed(s, b, 100, 5000, 100 * 50 * 50);
	uint32_t rest = synth_bucket(s, STACK(s, "app::rest", BOX), 40);
	synth_alloc(s, rest, 0, 1, 40);
	add_timed(s, rest, 900, 55000, 0);
	synth_free(s, b, 0, 20000, 40);
	fixture_load(&f, "boxed-objects");
	const struct finding *x = fixture_only(&f, "app::graph");
	cr_assert(x->saving.timed);
	cr_assert_eq(x->saving.calls, 2 * (20000 - 14));
	cr_assert_float_eq((double)x->saving.time_ns, 2 * (20000 - 14) * 5060.0 / 101, 1);
	cr_assert_float_eq(fixture_figure(x, "call_ns"), 50, 1e-6);
	fixture_release(&f);
}

/*
 * Two graphs, 20 timed calls each. One has 20 of 60 ns; of the other one call took 1 ms, and 19 took 60 ns. Without that
 * the two would be as 1 to 834; a mean that one call decides is worth next to nothing: its deviation is some 223,600 ns, and
 * 60² / (60² + 223,600² / 20) of 50,057 ns is below 0.1 ns. The rest of the run is 10^6 calls of 60 ns, so that the
 * slow one does not show in its mean: 61 ns.
 */
Test(boxed_objects, one_slow_call_decides_nothing)
{
	struct fixture f;
	struct synth *s = &f.synth;

	synth_init(s);
	uint32_t even = synth_bucket(s, STACK(s, "app::even", BOX), 40);
	synth_alloc(s, even, 0, 20000, 40);
	add_timed(s, even, 20, 20 * 60, 20 * 60 * 60);
	uint32_t odd = synth_bucket(s, STACK(s, "app::odd", BOX), 40);
	synth_alloc(s, odd, 0, 20000, 40);
	add_timed(s, odd, 20, 1000000 + 19 * 60, 1e12f + 19 * 60 * 60);
	uint32_t rest = synth_bucket(s, STACK(s, "app::rest", BOX), 40);
	synth_alloc(s, rest, 0, 1, 40);
	add_timed(s, rest, 1000000, 60000000, 0);
	fixture_load(&f, "boxed-objects");
	cr_assert_eq(f.findings.n, 2);
	for (uint32_t i = 0; i < 2; i++)
		cr_assert_float_eq((double)f.findings.rows[i]->saving.time_ns, (20000 - 14) * 61.0,
			(20000 - 14) * 1.5);
	fixture_release(&f);
}

/* Calls timed of sampled events are of large blocks more than of small ones: the catalog's 40 ns. */
Test(boxed_objects, sampled_events_have_no_time)
{
	struct fixture f;
	struct synth *s = &f.synth;

	synth_init(s);
	s->header.sample_bytes = 524288;
	uint32_t b = synth_bucket(s, STACK(s, "app::graph", BOX), 40);
	synth_alloc(s, b, 0, 20000, 40);
	add_timed(s, b, 100, 5000, 100 * 50 * 50);
	fixture_load(&f, "boxed-objects");
	const struct finding *x = fixture_only(&f, "app::graph");
	cr_assert_not(x->saving.timed);
	cr_assert_eq(x->saving.time_ns, (20000 - 14) * 40);
	fixture_release(&f);
}

/* 400 pages with 10 of its blocks of 40 bytes each: it lies on 400 * 4096 / (4000 * 40) = 10.24 for one that it fills. */
Test(boxed_objects, scatter)
{
	struct fixture f;
	struct synth *s = &f.synth;

	synth_init(s);
	uint32_t b = synth_bucket(s, STACK(s, "app::graph", BOX), 40);
	uint32_t other = synth_bucket(s, STACK(s, "app::other", BOX), 48);
	synth_alloc(s, b, 0, 20000, 40);
	synth_alloc(s, other, 0, 1, 48);
	const struct ht_snapshot snapshot = {
		.number = 1, .n_rows = 800, .first = 0, .step = 1, .pages = 400, .every = 2};
	synth_add(s, HT_SEC_SNAPSHOTS, &snapshot);
	for (uint32_t i = 0; i < 800; i++) {
		const struct ht_locality row = {.page = i / 2,
			.bucket = i % 2 ? other : b,
			.blocks = 10,
			.bytes = i % 2 ? 480 : 400};
		synth_add(s, HT_SEC_LOCALITY, &row);
	}
	fixture_load(&f, "boxed-objects");
	cr_assert_float_eq(fixture_figure(fixture_only(&f, "app::graph"), "scatter"), 10.24, 1e-9);
	fixture_release(&f);
}

/* A window, few, of many sizes, grown, large, a Vec's, C++'s. */
Test(boxed_objects, decoys)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t window = synth_bucket(s, STACK(s, "app::window", BOX), 40);
	for (int i = 0; i < 100; i++) {
		synth_alloc(s, window, 0, 5000, 40);
		synth_free(s, window, 0, 5000, 40);
	}
	synth_hold(s, STACK(s, "app::few", BOX), 4999, 40);
	uint32_t mixed = synth_hold(s, STACK(s, "app::mixed", BOX), 5000, 40);
	synth_alloc(s, mixed, 0, 5000, 39);
	uint32_t grown = synth_hold(s, STACK(s, "app::grown", BOX), 10000, 64);
	synth_realloc(s, grown, synth_bucket(s, STACK(s, "app::grown", BOX), 96), 0, 64, 96);
	synth_hold(s, STACK(s, "app::large", BOX), 10000, 1032);
	synth_hold(s, STACK(s, "app::vecs", VEC), 10000, 64);
	synth_hold(s, STACK(s, "v8::internal::Zone::New(unsigned long)"), 10000, 64);
	fixture_load(&f, "boxed-objects");
	fixture_none(&f);
	fixture_release(&f);
}

/* ---- foreign-free ---- */

/* 30,000 freed by thread 1 of 40,000 that thread 0 made; 10 ns each. 19,999 are too few, a third of all is too little. */
Test(foreign_free, volume_and_share)
{
	struct fixture f;
	struct synth *s = &f.synth;
	static const struct {
		const char *blame;
		uint64_t own, foreign;
	} cases[] = {
		{"app::parse", 10000, 30000}, {"app::few", 0, 19999}, {"app::part", 20001, 20000}};
	uint32_t made[3];

	synth_init(s);
	for (size_t i = 0; i < 3; i++) {
		uint32_t b = synth_hold(s, STACK(s, cases[i].blame, BOX), 50000, 40);
		made[i] = b;
	}
	for (size_t i = 0; i < 3; i++) {
		uint32_t b = made[i];
		synth_free(s, b, 0, cases[i].own, 40);
		synth_free(s, b, 1, cases[i].foreign, 40);
		synth_counters(s, b, 1)->foreign_frees = cases[i].foreign;
	}
	fixture_load(&f, "foreign-free");
	const struct finding *x = fixture_only(&f, "app::parse");
	cr_assert_eq(fixture_figure(x, "foreign_frees"), 30000);
	cr_assert_eq(fixture_figure(x, "foreign_share"), 0.75);
	cr_assert_eq(x->saving.time_ns, 30000 * 10);
	cr_assert_eq(x->score, 300000);
	cr_assert_eq(x->saving.allocs, 0);
	cr_assert_eq(x->saving.peak_bytes, 0);
	cr_assert_str_eq(x->fix, "together"); /* all were alive */
	cr_assert_not_null(strstr(x->assumption, "10 ns"), "%s", x->assumption);
	fixture_release(&f);
}

/* The same in batches of 100: 1% is alive at a time. */
Test(foreign_free, in_batches)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_bucket(s, STACK(s, "app::parse", BOX), 40);
	uint32_t text = synth_bucket(s, STACK(s, "app::print", STRING), 40);
	for (int i = 0; i < 300; i++) {
		synth_alloc(s, b, 0, 100, 40);
		synth_free(s, b, 1, 100, 40);
		synth_alloc(s, text, 0, 50, 40);
		synth_alloc(s, text, 0, 50, 38);
		synth_free(s, text, 1, 50, 40);
		synth_free(s, text, 1, 50, 38);
	}
	synth_counters(s, b, 1)->foreign_frees = 30000;
	synth_counters(s, text, 1)->foreign_frees = 30000;
	fixture_load(&f, "foreign-free");
	cr_assert_eq(f.findings.n, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct finding *x = f.findings.rows[i];
		cr_assert_str_eq(
			x->fix, x->group->container == CONTAINER_STRING ? "buffers" : "objects");
		cr_assert_eq(x->saving.time_ns, 300000);
	}
	fixture_release(&f);
}

/* ---- padded-or-empty ---- */

#define GROW_ONE "<alloc::raw_vec::RawVec<app::Item>>::grow_one"

/* Vecs that grew by pushes to 4 items of 32 bytes, of which one and a half are used in the mean: nothing reserved them. */
Test(padded_or_empty, grown_and_left_so)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_hold(s, STACK(s, "app::idents", GROW_ONE), 10000, 128);
	synth_counters(s, b, 0)->filled_bytes = 51200;
	synth_counters(s, b, 0)->unwritten_bytes = 32000;
	fixture_load(&f, "padded-or-empty");
	const struct finding *x = fixture_only(&f, "app::idents");
	cr_assert_str_eq(x->fix, "grown");
	cr_assert_eq(x->saving.peak_bytes, 10000 * 128 * 0.625);
	cr_assert_not_null(strstr(x->fix_line, "2 elements"), "%s", x->fix_line);
	cr_assert_not_null(strstr(x->fix_code, "shrink_to_fit"), "%s", x->fix_code);
	cr_assert(group_may_be_merged(x->group));
	fixture_release(&f);
}

/*
 * 1000 buffers of 2048 bytes alive at the peak; of 40,960 watched bytes 38,400 were never written: 93.75%. Of 64 items
 * of 32 bytes four are used on average.
 */
Test(padded_or_empty, reserved_and_never_written)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_hold(s, STACK(s, "app::comments", VEC), 1000, 2048);
	synth_counters(s, b, 0)->filled_bytes = 40960;
	synth_counters(s, b, 0)->unwritten_bytes = 38400;
	/* all written; a few watched bytes prove nothing */
	uint32_t full = synth_hold(s, STACK(s, "app::full", VEC), 1000, 2048);
	synth_counters(s, full, 0)->filled_bytes = 40960;
	uint32_t few = synth_hold(s, STACK(s, "app::few", VEC), 1000, 2048);
	synth_counters(s, few, 0)->filled_bytes = 4096;
	synth_counters(s, few, 0)->unwritten_bytes = 4096;
	synth_free(s, b, 0, 1000, 2048);
	fixture_load(&f, "padded-or-empty");
	const struct finding *x = fixture_only(&f, "app::comments");
	cr_assert_str_eq(x->fix, "capacity");
	cr_assert_eq(fixture_figure(x, "unwritten_share"), 0.9375);
	cr_assert_eq(fixture_figure(x, "used_bytes"), 128);
	cr_assert_eq(fixture_figure(x, "peak_bytes"), 2048000);
	cr_assert_eq(x->saving.peak_bytes, 1920000);
	cr_assert_eq(x->saving.allocs, 0);
	fixture_release(&f);
}

/* 26 bytes get 40 of glibc, 24 would get 24: two bytes too many cost 16, for each of 10,000. */
Test(padded_or_empty, two_bytes_too_many)
{
	struct fixture f;
	struct synth *s = &f.synth;
	static const struct {
		const char *blame;
		uint64_t bytes, usable;
	} cases[] = {{"app::flags", 26, 40}, {"app::exact", 56, 56}, {"app::small", 18, 24},
		{"app::half", 32, 40}, {"app::large", 490, 504}, {"app::other_malloc", 26, 32}};

	synth_init(s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t b = synth_hold(s, STACK(s, cases[i].blame, BOX), 10000, cases[i].bytes);
		synth_counters(s, b, 0)->usable_bytes = 10000 * cases[i].usable;
	}
	fixture_load(&f, "padded-or-empty");
	const struct finding *x = fixture_only(&f, "app::flags");
	cr_assert_str_eq(x->fix, "shrink");
	cr_assert_eq(fixture_figure(x, "shrink_bytes"), 2);
	cr_assert_eq(fixture_figure(x, "usable_bytes"), 40);
	cr_assert_eq(x->saving.peak_bytes, 160000);
	cr_assert_not_null(strstr(x->fix_code, "<= 24"), "%s", x->fix_code);
	fixture_release(&f);
}

/* ---- how many are equal ---- */

Test(duplicates, estimates_by_hand)
{
	static const struct {
		struct duplicates_sample s;
		double different;
	} cases[] = {
		/* all were looked at: they are counted */
		{{.blocks = 100, .sampled = 100, .kept = 7, .once = 7}, 7},
		/* 490 of 500 have a content that was met twice: 50 / 0.98 */
		{{.blocks = 10000, .sampled = 500, .kept = 50, .once = 10}, 50 / 0.98},
		/* never or hardly ever the same twice */
		{{.blocks = 10000, .sampled = 60, .kept = 60, .once = 60}, 10000},
		{{.blocks = 10000, .sampled = 69, .kept = 60, .once = 51}, 10000},
		/* 10 again: 20 / 70 of the samples have company */
		{{.blocks = 10000, .sampled = 70, .kept = 60, .once = 50}, 60 * 70 / 20.0},
		/* 64 kept, met again 200 - 64 - 36 = 100 times of 136: they are 100/136 of all */
		{{.blocks = 5000, .sampled = 200, .kept = 64, .lost = 36}, 64 * 1.36},
		/* none of the kept ones came back */
		{{.blocks = 5000, .sampled = 200, .kept = 64, .lost = 136}, 5000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		double got = duplicates_different(&cases[i].s);
		cr_assert_lt(fabs(got - cases[i].different), 1e-6, "case %zu: %g instead of %g", i,
			got, cases[i].different);
	}
}

/*
 * Three sizes of 1,000 blocks each; in each 20 contents, 10 of them met twice: 10 again, too few for one size. Together
 * 60 of 90 samples have company: 60 * 90 / 60 = 90 of 3,000 are different. A fourth size has nothing sampled and is left
 * out, a fifth knows enough by itself: 100 samples, one content.
 */
Test(duplicates, thin_sizes_are_judged_together)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	struct duplicates d;

	uint32_t site = STACK(s, "app::requests", STRING);
	for (uint32_t i = 0; i < 5; i++) {
		uint32_t b = synth_hold(s, site, 1000, 40 + 8 * i);
		if (i < 3) {
			add_contents(s, b, 100 * i + 1, 10, 1);
			add_contents(s, b, 100 * i + 50, 10, 2);
		}
		if (i == 4)
			add_contents(s, b, 1, 1, 100);
	}
	fixture_load(&f, "string-storm");
	cr_assert_eq(f.evidence.n_groups, 1);
	group_duplicates(&f.evidence, &f.evidence.groups[0], &d);
	cr_assert_eq(d.sampled, 190);
	cr_assert_eq(d.different, 61);
	cr_assert_eq(d.blocks, 4000);
	cr_assert_lt(fabs(d.spare - (2910 + 999)), 1e-6, "%g", d.spare);
	/* 1000 * (40 + 48 + 56) bytes, 97% of them, and 999 * 72 */
	cr_assert_lt(fabs(d.peak_bytes - (0.97 * 144000 + 999 * 72)), 1e-6, "%g", d.peak_bytes);
	fixture_release(&f);
}

/* ---- string-storm ---- */

/*
 * 20,000 Strings of 40 bytes, all freed after the peak; 1,000 were compared and are 50 contents, 20 times each, and
 * there are no more. 19,950 are spare: 99.75% of 800,000 bytes at the peak are 798,000, less 48 for each of the 50.
 */
Test(string_storm, the_same_texts)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_hold(s, STACK(s, "app::requests", STRING), 20000, 40);
	add_contents(s, b, 1000, 50, 20);
	/* as many, all different; as many clones; as many boxes */
	uint32_t code = synth_hold(s, STACK(s, "app::code", STRING), 20000, 40);
	add_contents(s, code, 5000, 60, 1);
	synth_hold(s, STACK(s, "app::clones", CLONE), 20000, 40);
	synth_hold(s, STACK(s, "app::boxes", BOX), 20000, 40);
	synth_free(s, b, 0, 20000, 40);
	fixture_load(&f, "string-storm");
	const struct finding *x = fixture_only(&f, "app::requests");
	cr_assert_str_eq(x->fix, "intern");
	cr_assert_eq(fixture_figure(x, "strings"), 20000);
	cr_assert_eq(fixture_figure(x, "sampled"), 1000);
	cr_assert_eq(fixture_figure(x, "different"), 50);
	cr_assert_eq(fixture_figure(x, "duplicate_share"), 0.9975);
	cr_assert_eq(x->saving.allocs, 19950);
	cr_assert_eq(x->saving.peak_bytes, 798000 - 50 * 48);
	cr_assert_eq(x->confidence, CONFIDENCE_HIGH);
	fixture_release(&f);
}

/* Two stacks of one statement, 64 bytes: the contents that both have are one. 4 of 10,000 + 10,000. */
Test(string_storm, contents_are_those_of_the_statement)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	for (int i = 0; i < 2; i++) {
		uint32_t b = synth_hold(s,
			STACK(s, i ? "app::one" : "app::two", "app::requests", STRING), 10000, 64);
		add_contents(s, b, i ? 100 : 102, 3, 100);
		add_content(s, b, i ? 102 : 100, 100);
	}
	fixture_load(&f, "string-storm");
	const struct finding *x = fixture_only(&f, "app::requests");
	cr_assert_eq(fixture_figure(x, "sampled"), 800);
	cr_assert_eq(fixture_figure(x, "different"), 5);
	cr_assert_eq(x->saving.allocs, 19995);
	fixture_release(&f);
}

/* Without samples: 20,000 of 16 bytes need no block; of 20,000 long ones nothing is claimed. */
Test(string_storm, without_samples)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	synth_hold(s, STACK(s, "app::names", STRING), 20000, 16);
	synth_hold(s, STACK(s, "app::paths", STRING), 20000, 80);
	synth_hold(s, STACK(s, "app::few", STRING), 9999, 80);
	fixture_load(&f, "string-storm");
	cr_assert_eq(f.findings.n, 2);
	const struct finding *x = f.findings.rows[0];
	cr_assert_str_eq(x->fix, "inline");
	cr_assert_eq(x->saving.allocs, 20000);
	cr_assert_eq(x->saving.peak_bytes, 320000);
	cr_assert_eq(x->confidence, CONFIDENCE_MEDIUM);
	x = f.findings.rows[1];
	cr_assert_str_eq(x->fix, "compare");
	cr_assert_eq(x->saving.allocs, 0);
	cr_assert_eq(x->saving.peak_bytes, 0);
	cr_assert_eq(x->confidence, CONFIDENCE_LOW);
	fixture_release(&f);
}

/* ---- clone-storm ---- */

/*
 * 6,000 clones of 1,000 bytes. 600 were compared: 60 contents, 10 times each. 5,940 are spare, so 99%; the 60 originals
 * cost 40 bytes more. All 6,000,000 bytes need not be copied.
 */
Test(clone_storm, clones_that_stay_equal)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_hold(s, STACK(s, "app::report", CLONE), 6000, 1000);
	add_contents(s, b, 77, 60, 10);
	/* each of another text, and as many Strings that are no clones */
	uint32_t other = synth_hold(s, STACK(s, "app::others", CLONE), 6000, 1000);
	add_contents(s, other, 5000, 64, 1);
	add_content(s, other, 0, 300);
	synth_hold(s, STACK(s, "app::makes", STRING), 6000, 1000);
	synth_free(s, b, 0, 6000, 1000);
	fixture_load(&f, "clone-storm");
	const struct finding *x = fixture_only(&f, "app::report");
	cr_assert_str_eq(x->fix, "share-text");
	cr_assert_eq(fixture_figure(x, "clones"), 6000);
	cr_assert_eq(fixture_figure(x, "duplicate_share"), 0.99);
	cr_assert_eq(x->saving.allocs, 5940);
	cr_assert_eq(x->saving.copied_bytes, 6000000);
	cr_assert_eq(x->saving.peak_bytes, 6000000 - 60 * 40);
	cr_assert_eq(x->confidence, CONFIDENCE_HIGH);
	fixture_release(&f);
}

/* Unsampled text, and clones that hold pointers and so differ: little is certain. */
Test(clone_storm, what_samples_cannot_say)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	synth_hold(s, STACK(s, "app::text", CLONE), 6000, 1000);
	uint32_t b = synth_hold(s,
		STACK(s, "app::leaves",
			"<alloc::vec::Vec<app::Leaf> as core::clone::Clone>::clone"),
		5000, 1000);
	add_contents(s, b, 5000, 64, 1);
	synth_hold(s, STACK(s, "app::few", CLONE), 4999, 100);
	fixture_load(&f, "clone-storm");
	cr_assert_eq(f.findings.n, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct finding *x = f.findings.rows[i];
		cr_assert_str_eq(x->fix, "look");
		cr_assert_eq(x->confidence, CONFIDENCE_LOW);
		cr_assert_eq(x->saving.peak_bytes, 0);
		cr_assert_eq(x->saving.allocs, x->group->totals.allocs);
	}
	fixture_release(&f);
}

/* A type of the program's own with two fields: 6,000 clones, two blocks each, are one finding at the larger field. */
Test(clone_storm, fields_of_one_clone)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	static const char own[] = "<app::Options as core::clone::Clone>::clone";

	uint32_t name = synth_bucket(s, STACK(s, "app::resolve", own, CLONE), 24);
	uint32_t list = synth_bucket(s,
		STACK(s, "app::resolve", own,
			"<alloc::vec::Vec<u32> as core::clone::Clone>::clone"),
		400);
	synth_alloc(s, name, 0, 6000, 24);
	synth_alloc(s, list, 0, 6000, 400);
	fixture_load(&f, "clone-storm");
	const struct finding *x = fixture_only(&f, own);
	cr_assert_eq(x->group->max_bytes, 400);
	cr_assert_eq(fixture_figure(x, "clones"), 6000);
	cr_assert_eq(fixture_figure(x, "allocs_per_clone"), 2);
	cr_assert_eq(x->saving.allocs, 12000);
	cr_assert_eq(x->saving.copied_bytes, 6000 * 424);
	fixture_release(&f);
}

/*
 * The same type: 300 of its names were compared and are 3, and the list, of pointers, differs in each. By the names 5,997
 * of 6,000 are spare: 99.95% of 12,000 blocks. Where the names differ as well nothing is found.
 */
Test(clone_storm, texts_speak_for_the_rest)
{
	for (int equal = 0; equal < 2; equal++) {
		struct fixture f;
		struct synth *s = &f.synth;
		static const char own[] = "<app::Options as core::clone::Clone>::clone";

		synth_init(s);
		uint32_t name = synth_bucket(s, STACK(s, "app::resolve", own, CLONE), 24);
		uint32_t list = synth_bucket(s,
			STACK(s, "app::resolve", own,
				"<alloc::vec::Vec<app::Rule> as core::clone::Clone>::clone"),
			400);
		synth_alloc(s, name, 0, 6000, 24);
		synth_alloc(s, list, 0, 6000, 400);
		add_contents(s, name, 10, equal ? 3 : 60, equal ? 100 : 1);
		add_contents(s, list, 100, 60, 1);
		fixture_load(&f, "clone-storm");
		cr_assert_eq(f.findings.n, (uint32_t)equal);
		if (equal) {
			const struct finding *x = fixture_only(&f, own);
			cr_assert_str_eq(x->fix, "share");
			cr_assert_eq(x->saving.allocs, 11994);
			cr_assert_eq(fixture_figure(x, "sampled"), 300);
			cr_assert_eq(x->saving.peak_bytes, 6000 * 424 - 3 * 40);
			cr_assert_eq(x->confidence, CONFIDENCE_HIGH);
		}
		fixture_release(&f);
	}
}
