/* SPDX-License-Identifier: MIT */
/*
 * The profile against tallies whose stacks and sums are known: blame by the rules of profile.h, worked out by hand or
 * by walking whole stacks, and totals from a ledger that the test keeps itself.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../analyzer/profile.h"
#include "synth.h"

static const char *const crates[] = {"alloc", "core", "std", "hashbrown", "tokio", NULL};

struct fixture {
	struct synth synth;
	struct tally tally;
	struct profile profile;
};

static void fixture_load(struct fixture *f)
{
	struct error e = {""};

	synth_tally(&f->synth, &f->tally);
	cr_assert_eq(profile_init(&f->profile, &f->tally, crates, &e), 0, "%s", e.text);
}

static void fixture_release(struct fixture *f)
{
	profile_release(&f->profile);
	tally_release(&f->tally);
	synth_release(&f->synth);
}

static const char *name_of(const struct fixture *f, uint32_t function)
{
	return function == PROFILE_NONE ? "-" : f->profile.functions[function].name;
}

static const struct profile_blame *blame_of(const struct fixture *f, const char *name)
{
	const struct profile_blame *found = NULL;

	for (uint32_t i = 0; i < f->profile.n_blames; i++) {
		if (strcmp(name_of(f, f->profile.blames[i].function), name))
			continue;
		cr_assert_null(found, "%s is there twice", name);
		found = &f->profile.blames[i];
	}
	cr_assert_not_null(found, "%s is missing", name);
	return found;
}

static const struct profile_crate *crate_of(const struct fixture *f, const char *name)
{
	for (uint32_t i = 0; i < f->profile.n_crates; i++)
		if (!strcmp(f->profile.crates[i].name, name))
			return &f->profile.crates[i];
	cr_assert_fail("no crate %s", name);
	return NULL;
}

/* A stack of named calls, outermost first, NULL at the end. */
Test(profile, metric_names)
{
	static const char *const names[] = {"peak", "bytes", "count", "temporary", "leaked"};

	for (int m = 0; m < METRIC_N; m++) {
		cr_assert_str_eq(profile_metric_name((enum profile_metric)m), names[m]);
		cr_assert_eq(profile_metric_parse(names[m]), m);
	}
	cr_assert_null(profile_metric_name(METRIC_N));
	cr_assert_eq(profile_metric_parse("size"), -1);
	cr_assert_eq(profile_metric_parse(""), -1);
}

Test(profile, blame_skips_plumbing_and_names_both_sides)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t site = STACK(s, "app::main", "app::build", "<alloc::vec::Vec<u8>>::push",
		"<alloc::raw_vec::RawVec<u8>>::grow_one");
	synth_hold(s, site, 3, 100);
	fixture_load(&f);

	const struct profile_blame *b = blame_of(&f, "app::build");
	cr_assert_eq(f.profile.n_blames, 1);
	cr_assert_str_eq(name_of(&f, b->inner), "<alloc::vec::Vec<u8>>::push");
	cr_assert_str_eq(name_of(&f, b->caller), "app::main");
	cr_assert_eq(b->totals.alloc_bytes, 300);
	cr_assert_eq(crate_of(&f, "app")->totals.alloc_bytes, 300);
	cr_assert_not(crate_of(&f, "app")->plumbing);
	cr_assert(crate_of(&f, "alloc")->plumbing);
	cr_assert_eq(crate_of(&f, "alloc")->totals.alloc_bytes, 0);
	fixture_release(&f);
}

Test(profile, caller_is_another_function_also_through_recursion_and_plumbing)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t site = STACK(s, "app::outer", "core::ops::function::FnOnce::call_once",
		"app::walk", "core::iter::Map::next", "app::walk", "app::walk");
	synth_hold(s, site, 1, 8);
	fixture_load(&f);
	cr_assert_str_eq(name_of(&f, blame_of(&f, "app::walk")->caller), "app::outer");
	cr_assert_eq(blame_of(&f, "app::walk")->inner, PROFILE_NONE);
	fixture_release(&f);
}

