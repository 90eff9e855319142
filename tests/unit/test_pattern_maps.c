/* SPDX-License-Identifier: MIT */
/*
 * Patterns about maps, and churn, against tallies made by hand: map-regrowth, map-per-object, tiny-map. Sizes of tables are
 * worked out from hashbrown's layout in the comments; what is like the pattern and is none stands beside it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../analyzer/patterns/table_layout.h"
#include "fixture.h"

#define MAP    "hashbrown::map::HashMap<app::Key, app::Value, app::Hasher>"
#define TABLE  "hashbrown::raw::RawTable<(app::Key, app::Value)>"
#define REHASH "<" TABLE ">::reserve_rehash"
#define DASH   "dashmap::DashMap<app::Key, app::Value, app::Hasher>"
#define TREE   "alloc::collections::btree::map::BTreeMap<app::Key, app::Value>"

static uint32_t insert(struct synth *s, const char *blame)
{
	return STACK(s, "app::main", blame, "<" MAP ">::insert", REHASH);
}

static uint32_t bucket(struct synth *s, uint32_t site, uint64_t bytes, uint8_t align)
{
	struct ht_bucket b = {
		.site = site, .size_class = (uint16_t)ht_size_class(bytes), .align = align};

	for (uint32_t i = 1; i < s->tables[HT_SEC_BUCKETS].n; i++)
		if (memcmp(synth_at(s, HT_SEC_BUCKETS, i), &b, sizeof(b)) == 0)
			return i;
	return synth_add(s, HT_SEC_BUCKETS, &b);
}

/* `count` tables that grow through the sizes one after the other and stay. */
static void grow(struct synth *s, uint32_t site, uint8_t align, uint32_t count,
	const uint64_t *sizes, uint32_t n)
{
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < n; k++) {
			synth_alloc(s, bucket(s, site, sizes[k], align), 0, 1, sizes[k]);
			if (k)
				synth_free(s, bucket(s, site, sizes[k - 1], align), 0, 1,
					sizes[k - 1]);
		}
}

/* Entries of 24 bytes: 4 buckets take 96 + 4 + 16, 8 take 192 + 8 + 16, then 384 + 16 + 16 and 768 + 32 + 16. */
static const uint64_t of_24[] = {116, 216, 416, 816};

Test(table_layout, sizes_and_room)
{
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(table_bytes(4u << i, 24), of_24[i]);
	cr_assert_eq(table_bytes(4, 17), 80 + 4 + 16); /* 68 rounded up to 80 */
	cr_assert_eq(table_bytes(8, 1), 16 + 8 + 16);  /* 8 to 16 */
	cr_assert_eq(table_entries(4), 3);
	cr_assert_eq(table_entries(8), 7);
	cr_assert_eq(table_entries(16), 14);
	cr_assert_eq(table_entries(1024), 896);
}

/*
 * 200 tables end with 16 buckets, 300 with 32. Steps: 500 from 4, 500 from 8, 300 from 16. When they step there are 3, 7 and
 * 14 entries in them: (500 * 3 + 500 * 7 + 300 * 14) * 24 = 220,800 bytes. In the end 200 * 416 + 300 * 816 = 328,000
 * bytes; to begin with 32 buckets, 28 entries, wastes 200 * 400 = 80,000 of them, less than a quarter.
 */
Test(map_regrowth, by_hand)
{
	struct fixture f;

	synth_init(&f.synth);
	grow(&f.synth, insert(&f.synth, "app::fill"), 0, 200, of_24, 3);
	grow(&f.synth, insert(&f.synth, "app::fill"), 0, 300, of_24, 4);
	fixture_load(&f, "map-regrowth");
	const struct finding *x = fixture_only(&f, "app::fill");
	cr_assert_eq(fixture_figure(x, "tables"), 500);
	cr_assert_eq(fixture_figure(x, "steps"), 1300);
	cr_assert_eq(fixture_figure(x, "copied_bytes"), 220800);
	cr_assert_eq(fixture_figure(x, "entry_bytes"), 24);
	cr_assert_eq(fixture_figure(x, "capacity"), 28);
	cr_assert_eq(fixture_figure(x, "waste_bytes"), 80000);
	cr_assert_eq(x->saving.allocs, 1300);
	cr_assert_eq(x->saving.copied_bytes, 220800);
	cr_assert_eq(x->saving.peak_bytes, 0);
	cr_assert_not_null(strstr(x->fix_code, "HashMap<Key, Value>"), "%s", x->fix_code);
	cr_assert_not_null(strstr(x->fix_code, "(28, "), "%s", x->fix_code);
	fixture_release(&f);
}

