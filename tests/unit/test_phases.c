/* SPDX-License-Identifier: MIT */
/* Phases from marks and from the passes' frames; the profile of one phase. Expected values are worked out by hand. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../analyzer/patterns/pattern.h"
#include "../../analyzer/phases.h"
#include "../../analyzer/views/phase_view.h"
#include "synth.h"

static const char *const plumbing[] = {"alloc", "core", NULL};

static void open_all(struct synth *s, struct tally *t, struct profile *p, struct phases *ph)
{
	struct error e;

	synth_tally(s, t);
	cr_assert_eq(profile_init(p, t, plumbing, &e), 0);
	cr_assert_eq(phases_init(ph, p, &e), 0);
}

static void close_all(struct synth *s, struct tally *t, struct profile *p, struct phases *ph)
{
	phases_release(ph);
	profile_release(p);
	tally_release(t);
	synth_release(s);
}

Test(phases, marked)
{
	struct synth s;
	struct tally t;
	struct profile p, one;
	struct phases ph;
	struct error e;

	synth_init(&s);
	uint32_t f = synth_call(&s, 0, "app::f"), g = synth_call(&s, 0, "app::g");
	uint32_t a = synth_bucket(&s, f, 10), b = synth_bucket(&s, g, 100);
	synth_alloc(&s, a, 0, 5, 10);
	synth_mark(&s, "make", "", 100);
	synth_alloc(&s, a, 0, 3, 10);
	synth_free(&s, a, 0, 6, 10);
	synth_alloc(&s, b, 1, 2, 100);
	synth_mark(&s, "seal", "modules=9", 300);
	synth_mark(&s, "make", "", 400);
	synth_alloc(&s, b, 0, 1, 100);
	synth_mark(&s, "done", "", 1000);
	open_all(&s, &t, &p, &ph);

	cr_assert_not(ph.estimated);
	cr_assert_eq(ph.n, 5);
	cr_assert_str_eq(ph.all[0].name, "start");
	cr_assert_str_eq(ph.all[2].numbers, "modules=9");
	cr_assert_eq(ph.all[1].start_ticks, 100);
	cr_assert_eq(ph.all[1].end_ticks, 300);
	cr_assert_eq(ph.all[0].alloc_bytes, 50);
	cr_assert_eq(ph.all[0].allocs, 5);
	cr_assert_eq(ph.all[1].alloc_bytes, 230);
	cr_assert_eq(ph.all[1].allocs, 5);
	cr_assert_eq(ph.all[1].frees, 6);
	cr_assert_eq(ph.all[1].live_bytes, 50);
	cr_assert_eq(ph.all[1].end_bytes, 220);
	cr_assert_eq(ph.all[2].allocs, 0);
	cr_assert_eq(ph.all[3].alloc_bytes, 100);
	cr_assert_eq(ph.all[4].allocs + ph.all[4].frees, 0);
	cr_assert_eq(ph.all[4].end_bytes, 320);

	struct totals sum;
	phases_bucket(&ph, 1, a, &sum);
	cr_assert_eq(sum.allocs, 3);
	cr_assert_eq(sum.frees, 6);
	cr_assert_eq(sum.live_count, 2);
	cr_assert_eq(sum.live_bytes, 20);

	/* both of that name: sums, and what is live after the last */
	cr_assert_eq(phases_profile(&one, &ph, "make", plumbing, &e), 0);
	cr_assert_str_eq(one.phase, "make");
	cr_assert_eq(one.total.alloc_bytes, 330);
	cr_assert_eq(one.total.allocs, 6);
	cr_assert_eq(one.total.live_bytes, 320);
	cr_assert_eq(one.total.peak_bytes, 0);
	cr_assert_eq(one.buckets[b].totals.alloc_bytes, 300);
	profile_release(&one);

	cr_assert_eq(phases_find(&ph, "make", &e), 3);
	cr_assert_eq(phases_find(&ph, "mak", &e), -1);
	cr_assert_not_null(strstr(e.text, "start, make, seal, done"), "%s", e.text);
	cr_assert_eq(phases_profile(&one, &ph, "nowhere", plumbing, &e), -1);
	close_all(&s, &t, &p, &ph);
}

static void seen_at(struct synth *s, uint32_t bucket, uint64_t ticks)
{
	((struct ht_bucket *)synth_at(s, HT_SEC_BUCKETS, bucket))->first_ticks = ticks;
}