/* One address: an inlined plumbing frame, the inlined blame frame, and the function they were inlined into. */
Test(profile, inlined_frames_count_as_frames)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	struct profile_frame frames[8];

	uint32_t module = synth_module(s, "/opt/bundler.node");
	synth_frame(s, module, 0x100, "<alloc::vec::Vec<u8>>::push", "vec.rs", 7);
	synth_frame(s, module, 0x100, "app::inlined", "app.rs", 42);
	synth_frame(s, module, 0x100, "app::outer", "app.rs", 10);
	uint32_t site = synth_site(s, 0, module, 0x100);
	synth_hold(s, site, 1, 8);
	fixture_load(&f);

	const struct profile_blame *b = blame_of(&f, "app::inlined");
	cr_assert_eq(b->line, 42);
	cr_assert_str_eq(name_of(&f, b->inner), "<alloc::vec::Vec<u8>>::push");
	cr_assert_str_eq(name_of(&f, b->caller), "app::outer");
	cr_assert_eq(profile_stack(&f.profile, site, frames, 2), 3, "counts more than it writes");
	cr_assert_eq(profile_stack(&f.profile, site, frames, 8), 3);
	cr_assert_str_eq(name_of(&f, frames[0].function), "<alloc::vec::Vec<u8>>::push");
	cr_assert_eq(frames[1].line, 42);
	cr_assert_str_eq(name_of(&f, frames[2].function), "app::outer");
	fixture_release(&f);
}

Test(profile, nothing_but_plumbing_blames_the_innermost)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t site =
		STACK(s, "std::rt::lang_start", "tokio::runtime::block_on", "alloc::alloc::alloc");
	synth_hold(s, site, 1, 8);
	fixture_load(&f);
	cr_assert_eq(blame_of(&f, "alloc::alloc::alloc")->caller, PROFILE_NONE);
	cr_assert_eq(blame_of(&f, "alloc::alloc::alloc")->inner, PROFILE_NONE);
	fixture_release(&f);
}

Test(profile, a_nameless_function_is_told_by_its_caller)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	const uint16_t source = HT_FUNCTION_UNNAMED | HT_FUNCTION_BY_SOURCE;

	synth_hold(s,
		STACK(s, "app::outer:3+0x10", "app::inner:5+0x20", "prog+0x30",
			"alloc::vec:7+0x40"),
		3, 100);
	synth_hold(s, STACK(s, "prog+0x50", "alloc::vec:7+0x40", "prog+0x60"), 1, 100);
	synth_hold(s, STACK(s, "app::outer:3+0x10", "alloc::vec:7+0x40"), 2, 100);
	synth_flags(s, "app::outer:3+0x10", source);
	synth_flags(s, "app::inner:5+0x20", source);
	synth_flags(s, "alloc::vec:7+0x40", source);
	synth_flags(s, "prog+0x30", HT_FUNCTION_UNNAMED);
	synth_flags(s, "prog+0x50", HT_FUNCTION_UNNAMED);
	synth_flags(s, "prog+0x60", HT_FUNCTION_UNNAMED);
	/* called by a function that is told, of another module */
	uint32_t other = synth_module(s, "/lib/other.so");
	synth_frame(s, other, 0x100, "other.so+0x100", NULL, 0);
	synth_frame(s, other, 0x200, "lib::told:1+0x200", NULL, 0);
	synth_flags(s, "other.so+0x100", HT_FUNCTION_UNNAMED);
	synth_flags(s, "lib::told:1+0x200", source);
	synth_hold(s, synth_site(s, STACK(s, "app::outer:3+0x10"), other, 0x100), 4, 100);
	fixture_load(&f);

	const struct profile_blame *b = blame_of(&f, "app::inner:5+0x20");
	cr_expect_eq(b->totals.allocs, 3);
	cr_expect_str_eq(name_of(&f, b->inner), "prog+0x30");
	cr_expect_str_eq(name_of(&f, b->caller), "app::outer:3+0x10");
	cr_expect_eq(blame_of(&f, "prog+0x60")->totals.allocs, 1, "nobody tells it: the innermost");
	cr_expect_eq(blame_of(&f, "app::outer:3+0x10")->totals.allocs, 2);
	cr_expect_eq(blame_of(&f, "other.so+0x100")->totals.allocs, 4);
	cr_expect_eq(crate_of(&f, "app")->totals.allocs, 5);
	cr_expect_eq(crate_of(&f, "prog")->totals.allocs, 1);
	fixture_release(&f);
}