/* One table that is 2^16 buckets large in the end: 14 steps, and 3, 7, 14, 28 … entries moved: 3 + 7 * (2^13 - 1) in all. */
Test(map_regrowth, of_one)
{
	struct fixture f;
	uint64_t sizes[15] = {116, 216};

	synth_init(&f.synth);
	for (uint32_t i = 2; i < 15; i++)
		sizes[i] = (4ull << i) * 25 + 16;
	grow(&f.synth, insert(&f.synth, "app::index"), 0, 1, sizes, 15);
	fixture_load(&f, "map-regrowth");
	const struct finding *x = fixture_only(&f, "app::index");
	cr_assert_eq(fixture_figure(x, "steps"), 14);
	cr_assert_eq(fixture_figure(x, "copied_bytes"), 24 * (3 + 7 * 8191));
	cr_assert_str_eq(x->fix, "exact");
	cr_assert_not_null(strstr(x->fix_code, "57344"), "%s", x->fix_code); /* 7/8 of 65,536 */
	fixture_release(&f);
}

/* The same from 16-byte aligned blocks of a place without a name; blocks of any other alignment are no tables. */
Test(map_regrowth, without_names)
{
	struct fixture f;

	synth_init(&f.synth);
	grow(&f.synth, synth_unnamed(&f.synth, "/opt/bundler.node", 0x100), 5, 500, of_24, 4);
	grow(&f.synth, synth_unnamed(&f.synth, "/opt/bundler.node", 0x200), 4, 500, of_24, 4);
	fixture_load(&f, "map-regrowth");
	cr_assert_eq(f.findings.n, 1);
	const struct finding *x = f.findings.rows[0];
	cr_assert_eq(x->group->address, 0x100);
	cr_assert_eq(fixture_figure(x, "steps"), 1500);
	cr_assert_eq(x->confidence, CONFIDENCE_MEDIUM);
	cr_assert_not_null(x->naming);
	fixture_release(&f);
}

Test(map_regrowth, decoys)
{
	static const uint64_t made[] = {2000, 1500, 1000};
	static const uint64_t other[] = {116, 232, 416};
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	/* reserved before they are filled: none of them is freed for a larger one */
	for (int i = 0; i < 3; i++) {
		synth_hold(s, insert(s, "app::reserves"), made[i], of_24[i]);
		/* made at their sizes, one at a time: each is gone before the next */
		uint32_t with = synth_bucket(s,
			STACK(s, "app::with", "<" MAP ">::with_capacity_and_hasher",
				"<" TABLE ">::with_capacity"),
			of_24[i]);
		for (uint64_t k = 0; k < made[i]; k++) {
			synth_alloc(s, with, 0, 1, of_24[i]);
			synth_free(s, with, 0, 1, of_24[i]);
		}
		/* sizes of no table: 232 has no such rest by 16 as 8 buckets of any T leave */
		synth_hold(s, insert(s, "app::other"), made[i], other[i]);
		synth_free(s, synth_bucket(s, insert(s, "app::other"), other[i]), 0, made[i],
			other[i]);
	}
	/* 999 steps; and 1,500 of 10,000 tables that take one */
	grow(s, insert(s, "app::few"), 0, 333, of_24, 4);
	grow(s, insert(s, "app::mostly_small"), 0, 8500, of_24, 1);
	grow(s, insert(s, "app::mostly_small"), 0, 1500, of_24, 2);
	fixture_load(&f, "map-regrowth");
	fixture_none(&f);
	fixture_release(&f);
}

Test(map_per_object, by_hand)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t made =
		STACK(s, "app::new_module", "<" DASH ">::with_capacity_and_hasher_and_shard_amount",
			"<alloc::vec::Vec<lock_api::RwLock<" TABLE ">>>::with_capacity");
	synth_hold(s, made, 1500, 640); /* 16 of 40 bytes */
	fixture_load(&f, "map-per-object");
	const struct finding *x = fixture_only(&f, "app::new_module");
	cr_assert_eq(fixture_figure(x, "maps"), 1500);
	cr_assert_eq(fixture_figure(x, "shards"), 16);
	cr_assert_eq(fixture_figure(x, "map_bytes"), 640);
	cr_assert_eq(x->saving.peak_bytes, 960000);
	cr_assert_eq(x->saving.allocs, 1500);
	cr_assert_not_null(strstr(x->fix_code, "HashMap<Key, Value>"), "%s", x->fix_code);
	fixture_release(&f);
}