Test(phases, told_by_frames)
{
	static const char seal[] =
		"<rspack_core::compilation::SealPass as "
		"rspack_core::compilation::pass::PassExt>::run_pass::{closure#0}",
			  make[] = "<rspack_core::compilation::build::BuildModuleGraphPhase as "
				   "rspack_core::compilation::pass::PassExt>::run_pass";
	struct synth s;
	struct tally t;
	struct profile p, one;
	struct phases ph;
	struct error e;
	struct totals sum;

	synth_init(&s);
	uint32_t in_make = synth_call(&s, synth_call(&s, 0, make), "app::f"),
		 in_seal = synth_call(&s, synth_call(&s, in_make, seal), "app::g"),
		 outside = synth_call(&s, 0, "app::worker");
	uint32_t early = synth_bucket(&s, outside, 8), a = synth_bucket(&s, in_make, 10),
		 b = synth_bucket(&s, in_seal, 100), late = synth_bucket(&s, outside, 1000);
	synth_follow(&s, a, 0);
	synth_alloc(&s, early, 0, 1, 8);
	seen_at(&s, early, 10);
	synth_point(&s, 50);
	synth_alloc(&s, a, 0, 4, 10);
	seen_at(&s, a, 100);
	synth_point(&s, 150);
	synth_alloc(&s, b, 0, 1, 100);
	seen_at(&s, b, 200);
	synth_free(&s, a, 0, 3, 10);
	synth_alloc(&s, late, 0, 2, 1000);
	seen_at(&s, late, 250);
	synth_point(&s, 300);
	open_all(&s, &t, &p, &ph);

	cr_assert(ph.estimated);
	cr_assert_eq(ph.n, 3);
	cr_assert_str_eq(ph.all[0].name, "start");
	cr_assert_str_eq(ph.all[1].name, "BuildModuleGraphPhase");
	cr_assert_str_eq(ph.all[2].name, "Seal");
	cr_assert_eq(ph.all[1].start_ticks, 100);
	cr_assert_eq(ph.all[2].start_ticks, 200);
	cr_assert_eq(ph.all[1].live_bytes, 8, "the point before");
	cr_assert_eq(ph.all[2].live_bytes, 48);
	cr_assert_eq(ph.all[0].alloc_bytes, 8);
	cr_assert_eq(ph.all[1].alloc_bytes, 40, "the innermost pass counts");
	cr_assert_eq(ph.all[2].alloc_bytes, 2100, "without a pass: when it was first seen");
	phases_bucket(&ph, 1, a, &sum);
	cr_assert_eq(sum.live_bytes, 40, "off its curve");
	phases_bucket(&ph, 2, a, &sum);
	cr_assert_eq(sum.allocs, 0);
	cr_assert_eq(sum.live_bytes, 10);
	phases_bucket(&ph, 1, late, &sum);
	cr_assert_eq(sum.live_bytes, 0, "not there yet");

	/* its name outlives the phases */
	cr_assert_eq(phases_profile(&one, &ph, "Seal", plumbing, &e), 0);
	phases_release(&ph);
	cr_assert_str_eq(one.phase, "Seal");
	cr_assert_eq(one.total.alloc_bytes, 2100);
	profile_release(&one);
	cr_assert_eq(phases_init(&ph, &p, &e), 0);
	close_all(&s, &t, &p, &ph);
}

Test(phases, nothing_known)
{
	struct synth s;
	struct tally t;
	struct profile p;
	struct phases ph;

	synth_init(&s);
	synth_hold(&s, synth_call(&s, 0, "main"), 1, 8);
	open_all(&s, &t, &p, &ph);
	cr_assert_eq(ph.n, 1);
	cr_assert_eq(ph.all[0].alloc_bytes, 8);
	close_all(&s, &t, &p, &ph);
}

Test(phases, views)
{
	struct synth s;
	struct tally t;
	struct profile p, one;
	struct phases ph;
	struct error e;
	char *text;
	size_t bytes;

	synth_init(&s);
	uint32_t a = synth_bucket(&s, synth_call(&s, 0, "app::f"), 1000);
	synth_mark(&s, "ma\nke", "modules=5", 1000000);
	synth_alloc(&s, a, 0, 10, 1000);
	synth_free(&s, a, 0, 3, 1000);
	synth_mark(&s, "end", "", 2000000);
	open_all(&s, &t, &p, &ph);
	cr_assert_eq(phases_profile(&one, &ph, "ma\nke", plumbing, &e), 0);
	FILE *out = open_memstream(&text, &bytes);
	cr_assert_eq(phase_text(out, &one, &ph, METRIC_BYTES, 10, 80, false, &e), 0);
	phases_text(out, &ph, 80);
	fclose(out);
	cr_assert_not_null(
		strstr(text, "10.0 kB allocated in 10 blocks, 3 blocks freed; at least 7.00 kB"),
		"%s", text);
	cr_assert_not_null(strstr(text, "modules=5"));
	cr_assert_null(strstr(text, "ma\nke"));
	free(text);

	out = open_memstream(&text, &bytes);
	cr_assert_eq(phase_json(out, &one, &ph, METRIC_COUNT, 0, &e), 0);
	fclose(out);
	json_t *j = json_loads(text, 0, NULL), *f;
	cr_assert_not_null(j);
	f = json_array_get(json_object_get(j, "functions"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(f, "name")), "app::f");
	cr_assert_eq(json_integer_value(json_object_get(f, "allocs")), 10);
	cr_assert_eq(json_integer_value(json_object_get(f, "kept_bytes")), 7000);
	cr_assert_eq(json_array_size(json_object_get(j, "phases")), 3);
	json_decref(j);
	free(text);
	profile_release(&one);
	close_all(&s, &t, &p, &ph);
}

