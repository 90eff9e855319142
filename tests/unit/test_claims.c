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
#include "synth.h"

struct fixture {
	struct synth synth;
	struct tally tally;
	struct profile profile;
	struct evidence evidence;
	struct catalog catalog;
	struct findings findings;
	struct inventory inventory;
	struct claims claims;
};

static uint32_t stack(struct synth *s, const char *blame, const char *method)
{
	return synth_call(s, synth_call(s, synth_call(s, 0, "app::main"), blame), method);
}

static void fixture_load(struct fixture *f, const char *toml)
{
	char path[] = "/tmp/claims-XXXXXX";
	struct error e = {""};
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, toml, strlen(toml)), (ssize_t)strlen(toml));
	close(fd);
	cr_assert_eq(catalog_init(&f->catalog, path, &e), 0, "%s", e.text);
	unlink(path);
	synth_tally(&f->synth, &f->tally);
	cr_assert_eq(
		profile_init(&f->profile, &f->tally, f->catalog.plumbing, &e), 0, "%s", e.text);
	cr_assert_eq(evidence_init(&f->evidence, &f->profile, &e), 0, "%s", e.text);
	cr_assert_eq(patterns_find(&f->findings, &f->evidence, &f->catalog, NULL, 0, &e), 0, "%s",
		e.text);
	cr_assert_eq(inventory_init(&f->inventory, &f->evidence, &f->catalog, &e), 0, "%s", e.text);
	cr_assert_eq(
		claims_init(&f->claims, &f->evidence, &f->catalog, &f->inventory, &f->findings, &e),
		0, "%s", e.text);
}

static void fixture_release(struct fixture *f)
{
	claims_release(&f->claims);
	inventory_release(&f->inventory);
	findings_release(&f->findings);
	evidence_release(&f->evidence);
	profile_release(&f->profile);
	tally_release(&f->tally);
	synth_release(&f->synth);
	catalog_release(&f->catalog);
}

static const struct claim *claim(const struct fixture *f, const char *says)
{
	for (uint32_t i = 0; i < f->claims.n; i++)
		if (!strcmp(f->claims.rows[i].claim->says, says))
			return &f->claims.rows[i];
	cr_assert_fail("no claim '%s'", says);
	return NULL;
}

static const struct group *group_of(const struct fixture *f, const char *blame)
{
	for (uint32_t i = 0; i < f->evidence.n_groups; i++)
		if (!strcmp(f->profile.functions[f->evidence.groups[i].blame].name, blame))
			return &f->evidence.groups[i];
	cr_assert_fail("no group of %s", blame);
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
	synth_alloc(s, synth_bucket(s, table, 84), 0, 1, 84);
	synth_alloc(s, synth_bucket(s, table, 1104), 0, 1, 1104);
	synth_alloc(s, synth_bucket(s, synth_call(s, 0, "app::rest"), 36000), 0, 1, 36000);
}

Test(claims, verdicts)
{
	struct fixture f;

	synth_init(&f.synth);
	graph(&f.synth);
	synth_mark(&f.synth, "done", "chunks=9&modules=2000", 500);
	fixture_load(&f, catalog);
	cr_assert_eq(f.evidence.modules, 2000);
	cr_assert_float_eq(f.claims.scale, 0.5, 1e-9);

	cr_assert_eq(claim(&f, "size")->verdict, VERDICT_HOLDS); /* 48 of 50 */
	cr_assert_eq(claim(&f, "size")->value, 48);
	cr_assert_eq(claim(&f, "count")->verdict, VERDICT_OFF);
	cr_assert_float_eq(claim(&f, "count")->factor, 3, 1e-9);
	cr_assert_eq(claim(&f, "gone")->verdict, VERDICT_NOT_VISIBLE);
	cr_assert_not(claim(&f, "gone")->measured);
	cr_assert_float_eq(claim(&f, "edges")->value, 34.5, 1e-9);
	cr_assert_not_null(strstr(claim(&f, "edges")->why, "room for"));
	cr_assert_eq(claim(&f, "share")->verdict, VERDICT_HOLDS);
	cr_assert_float_eq(claim(&f, "share")->value, 145188.0 / 181188, 1e-9);
	cr_assert_eq(claim(&f, "peak")->verdict, VERDICT_OFF);
	cr_assert_float_eq(claim(&f, "peak")->value, 181188.0 / 2, 1e-9);
	cr_assert_eq(claim(&f, "a map")->verdict, VERDICT_CHANGED);
	cr_assert_not_null(strstr(claim(&f, "a map")->why, "Box"));
	cr_assert_eq(claim(&f, "a box")->verdict, VERDICT_HOLDS);
	cr_assert_eq(claim(&f, "boxes per module")->verdict, VERDICT_CHANGED); /* 1.5 */
	cr_assert_eq(claim(&f, "regrowth")->verdict, VERDICT_CHANGED);
	cr_assert_eq(f.claims.verdicts[VERDICT_HOLDS] + f.claims.verdicts[VERDICT_OFF] +
			     f.claims.verdicts[VERDICT_CHANGED] +
			     f.claims.verdicts[VERDICT_NOT_VISIBLE],
		f.claims.n);
	fixture_release(&f);
}