Test(map_per_object, decoys)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

#define NEW(blame) STACK(s, blame, "<" DASH ">::with_capacity_and_hasher_and_shard_amount")
	synth_hold(s, NEW("app::few"), 999, 640);
	synth_hold(s, NEW("app::no_power_of_two"), 1500, 600);
	/* what is put in: a table of 4 entries of 15 bytes, 84 in all */
	synth_hold(s, STACK(s, "app::puts", "<" DASH ">::insert", REHASH), 1500, 640);
	/* without names: cache lines, but gone at once; and lasting, but no cache lines */
	uint32_t task = bucket(s, synth_unnamed(s, "/opt/bundler.node", 0x100), 2048, 8);
	synth_alloc(s, task, 0, 1500, 2048);
	synth_free(s, task, 0, 1500, 2048);
	synth_alloc(
		s, bucket(s, synth_unnamed(s, "/opt/bundler.node", 0x200), 2048, 4), 0, 2000, 2048);
	fixture_load(&f, "map-per-object");
	fixture_none(&f);
	fixture_release(&f);
}

Test(map_per_object, without_names)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	synth_alloc(
		s, bucket(s, synth_unnamed(s, "/opt/bundler.node", 0x100), 2048, 8), 0, 1500, 2048);
	fixture_load(&f, "map-per-object");
	cr_assert_eq(f.findings.n, 1);
	cr_assert_eq(fixture_figure(f.findings.rows[0], "shards"), 16); /* of 128 bytes */
	cr_assert_eq(f.findings.rows[0]->confidence, CONFIDENCE_LOW);
	fixture_release(&f);
}

/* 20,000 Vecs of 1,024 bytes, of which 10 needed more: ln 2,000 = 7.601, 134.7 bytes in the mean. */
Test(map_per_object, reserved_by_hand)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t b = synth_hold(s,
		STACK(s, "app::new_module", "<alloc::vec::Vec<app::Dep>>::with_capacity"), 20000,
		1024);
	synth_chain(s, b, 2048, 10, 10, 0);
	fixture_load(&f, "map-per-object");
	const struct finding *x = fixture_only(&f, "app::new_module");
	cr_assert_str_eq(x->fix, "reserved");
	cr_assert_eq(fixture_figure(x, "grown"), 10);
	cr_assert_float_eq(fixture_figure(x, "mean_bytes"), 134.7, 0.1);
	cr_assert_float_eq((double)x->saving.peak_bytes, 20000 * (1024 - 134.7), 2000);
	cr_assert_eq(x->saving.allocs, 0);
	cr_assert_eq(x->confidence, CONFIDENCE_LOW);
	fixture_release(&f);
}

/* None grew: it may be full. One in ten grew: it mostly is. Too small. Watched: told by padded-or-empty. */
Test(map_per_object, reserved_decoys)
{
	static const struct {
		const char *blame;
		uint64_t bytes, grown, filled_bytes;
	} cases[] = {
		{"app::exact", 1024, 0, 0},
		{"app::outgrown", 1024, 2000, 0},
		{"app::small", 128, 10, 0},
		{"app::watched", 1024, 10, 1 << 20},
	};
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t b = synth_hold(s,
			STACK(s, cases[i].blame, "<alloc::vec::Vec<app::Dep>>::with_capacity"),
			20000, cases[i].bytes);
		synth_counters(s, b, 0)->filled_bytes = cases[i].filled_bytes;
		if (cases[i].grown)
			synth_chain(s, b, 2 * cases[i].bytes, cases[i].grown, cases[i].grown, 0);
	}
	/* not reserved: the first growth from empty, 4 elements */
	uint32_t first = synth_hold(s,
		STACK(s, "app::pushes", "<alloc::raw_vec::RawVec<app::Dep>>::grow_one",
			"alloc::raw_vec::RawVecInner::finish_grow"),
		20000, 1024);
	synth_chain(s, first, 2048, 10, 10, 0);
	fixture_load(&f, "map-per-object");
	fixture_none(&f);
	fixture_release(&f);
}

