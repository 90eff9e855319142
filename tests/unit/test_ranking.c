/* SPDX-License-Identifier: MIT */
/*
 * What findings are worth and what they share, against tallies made by hand: score, overlap, the sum that counts shared
 * blocks once, counts per module.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../../analyzer/patterns/ranking.h"
#include "../../analyzer/views/advice.h"
#include "fixture.h"

#define BOX   "<alloc::boxed::Box<app::Node>>::new"
#define TABLE "<hashbrown::raw::RawTable<(app::Key, ())> as core::clone::Clone>::clone"

static const struct finding *find(const struct fixture *f, const char *pattern, uint32_t *rank)
{
	for (*rank = 0; *rank < f->findings.n; ++*rank)
		if (!strcmp(f->findings.rows[*rank]->pattern->name, pattern))
			return f->findings.rows[*rank];
	cr_assert_fail("no %s", pattern);
	return NULL;
}

/*
 * 20,000 boxes of 40 bytes save 320,000 bytes (8 of slack and 8 of header each) and 20,000 - 14 calls of 40 ns: 799,440 ns.
 * The peak is 800,000 bytes. Of 8 ms of CPU time that is 0.09993, and so are 79,944 of the bytes.
 */
Test(ranking, time_counts_as_its_share)
{
	for (int timed = 0; timed < 2; timed++) {
		struct fixture f;
		struct synth *s = synth_init(&f.synth);

		synth_hold(s, STACK(s, "app::graph", BOX), 20000, 40);
		s->header.cpu_ns = timed ? 8000000 : 0;
		fixture_load(&f, "boxed-objects");
		cr_assert_eq(f.tally.header.peak_bytes, 800000);
		const struct finding *x = fixture_only(&f, "app::graph");
		cr_assert_eq(x->saving.peak_bytes, 320000);
		cr_assert_eq(x->saving.time_ns, 799440);
		cr_assert_float_eq(x->score, 320000 + (timed ? 79944 : 799440), 0.5);
		fixture_release(&f);
	}
}

/*
 * 6,000 tables of 52 bytes, 4 entries of 8, cloned and kept: clone-storm would share them, tiny-map would keep their one
 * entry inline. Both are about the same 312,000 bytes. 10,000 others of that size are no clones: tiny-map's alone.
 */
static void clones(struct synth *s)
{
	synth_hold(s, STACK(s, "app::usage", TABLE), 6000, 52);
	synth_hold(s,
		STACK(s, "app::own",
			"<hashbrown::raw::RawTable<(app::Key, ())>>::reserve_rehash::<app::H>"),
		10000, 52);
}

Test(ranking, shared_blocks_count_once)
{
	struct fixture f;
	struct saving one, other, both;
	uint32_t storm_at, own_at = 2, same_at = 2;

	clones(synth_init(&f.synth));
	fixture_load(&f, NULL);
	const struct finding *storm = find(&f, "clone-storm", &storm_at);
	for (uint32_t i = 0; i < f.findings.n; i++) {
		const struct finding *x = f.findings.rows[i];
		if (strcmp(x->pattern->name, "tiny-map"))
			continue;
		if (x->group == storm->group)
			same_at = i;
		else
			own_at = i;
	}
	cr_assert_eq(f.findings.n, 3);
	const struct finding *same = f.findings.rows[same_at];
	cr_assert_eq(f.findings.rows[own_at]->n_shared, 0);
	/* only the better of the two says so */
	const struct finding *better = same_at > storm_at ? same : storm,
			     *worse = same_at > storm_at ? storm : same;
	cr_assert_eq(worse->n_shared, 0);
	cr_assert_eq(better->n_shared, 1);
	cr_assert_eq(better->shared->with, same_at > storm_at ? storm_at : same_at);
	/* as much as both save */
	uint64_t peak = storm->saving.peak_bytes < same->saving.peak_bytes
				? storm->saving.peak_bytes
				: same->saving.peak_bytes;
	uint64_t allocs = storm->saving.allocs < same->saving.allocs ? storm->saving.allocs
								     : same->saving.allocs;
	cr_assert_gt(allocs, 0);
	cr_assert_eq(better->shared->peak_bytes, peak);
	cr_assert_eq(better->shared->allocs, allocs);

	bool keep[3] = {false};
	keep[storm_at] = true;
	cr_assert_eq(findings_together(&one, &f.findings, keep), 0);
	cr_assert_eq(one.allocs, storm->saving.allocs);
	cr_assert_eq(one.peak_bytes, storm->saving.peak_bytes);
	keep[same_at] = true;
	cr_assert_eq(findings_together(&both, &f.findings, keep), 0);
	uint64_t more = storm->saving.allocs > same->saving.allocs ? storm->saving.allocs
								   : same->saving.allocs;
	cr_assert_eq(both.allocs, more);
	cr_assert_eq(both.peak_bytes, storm->saving.peak_bytes + same->saving.peak_bytes - peak);
	/* all are these and the other's own */
	memset(keep, 0, sizeof(keep));
	keep[own_at] = true;
	cr_assert_eq(findings_together(&other, &f.findings, keep), 0);
	cr_assert_eq(f.findings.together.allocs, both.allocs + other.allocs);
	cr_assert_eq(f.findings.together.peak_bytes, both.peak_bytes + other.peak_bytes);
	fixture_release(&f);
}