Test(profile, pseudo_frames_and_stacks_without_a_frame)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t jit = synth_site(s, 0, 0, HT_PSEUDO_JIT);
	uint32_t below = synth_call(s, jit, "alloc::alloc::alloc");
	uint32_t broken = synth_call(s, synth_site(s, 0, 0, HT_PSEUDO_BROKEN), "app::leaf");
	synth_hold(s, below, 1, 8);
	synth_hold(s, broken, 2, 8);
	synth_hold(s, 0, 4, 8);
	fixture_load(&f);
	cr_assert_eq(blame_of(&f, "[jit]")->totals.allocs, 1);
	cr_assert_str_eq(name_of(&f, blame_of(&f, "[jit]")->inner), "alloc::alloc::alloc");
	cr_assert_eq(blame_of(&f, "app::leaf")->totals.allocs, 2);
	cr_assert_str_eq(name_of(&f, blame_of(&f, "app::leaf")->caller), "[stack broken]");
	cr_assert_eq(blame_of(&f, "[no stack]")->totals.allocs, 4);
	cr_assert_eq(crate_of(&f, "[jit]")->totals.allocs, 1);
	fixture_release(&f);
}

/* C has no crate: the module's base name stands for it. */
Test(profile, crate_of_c_is_the_module)
{
	struct fixture f;
	struct synth *s = &f.synth;
	struct {
		const char *path, *crate;
	} cases[] = {{"/usr/lib/libsqlite3.so.0.8.6", "libsqlite3"},
		{"/usr/local/bin/node", "node"},
		{"binding.linux-x64-gnu.node", "binding.linux-x64-gnu.node"}};

	synth_init(s);
	for (int i = 0; i < 3; i++) {
		uint32_t module = synth_module(s, cases[i].path);
		synth_frame(s, module, 0x10,
			i == 0   ? "parse_one"
			: i == 1 ? "parse_two"
				 : "parse_three",
			NULL, 0);
		synth_hold(s, synth_site(s, 0, module, 0x10), (uint64_t)i + 1, 8);
	}
	fixture_load(&f);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(crate_of(&f, cases[i].crate)->totals.allocs, (uint64_t)i + 1, "%s",
			cases[i].crate);
	fixture_release(&f);
}

/* Two light sites that share a caller outweigh a heavier single one; peak goes before bytes. */
Test(profile, context_is_the_one_with_most_of_the_peak)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t a1 = STACK(s, "app::a", "app::f", "<alloc::vec::Vec<u8>>::push");
	uint32_t a2 = STACK(s, "app::root", "app::a", "app::f", "<alloc::vec::Vec<u8>>::push");
	uint32_t b = STACK(s, "app::b", "app::f");
	uint32_t c = STACK(s, "app::c", "app::f");
	uint32_t brief = synth_hold(s, c, 1, 4096);
	synth_free(s, brief, 0, 1, 4096);
	synth_alloc(s, brief, 0, 1, 4096); /* most bytes over the run, none at the peak */
	synth_free(s, brief, 0, 1, 4096);
	synth_hold(s, a1, 1, 3000);
	synth_hold(s, a2, 1, 3000);
	synth_hold(s, b, 1, 4000);
	fixture_load(&f);
	cr_assert_eq(blame_of(&f, "app::f")->totals.peak_bytes, 10000);
	cr_assert_str_eq(name_of(&f, blame_of(&f, "app::f")->caller), "app::a");
	cr_assert_str_eq(name_of(&f, blame_of(&f, "app::f")->inner), "<alloc::vec::Vec<u8>>::push");
	fixture_release(&f);
}