/*
 * 1000 Vecs of 64 bytes, four items of 16, in one statement: 600 in "make", 400 in "seal". All grow to 128 by one
 * moving step of 64 bytes. Without those steps 1000 allocations and 64,000 bytes of copying are saved over the run, so
 * 600 and 38,400 in "make". What "seal" alone allocates is no Vec.
 */
Test(phases, findings_of_one)
{
	static const char grow[] = "<alloc::raw_vec::RawVec<app::Item>>::grow_one";
	struct ht_chain chain = {.size_class = (uint16_t)ht_size_class(128),
		.ended = 1000,
		.regrows = 1000,
		.copied_bytes = 64000};
	struct synth s;
	struct tally t;
	struct profile p;
	struct phases ph;
	struct catalog c;
	struct evidence v;
	struct findings fs;
	struct error e = {""};

	synth_init(&s);
	uint32_t vec = synth_bucket(&s,
		synth_call(&s, synth_call(&s, synth_call(&s, 0, "app::main"), "app::build"), grow),
		64);
	synth_mark(&s, "make", "", 100);
	synth_alloc(&s, vec, 0, 600, 64);
	synth_mark(&s, "seal", "", 200);
	synth_alloc(&s, vec, 0, 400, 64);
	synth_mark(&s, "emit", "", 300);
	synth_hold(&s, synth_call(&s, 0, "app::emit"), 5, 3000);
	synth_mark(&s, "done", "", 400);
	synth_free(&s, vec, 0, 1000, 64);
	chain.origin = vec;
	synth_add(&s, HT_SEC_CHAINS, &chain);
	open_all(&s, &t, &p, &ph);
	cr_assert_eq(catalog_init(&c, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(evidence_init(&v, &p, &e), 0, "%s", e.text);

	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"make", "seal", "emit"};
		static const double shares[] = {0.6, 0.4, 0};
		cr_assert_eq(patterns_find(&fs, &v, &c, pattern_named("vec-regrowth"), 0, &e), 0);
		cr_assert_eq(fs.n, 1);
		cr_assert_eq(fs.rows[0]->saving.allocs, 1000);
		cr_assert_eq(fs.rows[0]->saving.copied_bytes, 64000);
		double score = fs.rows[0]->score;
		cr_assert_eq(findings_of_phase(&fs, &v, names[i], 0, &e), 0);
		cr_expect_str_eq(fs.phase, names[i]);
		cr_assert_eq(fs.n, shares[i] > 0 ? 1 : 0, "%s", names[i]);
		if (fs.n) {
			const struct finding *f = fs.rows[0];
			const struct figure *last = &f->figures[f->n_figures - 1];
			cr_expect_eq(f->saving.allocs, shares[i] * 1000);
			cr_expect_eq(f->saving.copied_bytes, shares[i] * 64000);
			cr_expect_float_eq(
				f->score, score * shares[i], 1.5); /* whole bytes and ns */
			cr_expect_str_eq(last->key, "phase_share");
			cr_expect_float_eq(last->value, shares[i], 1e-9);
		}
		findings_release(&fs);
	}
	/* a limit holds for what the phase saves */
	cr_assert_eq(patterns_find(&fs, &v, &c, NULL, 0, &e), 0);
	cr_assert_eq(findings_of_phase(&fs, &v, "make", fs.rows[0]->score * 0.7, &e), 0);
	cr_expect_eq(fs.n, 0);
	findings_release(&fs);
	cr_assert_eq(patterns_find(&fs, &v, &c, NULL, 0, &e), 0);
	cr_expect_eq(findings_of_phase(&fs, &v, "made", 0, &e), -1);
	cr_expect_not_null(strstr(e.text, "start, make, seal, emit, done"), "%s", e.text);
	findings_release(&fs);
	evidence_release(&v);
	catalog_release(&c);
	close_all(&s, &t, &p, &ph);
}