/* A Clone::clone of the program's own is one finding with all that it allocates: what another finding has in any of it. */
Test(ranking, all_blocks_of_a_finding_are_shared)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	uint32_t storm_at, boxes_at;

	synth_hold(s,
		STACK(s, "app::copies", "<app::Tree as core::clone::Clone>::clone",
			"<alloc::vec::Vec<app::Leaf>>::with_capacity"),
		6000, 400);
	synth_hold(s, STACK(s, "app::copies", "<app::Tree as core::clone::Clone>::clone", BOX),
		6000, 40);
	fixture_load(&f, NULL);
	const struct finding *storm = find(&f, "clone-storm", &storm_at);
	const struct finding *boxes = find(&f, "boxed-objects", &boxes_at);
	cr_assert_neq(storm->group, boxes->group);
	cr_assert_eq(storm->n_more, 1);
	cr_assert_eq(storm->more[0], boxes->group);
	const struct finding *better = storm_at > boxes_at ? storm : boxes;
	cr_assert_eq(better->n_shared, 1);
	cr_assert_eq(better->shared->allocs, boxes->saving.allocs);
	fixture_release(&f);
}

Test(ranking, said_in_text_and_json)
{
	struct fixture f;
	struct error e = {""};
	char *text = NULL;
	size_t n;

	clones(synth_init(&f.synth));
	fixture_load(&f, NULL);
	FILE *out = open_memstream(&text, &n);
	cr_assert_eq(advice_text_write(out, &f.findings, &f.evidence, 100, false, &e), 0);
	fclose(out);
	cr_assert_not_null(strstr(text, "   shares  of that up to "), "%s", text);
	cr_assert_not_null(strstr(text, "what they share counts once"), "%s", text);
	cr_assert_null(strstr(text, "per module"), "%s", text);
	free(text);
	out = open_memstream(&text, &n);
	cr_assert_eq(advice_json_write(out, &f.findings, &f.evidence, &e), 0);
	fclose(out);
	json_t *j = json_loads(text, 0, NULL), *all = json_object_get(j, "findings");
	json_int_t allocs =
		json_integer_value(json_object_get(json_object_get(j, "together"), "allocs"));
	cr_assert_eq((uint64_t)allocs, f.findings.together.allocs);
	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *shared = json_object_get(json_array_get(all, i), "shared");
		cr_assert_eq(json_array_size(shared), f.findings.rows[i]->n_shared);
		if (json_array_size(shared))
			cr_assert_eq(json_integer_value(
					     json_object_get(json_array_get(shared, 0), "finding")),
				f.findings.rows[i]->shared->with + 1);
	}
	json_decref(j);
	free(text);
	fixture_release(&f);
}

/* 20,000 boxes for 5,000 modules, as a mark says; without one nothing is said of modules. */
Test(ranking, counts_per_module)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	synth_hold(s, STACK(s, "app::graph", BOX), 20000, 40);
	synth_mark(s, "seal", "chunks=2&modules=5000", 1000);
	fixture_load(&f, "boxed-objects");
	cr_assert_eq(fixture_figure(fixture_only(&f, "app::graph"), "per_module"), 4);
	fixture_release(&f);
}

/* What names alone tell is said to be missing. */
Test(ranking, without_names)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	struct error e = {""};
	char *text = NULL;
	size_t n;

	synth_hold(s, synth_unnamed(s, "/opt/bundler.node", 0x100), 3000, 100);
	synth_hold(s, STACK(s, "app::graph", BOX), 1000, 100);
	fixture_load(&f, NULL);
	cr_assert_float_eq(f.findings.unnamed_share, 0.75, 1e-9);
	FILE *out = open_memstream(&text, &n);
	cr_assert_eq(advice_text_write(out, &f.findings, &f.evidence, 100, false, &e), 0);
	fclose(out);
	cr_assert_not_null(strstr(text, "\nclone-storm goes by Clone::clone"), "%s", text);
	cr_assert_not_null(strstr(text, "75.0%"), "%s", text);
	free(text);
	fixture_release(&f);
}
