/* SPDX-License-Identifier: MIT */
/* The diff on synthetic tallies: what is matched, what is a change, what is noise. Figures are worked out by hand. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../analyzer/catalog.h"
#include "../../analyzer/diff.h"
#include "../../analyzer/diff_names.h"
#include "../../analyzer/views/diff_svg.h"
#include "../../analyzer/views/diff_text.h"
#include "synth.h"

#define BEFORE 0
#define AFTER  1

struct pair {
	struct synth synth[2];
	struct tally tally[2];
	struct profile profile[2];
	struct diff diff;
};

/* Both sides hold 1,000 blocks of 1,000 B that do not change, so that shares have a whole. */
static void pair_init(struct pair *p)
{
	for (int s = 0; s < 2; s++) {
		synth_init(&p->synth[s]);
		synth_thread(&p->synth[s], "main");
		uint32_t site = synth_call(&p->synth[s], 0, "base::hold");
		synth_hold(&p->synth[s], site, 1000, 1000);
	}
}

static void pair_diff(struct pair *p, enum profile_metric by, double threshold)
{
	struct error e;

	for (int s = 0; s < 2; s++) {
		synth_tally(&p->synth[s], &p->tally[s]);
		cr_assert_eq(profile_init(&p->profile[s], &p->tally[s], catalog_plumbing(), &e), 0);
	}
	cr_assert_eq(diff_init(&p->diff, &p->profile[0], &p->profile[1], by, threshold, &e), 0);
}

static void pair_release(struct pair *p)
{
	diff_release(&p->diff);
	for (int s = 0; s < 2; s++) {
		profile_release(&p->profile[s]);
		tally_release(&p->tally[s]);
		synth_release(&p->synth[s]);
	}
}

static void hold(struct pair *p, int side, const char *function, uint64_t n, uint64_t bytes)
{
	struct synth *s = &p->synth[side];

	synth_hold(s, synth_call(s, 0, function), n, bytes);
}

/* Blocks of one size: so many before, so many after. */
static void change(
	struct pair *p, const char *function, uint64_t before, uint64_t after, uint64_t bytes)
{
	hold(p, BEFORE, function, before, bytes);
	hold(p, AFTER, function, after, bytes);
}

/* A call-site without a name in a module of its own. */
static void hold_at(struct pair *p, int side, uint64_t offset, uint64_t n, uint64_t bytes)
{
	struct synth *s = &p->synth[side];

	synth_hold(s, synth_unnamed(s, "/app/binding.node", offset), n, bytes);
}

/* Told by its source file. */
static void hold_source(struct pair *p, int side, const char *name, uint64_t n, uint64_t bytes)
{
	hold(p, side, name, n, bytes);
	synth_flags(&p->synth[side], name, HT_FUNCTION_UNNAMED | HT_FUNCTION_BY_SOURCE);
}

static void name_is(const char *name, enum diff_name level, const char *wanted)
{
	char *got = diff_name(name, level);

	cr_expect_str_eq(got, wanted);
	free(got);
}

Test(diff, names)
{
	const char *n = "<a::b::Foo<T, alloc::vec::Vec<u8>> as "
			"core::ops::Fn<(A,)>>::call::<X>::{closure#0}::{closure#12}";

	name_is(n, DIFF_NAME_WRITTEN,
		"<a::b::Foo<T, alloc::vec::Vec<u8>> as core::ops::Fn<(A,)>>::call::<X>");
	name_is(n, DIFF_NAME_GENERIC, "<a::b::Foo as core::ops::Fn>::call");
	name_is(n, DIFF_NAME_HOME, "<a::Foo as core::Fn>::call");
	name_is("a::f::h0123456789abcdef", DIFF_NAME_WRITTEN, "a::f");
	name_is("a[0123456789abcdef]::f::{{closure}}", DIFF_NAME_WRITTEN, "a::f");
	name_is("icu_78::Locale::init", DIFF_NAME_WRITTEN, "icu::Locale::init");
	name_is("v8::internal::operator<<(int)", DIFF_NAME_GENERIC,
		"v8::internal::operator<<(int)");
	name_is("a::b::c::f", DIFF_NAME_HOME, "a::f");
	name_is("", DIFF_NAME_HOME, "");
	name_is("cut<a::b", DIFF_NAME_HOME, "cut");
}

