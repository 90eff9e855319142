/* SPDX-License-Identifier: MIT */
/*
 * Evidence, catalog and the first pattern against tallies whose buffers were made by hand: what each figure must be is
 * worked out in the comments.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../analyzer/views/advice.h"
#include "fixture.h"

#define GROW "<alloc::raw_vec::RawVec<app::Item>>::grow_one"

/*
 * 1000 buffers of 64 bytes, 4 items of 16. 100 stay, 500 grow to 128, 400 grow to 128 and then to 256, all moving:
 * 900 copies of 64 and 400 of 128 bytes.
 */
static void grown_vecs(struct synth *s, const char *blame)
{
	uint32_t site =
		STACK(s, "app::main", blame, GROW, "alloc::raw_vec::RawVecInner::finish_grow");
	uint32_t b = synth_hold(s, site, 1000, 64);
	synth_chain(s, b, 128, 500, 500, 900 * 64);
	synth_chain(s, b, 256, 400, 800, 400 * 128);
	synth_free(s, b, 0, 1000, 64);
}

/*
 * Final bytes: 100 * 64 + 500 * 128 + 400 * 256 = 172,800, of which a quarter, 43,200, may be wasted. 256 at the start
 * (99% and 90% of the buffers need it) would waste 100 * 192 + 500 * 128 = 83,200; 128, the median, 100 * 64 = 6,400.
 * With 128 the 500 need no step and the 400 one of their two: 900 steps and the 900 copies of 64 bytes are saved.
 */
Test(advise, vec_regrowth_by_hand)
{
	struct fixture f;

	synth_init(&f.synth);
	grown_vecs(&f.synth, "app::build");
	fixture_load(&f, NULL);
	cr_assert_eq(f.findings.n, 1);
	const struct finding *x = f.findings.rows[0];
	cr_assert_str_eq(x->pattern->name, "vec-regrowth");
	cr_assert_str_eq(f.profile.functions[x->group->blame].name, "app::build");
	cr_assert_str_eq(x->group->element, "app::Item");
	cr_assert_eq(x->group->container, CONTAINER_VEC);
	cr_assert_eq(fixture_figure(x, "buffers"), 1000);
	cr_assert_eq(fixture_figure(x, "grown"), 900);
	cr_assert_eq(fixture_figure(x, "grows"), 1300);
	cr_assert_eq(fixture_figure(x, "copied_bytes"), 900 * 64 + 400 * 128);
	cr_assert_eq(fixture_figure(x, "final_p50_bytes"), 128);
	cr_assert_eq(fixture_figure(x, "final_p90_bytes"), 256);
	cr_assert_eq(fixture_figure(x, "element_bytes"), 16);
	cr_assert_eq(fixture_figure(x, "capacity_bytes"), 128);
	cr_assert_eq(fixture_figure(x, "waste_bytes"), 6400);
	cr_assert_eq(x->saving.allocs, 900);
	cr_assert_eq(x->saving.copied_bytes, 57600);
	cr_assert_eq(x->saving.peak_bytes, 0);
	/* 40 ns each and 0.1 ns a byte */
	cr_assert_eq(x->saving.time_ns, 900 * 40 + 5760);
	cr_assert_eq(x->score, 41760);
	cr_assert_not_null(strstr(x->fix_code, "Vec<app::Item>"), "%s", x->fix_code);
	cr_assert_not_null(strstr(x->fix_code, "with_capacity(8)"), "%s", x->fix_code);
	cr_assert_not_null(strstr(x->fix_line, "50%"), "%s", x->fix_line);
	cr_assert_null(x->naming);
	fixture_release(&f);
}

/* As many allocations and reallocs, but a table's, or shrinking, or too few. */
Test(advise, vec_regrowth_decoys)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t table = synth_hold(s,
		STACK(s, "app::tables", "<hashbrown::raw::RawTable<(u32, u32)>>::reserve_rehash"),
		5000, 64);
	synth_chain(s, table, 128, 5000, 5000, 5000 * 64);
	uint32_t shrunk = synth_hold(s, STACK(s, "app::shrinks", GROW), 5000, 256);
	synth_chain(s, shrunk, 64, 5000, 5000, 5000 * 64);
	synth_hold(s, STACK(s, "app::exact", GROW), 5000, 512);
	uint32_t few = synth_hold(s, STACK(s, "app::few", GROW), 999, 64);
	synth_chain(s, few, 128, 999, 999, 999 * 64);
	fixture_load(&f, NULL);
	cr_assert_eq(f.findings.n, 0, "%s", f.findings.n ? f.findings.rows[0]->fix_line : "");
	cr_assert_eq(fixture_group(&f, "app::shrinks")->all.shrunk, 5000);
	cr_assert_eq(fixture_group(&f, "app::shrinks")->all.grows, 0);
	fixture_release(&f);
}

