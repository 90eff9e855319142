/* SPDX-License-Identifier: MIT */
/*
 * Inventory, claims and late-release against tallies made by hand, with a catalog of the test's own: what each figure must
 * be is worked out in the comments. Also what the evidence tells about sizes of items and about generic functions.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../analyzer/claims.h"
#include "fixture.h"

struct judged {
	struct fixture f;
	struct inventory inventory;
	struct claims claims;
};

static void judged_load(struct judged *j, const char *toml)
{
	struct fixture *f = &j->f;
	struct error e = {""};

	fixture_read(f, toml);
	cr_assert_eq(patterns_find(&f->findings, &f->evidence, &f->catalog, NULL, 0, &e), 0, "%s",
		e.text);
	cr_assert_eq(inventory_init(&j->inventory, &f->evidence, &f->catalog, &e), 0, "%s", e.text);
	cr_assert_eq(
		claims_init(&j->claims, &f->evidence, &f->catalog, &j->inventory, &f->findings, &e),
		0, "%s", e.text);
}

static void judged_release(struct judged *j)
{
	claims_release(&j->claims);
	inventory_release(&j->inventory);
	fixture_release(&j->f);
}

static uint32_t stack(struct synth *s, const char *blame, const char *method)
{
	return STACK(s, "app::main", blame, method);
}

static const struct claim *claim(const struct judged *j, const char *says)
{
	for (uint32_t i = 0; i < j->claims.n; i++)
		if (!strcmp(j->claims.rows[i].claim->says, says))
			return &j->claims.rows[i];
	cr_assert_fail("no claim '%s'", says);
	return NULL;
}

static const char catalog[] =
	"[claims]\nmodules = 1000\ntolerance = 1.25\n"
	"[[category]]\nname = \"graph\"\nstructure = \"Node\"\ntypes = [\"app::Node\"]\n"
	"[[category]]\nname = \"graph\"\nstructure = \"Edge\"\ncounts = \"items\"\n"
	"types = [\"(u32, app::Edge)\"]\n"
	"[[claim]]\nsection = \"s\"\nsays = \"size\"\nmeasure = \"size\"\nstructure = "
	"\"Node\"\nvalue = 50\n"
	"[[claim]]\nsection = \"s\"\nsays = \"count\"\nmeasure = \"count\"\nstructure = "
	"\"Node\"\nvalue = 500\n"
	"[[claim]]\nsection = \"s\"\nsays = \"gone\"\nmeasure = \"size\"\nstructure = "
	"\"Leaf\"\nvalue = 1\n"
	"[[claim]]\nsection = \"s\"\nsays = \"edges\"\nmeasure = \"count\"\nstructure = "
	"\"Edge\"\nvalue = 5\n"
	"[[claim]]\nsection = \"s\"\nsays = \"share\"\nmeasure = \"share\"\ncategory = "
	"\"graph\"\nvalue = 0.9\n"
	"[[claim]]\nsection = \"s\"\nsays = \"peak\"\nmeasure = \"peak\"\nvalue = 1e9\n"
	"[[claim]]\nsection = \"s\"\nsays = \"a map\"\nmeasure = \"present\"\ntypes = "
	"[\"app::Node\"]\n"
	"container = \"hash table\"\n"
	"[[claim]]\nsection = \"s\"\nsays = \"a box\"\nmeasure = \"present\"\ntypes = "
	"[\"app::Node\"]\n"
	"container = \"Box\"\n"
	"[[claim]]\nsection = \"s\"\nsays = \"boxes per module\"\nmeasure = \"present\"\n"
	"types = [\"app::Node\"]\ncontainer = \"Box\"\nper_module = 2\n"
	"[[claim]]\nsection = \"s\"\nsays = \"regrowth\"\nmeasure = \"pattern\"\npattern = "
	"\"vec-regrowth\"\n"
	"types = [\"app::Node\"]\n";

/*
 * 2,000 modules. 3,000 nodes of 48 bytes in boxes: 144,000 bytes; scaled by 1000 / 2000, 1,500 nodes. Edges in a table of
 * (u32, Edge), 16 bytes: tables of 4 and 64 buckets are 4 * 16 + 4 + 16 = 84 and 64 * 16 + 64 + 16 = 1,104 bytes; room
 * for 84 / 17 + 1104 / 17, rounded down over both: 1,188 / 17 = 69, scaled 34.5. 36,000 bytes of something else: the graph
 * has 145,188 of 181,188, or 80.1%.
 */