Test(diff, modules)
{
	static const char *const cases[][2] = {{"/usr/lib/libc.so.6", "libc"},
		{"/usr/bin/node", "node"},
		{"/a/rspack.linux-x64-musl.node", "rspack.linux-x64.node"},
		{"/a/rspack.linux-x64-gnu.node", "rspack.linux-x64.node"},
		{"libicuuc.so.78.2", "libicuuc"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *got = diff_name_module(cases[i][0]);
		cr_expect_str_eq(got, cases[i][1]);
		free(got);
	}
}

Test(diff, the_same_is_nothing)
{
	struct pair p;

	pair_init(&p);
	for (int s = 0; s < 2; s++)
		hold(&p, s, "app::a", 100, 64);
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_expect_eq(p.diff.n_rows, 0);
	cr_expect_null(p.diff.verdict);
	cr_expect_not(p.diff.lines[DIFF_HEAP].changed);
	pair_release(&p);
	/* not at a threshold of 0 either */
	pair_init(&p);
	pair_diff(&p, DIFF_BY_ANY, 0);
	cr_expect_eq(p.diff.n_rows, 0);
	pair_release(&p);
}

Test(diff, grew_shrank_appeared_vanished)
{
	struct pair p;

	pair_init(&p);
	change(&p, "app::grows", 1000, 3000, 100);
	change(&p, "app::shrinks", 5000, 1000, 80);
	hold(&p, AFTER, "app::appears", 500, 500);
	hold(&p, BEFORE, "app::vanishes", 100, 1500);
	pair_diff(&p, METRIC_PEAK, 1);
	cr_assert_eq(p.diff.n_rows, 4);
	/* 320,000, 250,000, 200,000 and 150,000 B */
	cr_expect_str_eq(p.diff.rows[0].name, "app::shrinks");
	cr_expect_eq(p.diff.rows[0].change, DIFF_SHRANK);
	cr_expect_str_eq(p.diff.rows[1].name, "app::appears");
	cr_expect_eq(p.diff.rows[1].change, DIFF_APPEARED);
	cr_expect_str_eq(p.diff.rows[2].name, "app::grows");
	cr_expect_eq(p.diff.rows[2].change, DIFF_GREW);
	cr_expect_str_eq(p.diff.rows[3].name, "app::vanishes");
	cr_expect_eq(p.diff.rows[3].change, DIFF_VANISHED);
	cr_expect_eq(p.diff.rows[0].before.totals.peak_bytes, 400000);
	cr_expect_eq(p.diff.rows[0].after.totals.peak_bytes, 80000);
	/* rows and what is below the threshold make up the whole */
	struct totals sum = p.diff.below_after;
	for (uint32_t i = 0; i < p.diff.n_rows; i++)
		totals_add(&sum, &p.diff.rows[i].after.totals);
	cr_expect_eq(sum.peak_bytes, 1000000 + 300000 + 80000 + 250000);
	pair_release(&p);
}

Test(diff, by_the_metric_that_changed_most)
{
	struct pair p;

	pair_init(&p);
	hold(&p, BEFORE, "app::few_large", 2, 50000);
	hold(&p, AFTER, "app::many_small", 9000, 8);
	/* 100,000 of 1,100,000 B against 9,000 of 10,000 allocations */
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_assert_geq(p.diff.n_rows, 1);
	cr_expect_str_eq(p.diff.rows[0].name, "app::many_small");
	cr_expect_eq(p.diff.rows[0].metric, METRIC_COUNT);
	cr_expect_float_eq(p.diff.rows[0].share, 0.9, 1e-9);
	pair_release(&p);
}

Test(diff, renamed_is_no_change)
{
	struct pair p;

	pair_init(&p);
	hold(&p, BEFORE, "app::Foo<app::Old>::make", 1000, 200);
	hold(&p, AFTER, "app::Foo<app::New>::make", 1000, 200);
	hold(&p, BEFORE, "app::run::{closure#1}", 1000, 300);
	hold(&p, AFTER, "app::run::{closure#4}", 1000, 300);
	hold(&p, BEFORE, "app::old::place::Type::fill", 1000, 400);
	hold(&p, AFTER, "app::elsewhere::Type::fill", 1000, 400);
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_expect_eq(p.diff.n_rows, 0);
	cr_expect_eq(p.diff.n_moved, 1);
	cr_expect_eq(p.diff.n_matched, 4); /* and base::hold */
	pair_release(&p);
}

Test(diff, moved_and_grown)
{
	struct pair p;

	pair_init(&p);
	hold(&p, BEFORE, "app::old::Type::fill", 1000, 400);
	hold(&p, AFTER, "app::new::Type::fill", 2000, 400);
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_assert_eq(p.diff.n_rows, 1);
	cr_expect_str_eq(p.diff.rows[0].name, "app::new::Type::fill");
	cr_expect_str_eq(p.diff.rows[0].was, "app::old::Type::fill");
	cr_expect_eq(p.diff.rows[0].change, DIFF_GREW);
	pair_release(&p);
}

Test(diff, noise_is_set_apart)
{
	struct pair p;

	pair_init(&p);
	/* 1,000 against 1,040 blocks of 100 B: 4,000 of 1.1 MB at the peak, below 0.8% */
	change(&p, "app::splits", 1000, 1040, 100);
	/* a table that doubles: 4 blocks of 16,384 B against 6 */
	change(&p, "app::table", 4, 6, 16384);
	pair_diff(&p, METRIC_PEAK, 1);
	cr_expect_eq(p.diff.n_rows, 0);
	cr_expect_eq(p.diff.below_after.peak_bytes - p.diff.below_before.peak_bytes, 4000 + 32768);
	pair_release(&p);
	pair_init(&p);
	change(&p, "app::splits", 1000, 1040, 100);
	pair_diff(&p, METRIC_PEAK, 0);
	cr_expect_eq(p.diff.n_rows, 1);
	pair_release(&p);
}

Test(diff, another_moment_of_the_peak)
{
	struct pair p;
	uint32_t site[2], other[2], b, c;

	/* Both hold 200,000 B of one, free them, then of the other: which is the peak is a matter of 1,000 B. */
	pair_init(&p);
	for (int s = 0; s < 2; s++) {
		struct synth *y = &p.synth[s];
		site[s] = synth_call(y, 0, "app::first");
		other[s] = synth_call(y, 0, "app::second");
		b = synth_bucket(y, site[s], 1000);
		c = synth_bucket(y, other[s], 1000);
		synth_alloc(y, b, 0, s == BEFORE ? 201 : 200, 1000);
		synth_free(y, b, 0, s == BEFORE ? 201 : 200, 1000);
		synth_alloc(y, c, 0, s == BEFORE ? 200 : 201, 1000);
		synth_free(y, c, 0, s == BEFORE ? 200 : 201, 1000);
	}
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_expect_eq(p.diff.n_rows, 0);
	cr_expect_eq(p.diff.n_elsewhere, 2);
	cr_expect_eq(p.diff.elsewhere_bytes, 201000 / 2 + 201000 / 2);
	pair_release(&p);
}

/* Blocks that are as many as before but shared, or dropped earlier: less at the peak, and nothing more in exchange. */
Test(diff, less_at_the_peak_of_as_much_requested)
{
	struct pair p;

	pair_init(&p);
	for (int s = 0; s < 2; s++) {
		struct synth *y = &p.synth[s];
		uint32_t kept = synth_bucket(y, synth_call(y, 0, "app::copies"), 1500);
		uint32_t last = synth_bucket(y, synth_call(y, 0, "app::last"), 20000);
		synth_alloc(y, kept, 0, 600, 1500);
		if (s == AFTER)
			synth_free(y, kept, 0, 300, 1500);
		synth_alloc(y, last, 0, 30, 20000); /* so that the peak is here on both sides */
		synth_free(y, kept, 0, s == AFTER ? 300 : 600, 1500);
	}
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_assert_eq(p.diff.n_rows, 1);
	cr_expect_str_eq(p.diff.rows[0].name, "app::copies");
	cr_expect_eq(p.diff.rows[0].metric, METRIC_PEAK);
	cr_expect_eq(p.diff.rows[0].change, DIFF_SHRANK);
	cr_expect_eq(p.diff.rows[0].before.totals.peak_bytes, 600 * 1500);
	cr_expect_eq(p.diff.rows[0].after.totals.peak_bytes, 300 * 1500);
	cr_expect_eq(p.diff.n_elsewhere, 0);
	pair_release(&p);
}

Test(diff, a_size_class_where_there_are_no_names)
{
	struct pair p;

	pair_init(&p);
	/* one block per module, gone; all else is the same but for its address */
	hold_at(&p, BEFORE, 0x100, 30, 53248);
	for (uint32_t i = 0; i < 50; i++) {
		hold_at(&p, BEFORE, 0x1000 + 16 * i, 100 + 7 * i, 24 + 8 * (i % 5));
		hold_at(&p, AFTER, 0x5000 + 32 * i, 100 + 7 * i, 24 + 8 * (i % 5));
	}
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_assert_eq(p.diff.n_rows, 1);
	const struct diff_row *r = &p.diff.rows[0];
	cr_expect(r->sizes);
	cr_expect_str_eq(r->name, "blocks of 53,248 B");
	cr_expect_str_eq(r->module, "binding.node");
	cr_expect_eq(r->change, DIFF_VANISHED);
	cr_expect_eq(r->min_bytes, 53248);
	cr_expect_eq(r->max_bytes, 53248);
	cr_expect_eq(r->before.totals.allocs, 30);
	cr_expect_eq(r->after.totals.allocs, 0);
	cr_expect_eq(r->place.before, 0x100);
	cr_expect_eq(r->place.after, -1);
	pair_release(&p);
}

Test(diff, a_source_file_of_another_build)
{
	struct pair p;

	pair_init(&p);
	hold_source(&p, BEFORE, "app::same:10+0x1000", 1000, 64);
	hold_source(&p, AFTER, "app::same:12+0x1080", 1000, 64);
	hold_source(&p, BEFORE, "app::grown:5+0x2000", 1000, 128);
	hold_source(&p, BEFORE, "app::grown:70+0x2100", 1000, 128);
	hold_source(&p, AFTER, "app::grown:6+0x2080", 4000, 128);
	hold_source(&p, AFTER, "app::grown:71+0x2180", 1000, 128);
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_assert_eq(p.diff.n_rows, 1);
	const struct diff_row *r = &p.diff.rows[0];
	cr_expect_not(r->sizes);
	cr_expect_str_eq(r->name, "app::grown");
	cr_expect_str_eq(r->crate, "app");
	cr_expect_eq(r->change, DIFF_GREW);
	cr_expect_eq(r->before.totals.allocs, 2000);
	cr_expect_eq(r->after.totals.allocs, 5000);
	pair_release(&p);
}

Test(diff, functions_by_source_of_the_same_build)
{
	struct pair p;

	pair_init(&p);
	for (int s = 0; s < 2; s++) {
		hold_source(&p, s, "app::same:10+0x1000", 1000, 64);
		hold_source(&p, s, "app::grown:5+0x2000", s == AFTER ? 4000 : 1000, 128);
		hold_source(&p, s, "app::grown:5+0x2100", 1000, 128);
	}
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_assert_eq(p.diff.n_rows, 1);
	cr_expect_str_eq(p.diff.rows[0].name, "app::grown:5+0x2000");
	cr_expect_str_eq(p.diff.rows[0].brief, "app::grown:5");
	cr_expect_eq(p.diff.rows[0].before.totals.allocs, 1000);
	pair_release(&p);
}

Test(diff, a_place_among_others_of_its_size)
{
	struct pair p;

	pair_init(&p);
	/* five call-sites of 64 B; the third allocates five times as often, all have moved */
	for (uint32_t i = 0; i < 5; i++) {
		hold_at(&p, BEFORE, 0x1000 + 0x100 * i, 1000 + 300 * i, 64);
		hold_at(&p, AFTER, 0x8000 + 0x110 * i, (1000 + 300 * i) * (i == 2 ? 5 : 1), 64);
	}
	pair_diff(&p, METRIC_COUNT, 1);
	cr_assert_eq(p.diff.n_rows, 1);
	const struct diff_row *r = &p.diff.rows[0];
	cr_expect_str_eq(r->name, "blocks of 64 B");
	cr_expect_eq(r->before.totals.allocs, 1000 + 1300 + 1600 + 1900 + 2200);
	cr_expect_eq(r->after.totals.allocs - r->before.totals.allocs, 4 * 1600);
	cr_expect_eq(r->place.after, 0x8220);
	cr_expect_eq(r->place.count_after, 8000);
	pair_release(&p);
}

Test(diff, a_type_that_shrank_is_one_change)
{
	struct pair p;

	pair_init(&p);
	hold_at(&p, BEFORE, 0x1000, 1000, 320);
	hold_at(&p, AFTER, 0x2000, 1000, 200);
	pair_diff(&p, METRIC_BYTES, 1);
	cr_assert_eq(p.diff.n_rows, 1);
	cr_expect_str_eq(p.diff.rows[0].name, "blocks of 320 B, now 200 B");
	cr_expect_eq(p.diff.rows[0].change, DIFF_SHRANK);
	cr_expect_eq(totals_metric(&p.diff.rows[0].before.totals, METRIC_BYTES), 320000);
	cr_expect_eq(totals_metric(&p.diff.rows[0].after.totals, METRIC_BYTES), 200000);
	pair_release(&p);
}

Test(diff, names_on_one_side_only)
{
	struct pair p;
	struct synth *s;

	/* the debug and the release binding of one version */
	pair_init(&p);
	s = &p.synth[BEFORE];
	uint32_t module = synth_module(s, "/debug/binding.node");
	for (uint32_t i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof(name), "app::f%u", i);
		synth_frame(s, module, 0x100 + i, name, NULL, 0);
		synth_hold(s, synth_site(s, 0, module, 0x100 + i), 500, 32 + 8 * i);
		hold_at(&p, AFTER, 0x4000 + 64 * i, 500, 32 + 8 * i);
	}
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_expect_eq(p.diff.n_rows, 0);
	pair_release(&p);
}