/* One buffer that still stands: 64 bytes doubled to 2 MiB makes 15 steps, and its size is known. */
Test(advise, vec_regrowth_of_one_that_lives)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_bucket(s, STACK(s, "app::index", GROW), 64);
	struct ht_chain c = {.origin = b,
		.size_class = (uint16_t)ht_size_class(2 << 20),
		.now = 1,
		.copied_bytes = 1 << 20};
	synth_alloc(s, b, 0, 1, 64);
	synth_add(s, HT_SEC_CHAINS, &c);
	fixture_load(&f, NULL);
	cr_assert_eq(f.findings.n, 1);
	cr_assert_eq(fixture_figure(f.findings.rows[0], "grows"), 15);
	cr_assert_str_eq(f.findings.rows[0]->fix, "exact");
	/* 2 MiB of 16 bytes */
	cr_assert_not_null(strstr(f.findings.rows[0]->fix_code, "with_capacity(131072)"));
	fixture_release(&f);
}

Test(advise, without_names)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	synth_hold(s, synth_unnamed(s, "/opt/bundler.node", 0x100), 2000, 64);
	uint32_t b = synth_hold(s, synth_unnamed(s, "/opt/bundler.node", 0x200), 2000, 64);
	synth_chain(s, b, 128, 2000, 2000, 2000 * 64);
	fixture_load(&f, NULL);
	cr_assert_eq(f.evidence.n_groups, 2);
	cr_assert_eq(f.findings.n, 1);
	const struct finding *x = f.findings.rows[0];
	cr_assert_eq(x->group->address, 0x200);
	cr_assert_eq(x->group->container, CONTAINER_UNKNOWN);
	cr_assert_not(x->group->named);
	cr_assert_eq(x->confidence, CONFIDENCE_MEDIUM);
	cr_assert_not_null(x->naming);
	cr_assert_eq(x->saving.allocs, 2000);
	fixture_release(&f);
}

Test(evidence, containers_by_names)
{
	static const struct {
		const char *method;
		enum container container;
		const char *element;
	} cases[] = {
		{"<alloc::vec::Vec<app::Item>>::push", CONTAINER_VEC, "app::Item"},
		{"<alloc::string::String as core::clone::Clone>::clone", CONTAINER_STRING, ""},
		{"<alloc::raw_vec::RawVec<u8>>::grow_one", CONTAINER_STRING, "u8"},
		{"<alloc::boxed::Box<app::Node>>::new", CONTAINER_BOX, "app::Node"},
		{"<alloc::sync::Arc<app::Node>>::new", CONTAINER_ARC, "app::Node"},
		{"<hashbrown::raw::RawTable<(u32, app::V)>>::reserve_rehash", CONTAINER_TABLE,
			"(u32, app::V)"},
		{"<dashmap::DashMap<u8, u64>>::insert", CONTAINER_SHARDED, "u8, u64"},
		{"<alloc::collections::btree::map::BTreeMap<u8, app::V>>::insert", CONTAINER_BTREE,
			"u8, app::V"},
		{"alloc::alloc::exchange_malloc", CONTAINER_OTHER, ""},
	};
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	char blame[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(blame, sizeof(blame), "app::f%zu", i);
		synth_hold(s, STACK(s, blame, cases[i].method), i + 1, 48);
	}
	fixture_load(&f, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(blame, sizeof(blame), "app::f%zu", i);
		const struct group *g = fixture_group(&f, blame);
		cr_assert_eq(g->container, cases[i].container, "%s is %s", cases[i].method,
			container_name(g->container));
		cr_assert_str_eq(g->element, cases[i].element, "%s", cases[i].method);
		cr_assert_eq(g->totals.allocs, i + 1);
	}
	fixture_release(&f);
}