static void graph(struct synth *s)
{
	uint32_t node =
		synth_bucket(s, stack(s, "app::add", "<alloc::boxed::Box<app::Node>>::new"), 48);
	uint32_t table = stack(
		s, "app::link", "<hashbrown::raw::RawTable<(u32, app::Edge)>>::reserve_rehash");

	synth_alloc(s, node, 0, 3000, 48);
	synth_hold(s, table, 1, 84);
	synth_hold(s, table, 1, 1104);
	synth_hold(s, synth_call(s, 0, "app::rest"), 1, 36000);
}

Test(claims, verdicts)
{
	struct judged j;

	synth_init(&j.f.synth);
	graph(&j.f.synth);
	synth_mark(&j.f.synth, "done", "chunks=9&modules=2000", 500);
	judged_load(&j, catalog);
	cr_assert_eq(j.f.evidence.modules, 2000);
	cr_assert_float_eq(j.claims.scale, 0.5, 1e-9);

	cr_assert_eq(claim(&j, "size")->verdict, VERDICT_HOLDS); /* 48 of 50 */
	cr_assert_eq(claim(&j, "size")->value, 48);
	cr_assert_eq(claim(&j, "count")->verdict, VERDICT_OFF);
	cr_assert_float_eq(claim(&j, "count")->factor, 3, 1e-9);
	cr_assert_eq(claim(&j, "gone")->verdict, VERDICT_NOT_VISIBLE);
	cr_assert_not(claim(&j, "gone")->measured);
	cr_assert_float_eq(claim(&j, "edges")->value, 34.5, 1e-9);
	cr_assert_not_null(strstr(claim(&j, "edges")->why, "room for"));
	cr_assert_eq(claim(&j, "share")->verdict, VERDICT_HOLDS);
	cr_assert_float_eq(claim(&j, "share")->value, 145188.0 / 181188, 1e-9);
	cr_assert_eq(claim(&j, "peak")->verdict, VERDICT_OFF);
	cr_assert_float_eq(claim(&j, "peak")->value, 181188.0 / 2, 1e-9);
	cr_assert_eq(claim(&j, "a map")->verdict, VERDICT_CHANGED);
	cr_assert_not_null(strstr(claim(&j, "a map")->why, "Box"));
	cr_assert_eq(claim(&j, "a box")->verdict, VERDICT_HOLDS);
	cr_assert_eq(claim(&j, "boxes per module")->verdict, VERDICT_CHANGED); /* 1.5 */
	cr_assert_eq(claim(&j, "regrowth")->verdict, VERDICT_CHANGED);
	cr_assert_eq(j.claims.verdicts[VERDICT_HOLDS] + j.claims.verdicts[VERDICT_OFF] +
			     j.claims.verdicts[VERDICT_CHANGED] +
			     j.claims.verdicts[VERDICT_NOT_VISIBLE],
		j.claims.n);
	judged_release(&j);
}

Test(claims, without_names_nothing_is_judged)
{
	struct judged j;

	synth_init(&j.f.synth);
	synth_hold(&j.f.synth, synth_call(&j.f.synth, 0, "other::f"), 3, 48);
	judged_load(&j, catalog);
	cr_assert_eq(claim(&j, "size")->verdict, VERDICT_NOT_VISIBLE);
	cr_assert_not_null(strstr(claim(&j, "size")->why, "no symbols"));
	cr_assert_eq(claim(&j, "a box")->verdict, VERDICT_NOT_VISIBLE);
	judged_release(&j);
}