Test(diff, rss_without_heap)
{
	struct pair p;

	pair_init(&p);
	for (int s = 0; s < 2; s++) {
		synth_point(&p.synth[s], 1000);
		struct ht_point *pt = synth_at(&p.synth[s], HT_SEC_TIMELINE, 0);
		pt->rss_bytes = s == BEFORE ? 100000000 : 60000000;
	}
	pair_diff(&p, DIFF_BY_ANY, 1);
	cr_expect_eq(p.diff.n_rows, 0);
	cr_expect(p.diff.lines[DIFF_RSS].changed);
	cr_expect_not(p.diff.lines[DIFF_HEAP].changed);
	/* 99 MB before and 59 MB after, beyond 1 MB of heap */
	cr_expect_eq(p.diff.lines[DIFF_OVERHEAD].before, 99000000);
	cr_expect_eq(p.diff.lines[DIFF_OVERHEAD].after, 59000000);
	cr_assert_not_null(p.diff.verdict);
	cr_expect_not_null(
		strstr(p.diff.verdict, "RSS fell by 40.0 MB while the live heap did not change"));
	pair_release(&p);
}

Test(diff, text_is_80_columns)
{
	struct pair p;
	struct error e;
	char *out = NULL, *line, *rest;
	size_t size;

	pair_init(&p);
	hold(&p, AFTER,
		"app::a_long_module_name::another_long_one::Type::a_function_with_a_very_long_name_"
		"indeed",
		900, 500);
	hold_at(&p, BEFORE, 0x1234567890, 3000, 120);
	pair_diff(&p, DIFF_BY_ANY, 1);
	FILE *f = open_memstream(&out, &size);
	cr_assert_eq(diff_text_write(f, &p.diff, 0, 80, false, &e), 0);
	fclose(f);
	for (line = strtok_r(out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		size_t columns = 0;
		for (const char *c = line; *c; c++)
			columns += (*c & 0xc0) != 0x80;
		cr_expect_leq(columns, 80, "%s", line);
	}
	free(out);
	pair_release(&p);
}

Test(diff, svg_has_both)
{
	struct pair p;
	struct error e;
	char *out = NULL;
	size_t size;

	pair_init(&p);
	hold(&p, BEFORE, "app::gone", 1000, 500);
	hold(&p, AFTER, "app::come", 1000, 250);
	pair_diff(&p, DIFF_BY_ANY, 1);
	FILE *f = open_memstream(&out, &size);
	cr_assert_eq(diff_svg_write(f, &p.profile[0], &p.profile[1], METRIC_PEAK, &e), 0);
	fclose(f);
	/* width of the root: 1,000,000 + 500,000 + 250,000; before 1.5 MB, after 1.25 MB */
	cr_expect_not_null(strstr(out, "&quot;frames&quot;:[0,-1,1750000,1500000,1250000"));
	cr_expect_not_null(strstr(out, "500000,500000,0"));
	cr_expect_not_null(strstr(out, "250000,0,250000"));
	/* wholly gone is the strongest blue, wholly new the strongest red */
	cr_expect_not_null(strstr(out, "app::gone\n500 kB (500,000 B) before\n0 B after, 28.57% of "
				       "all</title><rect class=\"c50\""));
	cr_expect_not_null(strstr(out, "app::come\n0 B before\n250 kB (250,000 B) after, 14.29% of "
				       "all</title><rect class=\"c58\""));
	free(out);
	pair_release(&p);
}

/* Every key of the object is in the schema's definition, and the other way round. */
static void same_keys(const json_t *definition, const json_t *object, const char *what)
{
	const json_t *properties = json_object_get(definition, "properties");
	const char *key;
	json_t *v;

	cr_assert_not_null(properties, "%s", what);
	json_object_foreach((json_t *)object, key, v) cr_expect_not_null(
		json_object_get(properties, key), "%s: %s is not in the schema", what, key);
	json_object_foreach((json_t *)properties, key, v) cr_expect_not_null(
		json_object_get(object, key), "%s: %s is not in the JSON", what, key);
}

Test(diff, json_is_as_its_schema_says)
{
	struct pair p;
	struct error e;
	char *out = NULL;
	size_t size;
	json_t *schema = json_load_file("analyzer/views/DIFF.schema.json", 0, NULL);

	cr_assert_not_null(schema, "run the tests from the root of the tree");
	const json_t *defs = json_object_get(schema, "$defs");
	pair_init(&p);
	hold(&p, AFTER, "app::come", 900, 500);
	hold_at(&p, BEFORE, 0x1000, 1000, 320);
	pair_diff(&p, METRIC_PEAK, 1);
	FILE *f = open_memstream(&out, &size);
	cr_assert_eq(diff_json_write(f, &p.diff, &e), 0);
	fclose(f);
	json_t *all = json_loads(out, 0, NULL);
	cr_assert_not_null(all);
	same_keys(schema, all, "diff");
	same_keys(json_object_get(defs, "line"), json_object_get(all, "heap"), "line");
	same_keys(json_object_get(defs, "line"), json_object_get(all, "rss"), "line");
	same_keys(json_object_get(defs, "below"), json_object_get(all, "below"), "below");
	same_keys(json_object_get(defs, "side"), json_object_get(all, "before"), "side");
	const json_t *rows = json_object_get(all, "rows");
	cr_assert_eq(json_array_size(rows), 2);
	/* 450,000 B against 320,000 B */
	const json_t *come = json_array_get(rows, 0), *sizes = json_array_get(rows, 1);
	same_keys(json_object_get(defs, "row"), come, "row");
	same_keys(json_object_get(defs, "sizes"), json_object_get(sizes, "sizes"), "sizes");
	cr_expect_str_eq(json_string_value(json_object_get(come, "name")), "app::come");
	cr_expect(json_is_null(json_object_get(come, "sizes")));
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(come, "after"), "peak")),
		450000);
	cr_expect_eq(
		json_integer_value(json_object_get(json_object_get(sizes, "sizes"), "min_bytes")),
		320);
	json_decref(all);
	json_decref(schema);
	free(out);
	pair_release(&p);
}