Test(claims, without_names_nothing_is_judged)
{
	struct fixture f;

	synth_init(&f.synth);
	synth_alloc(&f.synth, synth_bucket(&f.synth, synth_call(&f.synth, 0, "other::f"), 48), 0, 3,
		48);
	fixture_load(&f, catalog);
	cr_assert_eq(claim(&f, "size")->verdict, VERDICT_NOT_VISIBLE);
	cr_assert_not_null(strstr(claim(&f, "size")->why, "no symbols"));
	cr_assert_eq(claim(&f, "a box")->verdict, VERDICT_NOT_VISIBLE);
	fixture_release(&f);
}

Test(inventory, structures_categories_types)
{
	struct fixture f;

	synth_init(&f.synth);
	graph(&f.synth);
	fixture_load(&f, catalog);
	const struct inventory *t = &f.inventory;
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
	fixture_release(&f);
}

/* Of the words only some are allowed, and the error says which line. */
Test(claims, a_wrong_measure_is_refused)
{
	static const char toml[] =
		"[[claim]]\nsection = \"s\"\nsays = \"x\"\nmeasure = \"weight\"\n";
	char path[] = "/tmp/claims-XXXXXX";
	struct catalog c;
	struct error e = {""};
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, toml, strlen(toml)), (ssize_t)strlen(toml));
	close(fd);
	cr_assert_eq(catalog_init(&c, path, &e), -1);
	unlink(path);
	cr_assert_not_null(strstr(e.text, ":4: measure cannot be 'weight'"), "%s", e.text);
}

/* A leaf of 11 keys of 8 and values of 128 bytes: 8 + 2 + 2, to 16, and 11 * 136 = 1,512. */
Test(evidence, items_of_tables_and_trees)
{
	struct fixture f;
	struct synth *s = &f.synth;

	synth_init(s);
	uint32_t site = stack(s, "app::tree",
		"<alloc::boxed::Box<alloc::collections::btree::node::LeafNode<u64, "
		"app::V>>>::new_uninit_in");
	synth_alloc(s, synth_bucket(s, site, 1512), 0, 5, 1512);
	/* one table of 2^14 buckets of 104 bytes */
	site = stack(s, "app::table", "<hashbrown::raw::RawTable<(u64, app::W)>>::reserve_rehash");
	synth_alloc(s, synth_bucket(s, site, 16384 * 105 + 16), 0, 1, 16384 * 105 + 16);
	fixture_load(&f, "");
	cr_assert_eq(group_of(&f, "app::tree")->container, CONTAINER_BTREE);
	cr_assert_str_eq(group_of(&f, "app::tree")->element, "u64, app::V");
	cr_assert_eq(group_of(&f, "app::tree")->element_bytes, 136);
	cr_assert_eq(group_of(&f, "app::table")->element_bytes, 104);
	fixture_release(&f);
}

/* f::<A> and f::<B> are one function: its first calls are one statement, its second ones another. */
Test(evidence, monomorphisations_are_one)
{
	static const char push[] = "<alloc::string::String>::push_str";
	struct fixture f;
	struct synth *s = &f.synth;

	synth_init(s);
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
		synth_alloc(s, synth_bucket(s, site, 32), 0, calls[i].count, 32);
	}
	fixture_load(&f, "");
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
static void sources(struct synth *s, uint64_t free_at)
{
	static const uint64_t sizes[] = {1000, 1200, 1500, 2000, 3000};
	uint32_t site = stack(s, "app::load", "<alloc::string::String>::with_capacity"), b[5];

	synth_mark(s, "make", "", 100000);
	for (int i = 0; i < 5; i++) {
		b[i] = synth_bucket(s, site, sizes[i]);
		synth_alloc(s, b[i], 0, 200, sizes[i]);
	}
	synth_mark(s, "seal", "", 200000);
	for (int i = 0; i < 5 && free_at == 200000; i++)
		synth_free(s, b[i], 0, 200, sizes[i]);
	synth_mark(s, "emit", "", 400000);
	synth_alloc(s, synth_bucket(s, synth_call(s, 0, "app::emit"), 3000000), 0, 1, 3000000);
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
	fixture_load(&f, "");
	const struct finding *x = late(&f);
	cr_assert_not_null(x);
	cr_assert_eq(x->saving.peak_bytes, 1740000);
	cr_assert_eq(x->saving.allocs, 0);
	cr_assert_eq(x->group->totals.peak_count, 1000);
	cr_assert_not_null(strstr(x->fix_line, "when seal is done"), "%s", x->fix_line);
	cr_assert_eq(x->confidence, CONFIDENCE_MEDIUM);
	fixture_release(&f);
}

Test(late_release, dropped_in_time)
{
	struct fixture f;

	synth_init(&f.synth);
	sources(&f.synth, 200000);
	fixture_load(&f, "");
	cr_assert_null(late(&f));
	fixture_release(&f);
}

/* As many bytes as long, in objects of one size: others point to them. */
Test(late_release, objects_are_no_payload)
{
	struct fixture f;
	struct synth *s = &f.synth;

	synth_init(s);
	synth_mark(s, "make", "", 100000);
	synth_alloc(s,
		synth_bucket(s, stack(s, "app::add", "<alloc::boxed::Box<app::Node>>::new"), 1740),
		0, 1000, 1740);
	synth_mark(s, "seal", "", 200000);
	synth_mark(s, "emit", "", 400000);
	synth_alloc(s, synth_bucket(s, synth_call(s, 0, "app::emit"), 3000000), 0, 1, 3000000);
	fixture_load(&f, "");
	cr_assert_null(late(&f));
	fixture_release(&f);
}