Test(evidence, containers_by_source)
{
	static const struct {
		const char *method;
		enum container container;
	} cases[] = {
		{"alloc::raw_vec:509+0x100", CONTAINER_VEC},
		{"hashbrown::raw:418+0x110", CONTAINER_TABLE},
		{"alloc::collections::btree::node:802+0x120", CONTAINER_BTREE},
		{"alloc::fmt:600+0x130", CONTAINER_STRING},
		{"core::slice::iter:102+0x140", CONTAINER_UNKNOWN},
		{"hashbrown_like::raw:418+0x150", CONTAINER_UNKNOWN},
	};
	const uint16_t source = HT_FUNCTION_UNNAMED | HT_FUNCTION_BY_SOURCE;
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	char blame[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(blame, sizeof(blame), "app::f:%zu+0x%zx", i + 1, 0x200 + i);
		synth_hold(s, STACK(s, blame, cases[i].method), i + 1, 48);
		synth_flags(s, blame, source);
		synth_flags(s, cases[i].method, source);
	}
	fixture_load(&f, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		/* what is no plumbing is blamed itself */
		bool plumbing = strncmp(cases[i].method, "hashbrown_like", 14);
		snprintf(blame, sizeof(blame), "app::f:%zu+0x%zx", i + 1, 0x200 + i);
		const struct group *g = fixture_group(&f, plumbing ? blame : cases[i].method);
		cr_expect_eq(g->container, cases[i].container, "%s is %s", cases[i].method,
			container_name(g->container));
		cr_expect_eq(g->totals.allocs, i + 1);
		cr_expect_not(g->named);
	}
	fixture_release(&f);
}

/* Two lines of one function are two groups, two sizes of one line are one, and so are two callers. */
Test(evidence, a_group_is_a_statement)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t m = synth_module(s, "/usr/bin/app"), site[4];
	synth_frame(s, m, 0x10, "app::one", "app.rs", 5);
	synth_frame(s, m, 0x20, "app::other", "app.rs", 6);
	synth_frame(s, m, 0x100, "app::build", "app.rs", 41);
	synth_frame(s, m, 0x200, "app::build", "app.rs", 42);
	synth_frame(s, m, 0x300, "app::build", "app.rs", 42);
	synth_frame(s, m, 0x400, GROW, "raw_vec.rs", 1);
	for (int i = 0; i < 4; i++) {
		uint32_t up = synth_site(s, 0, m, i == 3 ? 0x20 : 0x10);
		up = synth_site(s, up, m, i == 0 ? 0x100 : i == 1 ? 0x200 : 0x300);
		site[i] = synth_site(s, up, m, 0x400);
		synth_hold(s, site[i], 10, 64u << i);
	}
	fixture_load(&f, NULL);
	cr_assert_eq(f.evidence.n_groups, 2);
	const struct group *g =
		&f.evidence.groups[0]; /* 10 * (128 + 256 + 512) at the peak against 640 */
	cr_assert_eq(g->line, 42);
	cr_assert_eq(g->totals.alloc_bytes, 8960);
	cr_assert_eq(g->n_buckets, 3);
	cr_assert_eq(g->min_bytes, 128);
	cr_assert_eq(g->max_bytes, 512);
	cr_assert_eq(g->p50_bytes, 256);
	cr_assert_eq(g->p99_bytes, 512);
	cr_assert_str_eq(evidence_file(&f.evidence, g), "app.rs");
	cr_assert_eq(f.evidence.groups[1].line, 41);
	fixture_release(&f);
}

Test(evidence, clones_are_told_apart)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t clone = STACK(s, "app::copies", "<app::Tree as core::clone::Clone>::clone",
		"<alloc::vec::Vec<app::Leaf> as core::clone::Clone>::clone");
	uint32_t plain = STACK(s, "app::makes", "<alloc::vec::Vec<app::Leaf>>::with_capacity");
	synth_hold(s, clone, 7, 48);
	synth_hold(s, plain, 1, 48);
	fixture_load(&f, NULL);
	const struct group *g = fixture_group(&f, "<app::Tree as core::clone::Clone>::clone");
	cr_assert_str_eq(
		f.profile.functions[g->clone].name, "<app::Tree as core::clone::Clone>::clone");
	cr_assert_str_eq(f.profile.functions[g->caller].name, "app::copies");
	cr_assert_eq(fixture_group(&f, "app::makes")->clone, PROFILE_NONE);
	fixture_release(&f);
}