/*
 * 4,000 tables, of which 32 grow. 0.8% have more than 3 entries: as if each further entry had a chance of 0.2, since
 * 0.2^3 = 0.008. One inline costs a struct 24 + 16 - 32 = 8 bytes, the fifth with more allocates 4 * 24 bytes: of 116 a
 * map saves 116 - 8 - 0.2 * 96 = 88.8, and four allocations of five.
 */
Test(tiny_map, tables_by_hand)
{
	struct fixture f;

	synth_init(&f.synth);
	grow(&f.synth, insert(&f.synth, "app::set_target"), 0, 3968, of_24, 1);
	grow(&f.synth, insert(&f.synth, "app::set_target"), 0, 32, of_24, 2);
	fixture_load(&f, "tiny-map");
	const struct finding *x = fixture_only(&f, "app::set_target");
	cr_assert_eq(fixture_figure(x, "maps"), 3968);
	cr_assert_eq(fixture_figure(x, "outgrown"), 32);
	cr_assert_eq(fixture_figure(x, "table_bytes"), 116);
	cr_assert_eq(fixture_figure(x, "entry_bytes"), 24);
	cr_assert_float_eq(fixture_figure(x, "mean_entries"), 1.25, 1e-6);
	/* one more was small while the last one grew */
	cr_assert_float_eq((double)x->saving.peak_bytes, 3968 * 88.8, 100);
	cr_assert_float_eq((double)x->saving.allocs, 0.8 * 3968, 1);
	cr_assert_str_eq(x->fix, "inline");
	cr_assert_not_null(strstr(x->fix_code, "SmallVec<[(Key, Value); 1]>"), "%s", x->fix_code);
	fixture_release(&f);
}

/* Entries of 48 bytes are too large to be kept inline: 4 * 48 + 20 = 212 bytes against one of 48. */
Test(tiny_map, large_entries_go_to_a_vec)
{
	struct fixture f;
	const uint64_t of_48 = 212;

	synth_init(&f.synth);
	grow(&f.synth, insert(&f.synth, "app::set_target"), 0, 8000, &of_48, 1);
	fixture_load(&f, "tiny-map");
	const struct finding *x = fixture_only(&f, "app::set_target");
	cr_assert_str_eq(x->fix, "exact");
	/* none has outgrown 3, as if one had: 8000^(-1/3) = 1/20 for each further entry, 20/19 in the mean */
	cr_assert_float_eq((double)x->saving.peak_bytes, 8000 * (212 - 48 * 20.0 / 19), 2);
	cr_assert_eq(x->saving.allocs, 0);
	fixture_release(&f);
}

/*
 * Entries of 136 bytes: 11 of them, a parent and two lengths are 1,508, rounded up to 1,512; an inner node has 12
 * children besides. 5 inner nodes may have 60 of the 3,000 leaves. (5 / 2,945)^(1/11) = 0.560: 2.273 entries in the mean,
 * 309.1 bytes.
 */
Test(tiny_map, trees_by_hand)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	uint32_t site = STACK(s, "app::add_export", "<" TREE ">::insert");
	synth_hold(s, site, 3000, 1512);
	synth_hold(s, site, 5, 1608);
	fixture_load(&f, "tiny-map");
	const struct finding *x = fixture_only(&f, "app::add_export");
	cr_assert_eq(fixture_figure(x, "maps"), 2940);
	cr_assert_eq(fixture_figure(x, "node_bytes"), 1512);
	cr_assert_eq(fixture_figure(x, "entry_bytes"), 136);
	cr_assert_float_eq(fixture_figure(x, "mean_entries"), 2.273, 0.001);
	cr_assert_float_eq((double)x->saving.peak_bytes, 2940 * (1512 - 309.1), 500);
	cr_assert_str_eq(x->fix, "tree");
	cr_assert_not_null(strstr(x->fix_code, "BTreeMap<Key, Value>"), "%s", x->fix_code);
	fixture_release(&f);
}

/* Blocks of one size from a place without a name; 8-byte alignment, as an adopted allocator is told. */
static void nodes(struct synth *s, uint64_t offset, uint32_t count, uint64_t bytes, uint8_t align)
{
	synth_alloc(s, bucket(s, synth_unnamed(s, "/opt/bundler.node", offset), bytes, align), 0,
		count, bytes);
}