Test(profile, reallocs_arrive_where_they_go)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t made = synth_bucket(s, STACK(s, "app::make"), 64);
	uint32_t grown = synth_bucket(s, STACK(s, "app::grow"), 640);
	synth_alloc(s, made, 0, 2, 64);
	synth_realloc(s, made, grown, 0, 64, 640);
	synth_realloc(s, grown, grown, 0, 640, 650);
	fixture_load(&f);

	const struct totals *make = &blame_of(&f, "app::make")->totals;
	const struct totals *grow = &blame_of(&f, "app::grow")->totals;
	cr_assert_eq(make->allocs, 2);
	cr_assert_eq(make->reallocs, 0);
	cr_assert_eq(make->live_bytes, 64);
	cr_assert_eq(grow->allocs, 0);
	cr_assert_eq(grow->reallocs, 2);
	cr_assert_eq(grow->realloc_bytes, 640 + 650);
	cr_assert_eq(grow->live_bytes, 650);
	cr_assert_eq(totals_metric(grow, METRIC_BYTES), 1290);
	cr_assert_eq(totals_metric(grow, METRIC_COUNT), 2);
	cr_assert_eq(totals_metric(grow, METRIC_LEAKED), 650);
	fixture_release(&f);
}

Test(profile, negative_live_reads_as_zero)
{
	struct totals t = {.peak_bytes = -5, .live_bytes = -7};

	cr_assert_eq(totals_metric(&t, METRIC_PEAK), 0);
	cr_assert_eq(totals_metric(&t, METRIC_LEAKED), 0);
}

Test(profile, a_tally_without_names_is_refused)
{
	struct synth s;
	struct tally t;
	struct profile p;
	struct error e = {""};

	synth_init(&s);
	synth_site(&s, 0, synth_module(&s, "/bin/x"), 0x10);
	synth_tally(&s, &t);
	cr_assert_eq(profile_init(&p, &t, crates, &e), -1);
	cr_assert(strstr(e.text, "names"), "%s", e.text);
	tally_release(&t);
	synth_release(&s);
}

Test(profile, an_address_without_a_location_is_a_frame_without_a_name)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t known = synth_call(s, 0, "app::known");
	synth_hold(s, synth_site(s, known, 1, 0x999990), 5, 8);
	fixture_load(&f);
	cr_assert_eq(blame_of(&f, "[no name]")->totals.allocs, 5);
	cr_assert_str_eq(name_of(&f, blame_of(&f, "[no name]")->caller), "app::known");
	fixture_release(&f);
}