/* ---- catalog ---- */

static void catalog_refuses(const char *toml, const char *says)
{
	char *path = fixture_file(toml), want[256];
	struct catalog c;
	struct error e = {""};

	int ret = catalog_init(&c, path, &e);
	unlink(path);
	cr_assert_eq(ret, -1, "accepted: %s", toml);
	snprintf(want, sizeof(want), "%s:%s", path, says);
	cr_assert_eq(strncmp(e.text, want, strlen(want)), 0, "'%s' instead of '%s'", e.text, want);
	free(path);
}

Test(catalog, errors_name_file_and_line)
{
	catalog_refuses("\n\n[colour]\n", "3: unknown key 'colour'");
	catalog_refuses("# x\n[plumbing]\ncrate = []\n", "3: unknown key 'crate'");
	catalog_refuses("[plumbing]\ncrates = [\n\"a\",\n3]\n", "4: ");
	catalog_refuses("[cost]\nalloc_ns = \"fast\"\n", "2: alloc_ns must be a number");
	catalog_refuses("[cost]\nalloc_ns = -1\n", "2: alloc_ns must be a number");
	catalog_refuses(
		"[pattern.vec-regrowht.limits]\nmin_grows = 1\n", "1: no pattern 'vec-regrowht'");
	catalog_refuses("[pattern.vec-regrowth.limits]\nmin_grow = 1\n",
		"2: vec-regrowth has no limit 'min_grow'");
	catalog_refuses("[[place]]\nname = \"x\"\n", "1: 'function' is missing here");
	catalog_refuses("[cost]\nalloc_ns = \n", "2: ");
}

Test(catalog, a_users_file_goes_over_the_built_in)
{
	static const char toml[] =
		"[plumbing]\ncrates = [\"mine\"]\n[pattern.vec-regrowth.limits]\nmin_grows = 7\n"
		"[[place]]\nfunction = \"a\"\nname = \"first\"\n[[place]]\nfunction = \"b\"\nname "
		"= \"second\"\n";
	char *path = fixture_file(toml);
	struct catalog c, plain;
	struct error e = {""};

	cr_assert_eq(catalog_init(&c, path, &e), 0, "%s", e.text);
	cr_assert_eq(catalog_init(&plain, NULL, &e), 0, "%s", e.text);
	unlink(path);
	free(path);
	cr_assert_eq(c.n_plumbing, plain.n_plumbing + 1);
	cr_assert_str_eq(c.plumbing[c.n_plumbing - 1], "mine");
	cr_assert_null(c.plumbing[c.n_plumbing]);
	cr_assert_eq(catalog_limit(catalog_pattern(&c, "vec-regrowth"), "min_grows")->value, 7);
	cr_assert_eq(c.n_places, plain.n_places + 2);
	cr_assert_str_eq(c.places[0].name, "first");
	cr_assert_str_eq(c.places[1].name, "second");
	cr_assert_str_eq(c.places[2].name, plain.places[0].name);
	catalog_release(&c);
	catalog_release(&plain);
}

/* ---- views ---- */

Test(advise, json_has_the_figures)
{
	struct fixture f;
	struct error e = {""};
	char *text = NULL;
	size_t n;

	synth_init(&f.synth);
	grown_vecs(&f.synth, "app::build");
	fixture_load(&f, NULL);
	FILE *out = open_memstream(&text, &n);
	cr_assert_eq(advice_json_write(out, &f.findings, &f.evidence, &e), 0, "%s", e.text);
	fclose(out);
	json_t *j = json_loads(text, 0, NULL);
	cr_assert_not_null(j);
	json_t *x = json_array_get(json_object_get(j, "findings"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(x, "pattern")), "vec-regrowth");
	cr_assert_str_eq(json_string_value(json_object_get(x, "function")), "app::build");
	cr_assert_eq(
		json_integer_value(json_object_get(json_object_get(x, "saving"), "copied_bytes")),
		57600);
	json_t *grows = json_array_get(json_object_get(x, "figures"), 2);
	cr_assert_str_eq(json_string_value(json_object_get(grows, "key")), "grows");
	cr_assert_eq(json_integer_value(json_object_get(grows, "value")), 1300);
	json_decref(j);
	free(text);
	fixture_release(&f);
}