/*
 * The trees of trees_by_hand, but without names: leaves come from two places, inner nodes from two more nearby. Of 3,000
 * leaves 60 may belong to the 5 inner nodes.
 */
Test(tiny_map, trees_without_names)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	nodes(s, 0x1000, 2600, 1512, 4);
	nodes(s, 0x1800, 400, 1512, 4);
	nodes(s, 0x1900, 2, 1608, 4);
	nodes(s, 0x1f00, 3, 1608, 4);
	/* as large and far away, or not of 8-byte alignment: none of theirs */
	nodes(s, 0x9000, 500, 1512, 4);
	nodes(s, 0x1400, 500, 1512, 5);
	fixture_load(&f, "tiny-map");
	cr_assert_eq(f.findings.n, 1);
	const struct finding *x = f.findings.rows[0];
	cr_assert_eq(x->group->address, 0x1000);
	cr_assert_eq(x->n_more, 3);
	cr_assert_eq(fixture_figure(x, "maps"), 2940);
	cr_assert_eq(fixture_figure(x, "outgrown"), 5);
	cr_assert_eq(fixture_figure(x, "entry_bytes"), 136);
	cr_assert_float_eq((double)x->saving.peak_bytes, 2940 * (1512 - 309.1), 500);
	cr_assert_str_eq(x->fix, "tree");
	cr_assert_eq(x->confidence, CONFIDENCE_LOW);
	cr_assert_not_null(x->naming);
	fixture_release(&f);
}

/* Two structs, 96 bytes apart in size: each pair lacks one thing that leaves and inner nodes have. */
Test(tiny_map, no_trees_without_names)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);
	uint32_t grown, size;

	/* apart in code */
	nodes(s, 0x10000, 3000, 1512, 4);
	nodes(s, 0x11800, 5, 1608, 4);
	/* more than one for two */
	nodes(s, 0x20000, 3000, 1512, 4);
	nodes(s, 0x20100, 1501, 1608, 4);
	/* the larger one first */
	nodes(s, 0x30100, 5, 1608, 4);
	nodes(s, 0x30000, 3000, 1512, 4);
	((struct ht_bucket *)synth_at(s, HT_SEC_BUCKETS,
		 bucket(s, synth_unnamed(s, "/opt/bundler.node", 0x30000), 1512, 4)))
		->first_ticks = 1000;
	/* 32 bytes: a leaf has 24 or 40, with entries of 1 or 2 bytes */
	nodes(s, 0x40000, 30000, 32, 4);
	nodes(s, 0x40100, 5, 128, 4);
	/* of two sizes from one place */
	nodes(s, 0x50000, 3000, 1512, 4);
	nodes(s, 0x50000, 3, 1520, 4);
	nodes(s, 0x50100, 5, 1608, 4);
	/* a buffer that grows */
	nodes(s, 0x60000, 3000, 1512, 4);
	grown = bucket(s, synth_unnamed(s, "/opt/bundler.node", 0x60000), 1512, 4);
	size = bucket(s, synth_unnamed(s, "/opt/bundler.node", 0x60800), 3024, 4);
	synth_realloc(s, grown, size, 0, 1512, 3024);
	nodes(s, 0x60100, 5, 1608, 4);
	/* alone */
	nodes(s, 0x70000, 3000, 1512, 4);
	fixture_load(&f, "tiny-map");
	fixture_none(&f);
	fixture_release(&f);
}

Test(tiny_map, decoys)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	/* a quarter grows */
	grow(s, insert(s, "app::grows"), 0, 3000, of_24, 1);
	grow(s, insert(s, "app::grows"), 0, 1000, of_24, 2);
	/* made with room for 7; too few; gone before the peak */
	synth_hold(s, insert(s, "app::seven"), 4000, 216);
	synth_hold(s, insert(s, "app::few"), 999, 116);
	uint32_t gone = synth_bucket(s, insert(s, "app::gone"), 116);
	for (int i = 0; i < 4000; i++) {
		synth_alloc(s, gone, 0, 1, 116);
		synth_free(s, gone, 0, 1, 116);
	}
	/* one large tree: 4,000 leaves under 600 inner nodes */
	uint32_t site = STACK(s, "app::index", "<" TREE ">::insert");
	synth_hold(s, site, 4000, 1512);
	synth_hold(s, site, 600, 1608);
	fixture_load(&f, "tiny-map");
	fixture_none(&f);
	fixture_release(&f);
}

/* ---- churn ---- */