Test(inventory, structures_categories_types)
{
	struct judged j;

	synth_init(&j.f.synth);
	graph(&j.f.synth);
	judged_load(&j, catalog);
	const struct inventory *t = &j.inventory;
	cr_assert_eq(t->peak_bytes, 181188);
	cr_assert_eq(t->n_structures, 2);
	cr_assert_str_eq(t->structures[0].name, "Node");
	cr_assert_eq(t->structures[0].count, 3000);
	cr_assert_eq(t->structures[0].peak_bytes, 144000);
	cr_assert_not(t->structures[0].room);
	cr_assert_eq(t->structures[1].peak_bytes, 1188);
	cr_assert_eq(t->structures[1].item_bytes, 16);
	cr_assert(t->structures[1].room);
	cr_assert_eq(t->n_categories, 2);
	cr_assert_eq(t->categories[0].peak_bytes, 145188);
	cr_assert_str_eq(t->categories[1].name, INVENTORY_OTHER);
	cr_assert_eq(t->categories[1].peak_bytes, 36000);
	cr_assert_eq(t->n_types, 2);
	cr_assert_str_eq(t->types[0].type, "app::Node");
	cr_assert_eq(t->types[0].bytes, 48);
	cr_assert_eq(t->types[1].bytes, 16);
	judged_release(&j);
}

/* Of the words only some are allowed, and the error says which line. */
Test(claims, a_wrong_measure_is_refused)
{
	static const char toml[] =
		"[[claim]]\nsection = \"s\"\nsays = \"x\"\nmeasure = \"weight\"\n";
	char *path = fixture_file(toml);
	struct catalog c;
	struct error e = {""};

	cr_assert_eq(catalog_init(&c, path, &e), -1);
	unlink(path);
	free(path);
	cr_assert_not_null(strstr(e.text, ":4: measure cannot be 'weight'"), "%s", e.text);
}

/* A leaf of 11 keys of 8 and values of 128 bytes: 8 + 2 + 2, to 16, and 11 * 136 = 1,512. */
Test(evidence, items_of_tables_and_trees)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t site = stack(s, "app::tree",
		"<alloc::boxed::Box<alloc::collections::btree::node::LeafNode<u64, "
		"app::V>>>::new_uninit_in");
	synth_hold(s, site, 5, 1512);
	/* one table of 2^14 buckets of 104 bytes */
	site = stack(s, "app::table", "<hashbrown::raw::RawTable<(u64, app::W)>>::reserve_rehash");
	synth_hold(s, site, 1, 16384 * 105 + 16);
	fixture_load(&f, NULL);
	cr_assert_eq(fixture_group(&f, "app::tree")->container, CONTAINER_BTREE);
	cr_assert_str_eq(fixture_group(&f, "app::tree")->element, "u64, app::V");
	cr_assert_eq(fixture_group(&f, "app::tree")->element_bytes, 136);
	cr_assert_eq(fixture_group(&f, "app::table")->element_bytes, 104);
	fixture_release(&f);
}

/* f::<A> and f::<B> are one function: its first calls are one statement, its second ones another. */
Test(evidence, monomorphisations_are_one)
{
	static const char push[] = "<alloc::string::String>::push_str";
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t m = synth_module(s, "/opt/app");
	static const struct {
		uint64_t offset;
		const char *name;
		uint32_t count;
	} calls[] = {{0x100, "app::f::<A>", 1}, {0x180, "app::f::<A>", 10},
		{0x900, "app::f::<B>", 100}, {0x980, "app::f::<B>", 1000}};
	synth_frame(s, m, 0x10, push, NULL, 0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		synth_frame(s, m, calls[i].offset, calls[i].name, NULL, 0);
		uint32_t site = synth_site(s, synth_site(s, 0, m, calls[i].offset), m, 0x10);
		synth_hold(s, site, calls[i].count, 32);
	}
	fixture_load(&f, NULL);
	cr_assert_eq(f.evidence.n_groups, 2);
	cr_assert_eq(f.evidence.groups[0].totals.allocs, 1010);
	cr_assert_eq(f.evidence.groups[1].totals.allocs, 101);
	cr_assert_str_eq(f.profile.functions[f.evidence.groups[0].blame].name, "app::f::<B>");
	fixture_release(&f);
}

/*
 * 200 texts each of 1000, 1200, 1500, 2000 and 3000 bytes, 1,740,000 in all, made in the phase "make"; 3,000,000 bytes in
 * "emit", where the peak is: 4,740,000. Without the texts after "seal" it is 3,000,000.
 */