/* Random stacks and events: the memo against whole walks, every sum against the test's own ledger. */
Test(profile, random_stacks_agree_with_whole_walks)
{
	static const char *const names[] = {"app::a", "app::b", "app::c", "other::d", "other::e",
		"<alloc::vec::Vec<u8>>::push", "alloc::alloc::alloc", "core::iter::next",
		"std::rt::run"};
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	struct totals ledger = {0};
	uint64_t class_bytes[HT_SIZE_CLASSES] = {0};
	unsigned seed = 12345;

	for (int i = 0; i < 300; i++) {
		uint32_t site = 0;
		for (int depth = 1 + rand_r(&seed) % 8; depth; depth--)
			site = synth_call(s, site, names[rand_r(&seed) % 9]);
		uint64_t bytes = 1 + (uint64_t)(rand_r(&seed) % 5000),
			 n = 1 + (uint64_t)(rand_r(&seed) % 9);
		uint64_t freed = (uint64_t)rand_r(&seed) % (n + 1);
		uint32_t b = synth_bucket(s, site, bytes);
		synth_alloc(s, b, (uint32_t)i % 3, n, bytes);
		synth_free(s, b, (uint32_t)(i + 1) % 3, freed, bytes);
		ledger.allocs += n;
		ledger.alloc_bytes += n * bytes;
		ledger.frees += freed;
		ledger.live_count += (int64_t)(n - freed);
		ledger.live_bytes += (int64_t)((n - freed) * bytes);
		class_bytes[ht_size_class(bytes)] += n * bytes;
	}
	for (int i = 0; i < 3; i++)
		synth_thread(s, "worker");
	fixture_load(&f);

	const struct profile *p = &f.profile;
	cr_assert_eq(p->total.allocs, ledger.allocs);
	cr_assert_eq(p->total.alloc_bytes, ledger.alloc_bytes);
	cr_assert_eq(p->total.frees, ledger.frees);
	cr_assert_eq(p->total.live_count, ledger.live_count);
	cr_assert_eq(p->total.live_bytes, ledger.live_bytes);
	for (uint32_t c = 0; c < HT_SIZE_CLASSES; c++)
		cr_assert_eq(p->by_class[c].alloc_bytes, class_bytes[c], "class %u", c);

	uint64_t *expected = calloc(p->n_functions, sizeof(*expected));
	for (uint32_t b = 0; b < f.tally.n_buckets; b++) {
		struct profile_frame frames[16];
		uint32_t n = profile_stack(p, f.tally.buckets[b].site, frames, 16), i = 0;
		if (!n)
			continue;
		while (i < n && strncmp(name_of(&f, frames[i].function), "app", 3) &&
			strncmp(name_of(&f, frames[i].function), "other", 5))
			i++;
		uint32_t blame = frames[i < n ? i : 0].function;
		cr_assert_eq(p->buckets[b].blame, blame);
		expected[blame] += f.tally.counters[b].alloc_bytes;
	}
	uint64_t in_blames = 0, in_crates = 0;
	for (uint32_t i = 0; i < p->n_blames; i++) {
		if (strcmp(name_of(&f, p->blames[i].function), "[no stack]"))
			cr_assert_eq(
				p->blames[i].totals.alloc_bytes, expected[p->blames[i].function]);
		in_blames += p->blames[i].totals.alloc_bytes;
	}
	for (uint32_t i = 0; i < p->n_crates; i++)
		in_crates += p->crates[i].totals.alloc_bytes;
	cr_assert_eq(in_blames, ledger.alloc_bytes);
	cr_assert_eq(in_crates, ledger.alloc_bytes);

	for (int fold = 0; fold < 2; fold++) {
		struct profile_tree tree;
		struct error e;
		uint64_t self = 0;
		cr_assert_eq(profile_tree_init(&tree, p, fold, &e), 0);
		for (uint32_t i = 0; i < tree.n_nodes; i++) {
			self += tree.nodes[i].self.alloc_bytes;
			cr_assert(i == 0 || tree.nodes[i].parent < i);
		}
		cr_assert_eq(self, ledger.alloc_bytes);
		cr_assert_eq(tree.nodes[0].total.alloc_bytes, ledger.alloc_bytes);
		profile_tree_release(&tree);
	}
	free(expected);
	fixture_release(&f);
}

static uint32_t child(
	const struct fixture *f, const struct profile_tree *t, uint32_t parent, const char *name)
{
	uint32_t found = 0;

	for (uint32_t c = t->nodes[parent].first_child; c; c = t->nodes[c].next_sibling) {
		cr_assert_eq(t->nodes[c].parent, parent);
		if (!strcmp(name_of(f, t->nodes[c].function), name)) {
			cr_assert_eq(found, 0, "%s is there twice", name);
			found = c;
		}
	}
	return found;
}