#define VEC "<alloc::vec::Vec<u8>>::with_capacity"

/* Made and freed one at a time. */
static uint32_t rebuild(struct synth *s, uint32_t site, uint32_t count, uint64_t bytes,
	uint64_t temporary, uint64_t lifetime_ns)
{
	uint32_t b = synth_bucket(s, site, bytes);

	for (uint32_t i = 0; i < count; i++) {
		synth_alloc(s, b, 0, 1, bytes);
		synth_free(s, b, 0, 1, bytes);
	}
	struct ht_counters *c = synth_counters(s, b, 0);
	c->temporary = temporary;
	c->lifetime_ticks = count * lifetime_ns;
	c->lifetimes[0] = count;
	return b;
}

Test(churn, temporary_buffers)
{
	struct fixture f;

	synth_init(&f.synth);
	rebuild(&f.synth, STACK(&f.synth, "app::render", VEC), 30000, 256, 25000, 300);
	fixture_load(&f, "churn");
	const struct finding *x = fixture_only(&f, "app::render");
	cr_assert_eq(fixture_figure(x, "allocs"), 30000);
	cr_assert_eq(fixture_figure(x, "temporary"), 25000);
	cr_assert_eq(fixture_figure(x, "bytes"), 30000 * 256);
	cr_assert_str_eq(x->fix, "buffer");
	cr_assert_eq(x->confidence, CONFIDENCE_HIGH);
	/* 7.68 MB that lived for 300 ns, never two: all but those that stood at the peak */
	cr_assert_geq(x->saving.allocs, 29999);
	cr_assert_eq(x->saving.peak_bytes, 0);
	fixture_release(&f);
}

/* Below any buffer's limit; what is no buffer saves the temporary ones only. */
Test(churn, temporary_objects)
{
	struct fixture f;

	synth_init(&f.synth);
	rebuild(&f.synth, STACK(&f.synth, "app::poll", "alloc::alloc::exchange_malloc"), 40000, 64,
		25000, 300);
	fixture_load(&f, "churn");
	const struct finding *x = fixture_only(&f, "app::poll");
	cr_assert_eq(x->saving.allocs, 25000);
	cr_assert_str_eq(x->fix, "object");
	fixture_release(&f);
}

/* 6,000 of 1,024 bytes for 0.1 ms, with other allocations in between. */
Test(churn, buffers_for_each_object)
{
	struct fixture f;

	synth_init(&f.synth);
	rebuild(&f.synth, STACK(&f.synth, "app::Parser::new", VEC), 6000, 1024, 0, 100000);
	fixture_load(&f, "churn");
	const struct finding *x = fixture_only(&f, "app::Parser::new");
	cr_assert_eq(fixture_figure(x, "temporary"), 0);
	cr_assert_eq(x->confidence, CONFIDENCE_MEDIUM);
	cr_assert_geq(x->saving.allocs, 5999);
	fixture_release(&f);
}

Test(churn, decoys)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	/* kept; too few; mostly kept for a while; alive too long; clones; not Rust; arrived by realloc */
	synth_hold(s, STACK(s, "app::keeps", VEC), 30000, 256);
	rebuild(s, STACK(s, "app::few", VEC), 4999, 1024, 4999, 300);
	rebuild(s, STACK(s, "app::some", "alloc::alloc::exchange_malloc"), 60000, 64, 29000, 300);
	rebuild(s, STACK(s, "app::lasts", VEC), 6000, 1024, 0, 2000000);
	rebuild(s, STACK(s, "app::clones", "<alloc::vec::Vec<u8> as core::clone::Clone>::clone"),
		30000, 256, 30000, 300);
	rebuild(s, STACK(s, "ossl_namemap_name2num", "malloc"), 30000, 16, 30000, 300);
	uint32_t from = synth_bucket(s, STACK(s, "app::starts", VEC), 64);
	uint32_t to =
		synth_bucket(s, STACK(s, "app::grows", "<alloc::vec::Vec<u8>>::reserve"), 128);
	for (int i = 0; i < 30000; i++) {
		synth_alloc(s, from, 0, 1, 64);
		synth_realloc(s, from, to, 0, 64, 128);
		synth_free(s, to, 0, 1, 128);
	}
	synth_counters(s, to, 0)->temporary = 30000;
	fixture_load(&f, "churn");
	fixture_none(&f);
	fixture_release(&f);
}