static const uint64_t sizes[] = {1000, 1200, 1500, 2000, 3000};

/* Loads them in make, into the buckets b; then seal begins. */
static void load_sources(struct synth *s, uint32_t b[5])
{
	uint32_t site = stack(s, "app::load", "<alloc::string::String>::with_capacity");

	synth_mark(s, "make", "", 100000);
	for (int i = 0; i < 5; i++) {
		b[i] = synth_bucket(s, site, sizes[i]);
		synth_alloc(s, b[i], 0, 200, sizes[i]);
	}
	synth_mark(s, "seal", "", 200000);
}

static void sources(struct synth *s, uint64_t free_at)
{
	uint32_t b[5];

	load_sources(s, b);
	for (int i = 0; i < 5 && free_at == 200000; i++)
		synth_free(s, b[i], 0, 200, sizes[i]);
	synth_mark(s, "emit", "", 400000);
	synth_hold(s, synth_call(s, 0, "app::emit"), 1, 3000000);
	s->header.last_ticks = s->header.start_ticks + 500000;
	s->header.last_ns = s->header.start_ns + 500000;
}

static const struct finding *late(const struct fixture *f)
{
	for (uint32_t i = 0; i < f->findings.n; i++)
		if (!strcmp(f->findings.rows[i]->pattern->name, "late-release"))
			return f->findings.rows[i];
	return NULL;
}

Test(late_release, kept_until_the_peak)
{
	struct fixture f;

	synth_init(&f.synth);
	sources(&f.synth, 0);
	fixture_load(&f, NULL);
	const struct finding *x = late(&f);
	cr_assert_not_null(x);
	cr_assert_eq(x->saving.peak_bytes, 1740000);
	cr_assert_eq(x->saving.allocs, 0);
	cr_assert_eq(x->group->totals.peak_count, 1000);
	cr_assert_not_null(strstr(x->fix_line, "when seal is done"), "%s", x->fix_line);
	cr_assert_eq(x->confidence, CONFIDENCE_MEDIUM);
	fixture_release(&f);
}

/*
 * The last phase starts at the peak and frees the texts on its way: at its highest, just after its start, they are there
 * still. Half-way they are half gone, and so little is in use then that it does not matter.
 */
Test(late_release, freed_long_after_the_peak)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	uint32_t b[5];

	load_sources(s, b);
	uint32_t emit = synth_bucket(s, synth_call(s, 0, "app::emit"), 3000000);
	synth_mark(s, "emit", "", 400000);
	synth_alloc(s, emit, 0, 1, 3000000);
	synth_mark(s, "close", "", 410000);
	synth_point(s, 411000);
	for (int i = 0; i < 5; i++)
		synth_free(s, b[i], 0, 200, sizes[i]);
	synth_free(s, emit, 0, 1, 3000000);
	synth_point(s, 500000);
	s->header.last_ticks = s->header.start_ticks + 510000;
	s->header.last_ns = s->header.start_ns + 510000;
	fixture_load(&f, NULL);
	const struct finding *x = late(&f);
	cr_assert_not_null(x);
	/* the phase of 100,000 ticks is at its highest after 1,000: a hundredth is counted as gone by then */
	cr_assert_float_eq((double)x->saving.peak_bytes, 1740000 * 0.99, 1);
	fixture_release(&f);
}

Test(late_release, dropped_in_time)
{
	struct fixture f;

	synth_init(&f.synth);
	sources(&f.synth, 200000);
	fixture_load(&f, NULL);
	cr_assert_null(late(&f));
	fixture_release(&f);
}

/* As many bytes as long, in objects of one size: others point to them. */
Test(late_release, objects_are_no_payload)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	synth_mark(s, "make", "", 100000);
	synth_hold(s, stack(s, "app::add", "<alloc::boxed::Box<app::Node>>::new"), 1000, 1740);
	synth_mark(s, "seal", "", 200000);
	synth_mark(s, "emit", "", 400000);
	synth_hold(s, synth_call(s, 0, "app::emit"), 1, 3000000);
	fixture_load(&f, NULL);
	cr_assert_null(late(&f));
	fixture_release(&f);
}