Test(profile, tree_folds_plumbing_down_to_a_leaf)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	struct profile_tree t;
	struct error e;

	uint32_t site = STACK(s, "std::rt::lang_start", "app::main",
		"core::iter::Iterator::for_each", "app::step", "<alloc::vec::Vec<u8>>::push",
		"<alloc::raw_vec::RawVec<u8>>::grow_one", "alloc::alloc::alloc");
	uint32_t plain = STACK(s, "std::rt::lang_start", "app::main", "app::other");
	uint32_t bare =
		STACK(s, "std::rt::lang_start", "app::main", "app::step", "alloc::alloc::alloc");
	synth_hold(s, site, 1, 8);
	synth_hold(s, site, 2, 80);
	synth_hold(s, plain, 4, 8);
	synth_hold(s, bare, 8, 8);
	fixture_load(&f);

	cr_assert_eq(profile_tree_init(&t, &f.profile, true, &e), 0);
	uint32_t main = child(&f, &t, 0, "app::main");
	uint32_t step = child(&f, &t, main, "app::step");
	uint32_t leaf = child(&f, &t, step, "<alloc::raw_vec::RawVec<u8>>::grow_one");
	uint32_t raw = child(&f, &t, step, "alloc::alloc::alloc");
	cr_assert(main && step && leaf && raw);
	cr_assert_eq(t.n_nodes, 6, "root, main, step, other and two leaves");
	cr_assert_eq(t.nodes[leaf].self.allocs, 3);
	cr_assert_eq(t.nodes[raw].self.allocs, 8);
	cr_assert_eq(t.nodes[step].self.allocs, 0);
	cr_assert_eq(t.nodes[step].total.allocs, 11);
	cr_assert_eq(t.nodes[main].total.allocs, 15);
	profile_tree_release(&t);

	cr_assert_eq(profile_tree_init(&t, &f.profile, false, &e), 0);
	main = child(&f, &t, child(&f, &t, 0, "std::rt::lang_start"), "app::main");
	step = child(&f, &t, child(&f, &t, main, "core::iter::Iterator::for_each"), "app::step");
	cr_assert(main && step);
	cr_assert_eq(t.nodes[step].total.allocs, 3);
	cr_assert_eq(t.n_nodes, 11);
	profile_tree_release(&t);
	fixture_release(&f);
}

Test(profile, tree_folds_the_nameless_below_what_is_told)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	struct profile_tree t;
	struct error e;

	synth_hold(s,
		STACK(s, "prog+0x10", "app::a:1+0x20", "prog+0x30", "app::b:2+0x40", "prog+0x50"),
		3, 8);
	for (int i = 1; i <= 5; i += 2) {
		char name[16];
		snprintf(name, sizeof(name), "prog+0x%d0", i);
		synth_flags(s, name, HT_FUNCTION_UNNAMED);
	}
	synth_flags(s, "app::a:1+0x20", HT_FUNCTION_UNNAMED | HT_FUNCTION_BY_SOURCE);
	synth_flags(s, "app::b:2+0x40", HT_FUNCTION_UNNAMED | HT_FUNCTION_BY_SOURCE);
	fixture_load(&f);

	cr_assert_eq(profile_tree_init(&t, &f.profile, true, &e), 0);
	uint32_t outer = child(&f, &t, 0, "prog+0x10");
	uint32_t b = child(&f, &t, child(&f, &t, outer, "app::a:1+0x20"), "app::b:2+0x40");
	cr_assert(outer && b && child(&f, &t, b, "prog+0x50"));
	cr_expect_eq(t.n_nodes, 5);
	profile_tree_release(&t);

	cr_assert_eq(profile_tree_init(&t, &f.profile, false, &e), 0);
	cr_expect_eq(t.n_nodes, 6);
	profile_tree_release(&t);
	fixture_release(&f);
}

/* An impl of app's trait for lib's type is app's, where the linker name said so; without that the name alone tells. */
Test(profile, the_crate_of_an_impl)
{
	static const char name[] = "<lib::T as app::U>::f";
	struct fixture f;
	struct synth *s = &f.synth;

	for (int known = 0; known < 2; known++) {
		synth_init(s);
		uint32_t b = synth_bucket(s, synth_call(s, 0, name), 64);
		synth_alloc(s, b, 0, 1, 64);
		/* its location, frame and function are the only ones */
		if (known) {
			uint32_t crate = synth_add(s, HT_SEC_NAMES, "a");
			synth_add(s, HT_SEC_NAMES, "p");
			synth_add(s, HT_SEC_NAMES, "p");
			synth_add(s, HT_SEC_NAMES, "");
			((struct ht_function *)synth_at(s, HT_SEC_FUNCTIONS, 0))->crate = crate;
		}
		fixture_load(&f);
		cr_assert_eq(crate_of(&f, known ? "app" : "lib")->totals.allocs, 1);
		fixture_release(&f);
	}
}
