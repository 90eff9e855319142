/* SPDX-License-Identifier: MIT */
/*
 * hashbrown's tables, told by the sizes of their allocations. A table of b buckets (a power of two, 4 at least) is one
 * block: b entries rounded up to 16 bytes, b control bytes and 16 more (hashbrown/src/raw, TableLayout; groups of SSE2).
 * It grows when 7/8 of the buckets are full, from 4 and 8 buckets when one is left.
 */
#ifndef HEAPTALLY_PATTERNS_TABLE_LAYOUT_H
#define HEAPTALLY_PATTERNS_TABLE_LAYOUT_H

#include "../evidence.h"

#define TABLE_SIZES_MAX 40u

/* All tables of one size. */
struct table_size {
	uint64_t bytes, buckets;
	uint64_t made;
	uint64_t at_peak; /* live then */
};

struct table_family {
	uint64_t entry_bytes; /* as the layout has it: up to 15 / 4 more than size_of::<(K, V)>() */
	struct table_size sizes[TABLE_SIZES_MAX]; /* ascending */
	uint32_t n;
};

uint64_t table_bytes(uint64_t buckets, uint64_t entry_bytes);
/* Entries that a table of so many buckets holds before it grows. */
uint64_t table_entries(uint64_t buckets);

/*
 * Are all blocks of the group tables of one entry type, some of them of 4 or 8 buckets? Without names it takes the
 * alignment too, which only adopted allocators are told. False: no, or they cannot be told apart.
 */
bool tables_read(struct table_family *out, const struct evidence *v, const struct group *g);

/* Does a call between the blame frame and the allocator have this in its name? */
bool group_calls(const struct evidence *v, const struct group *g, const char *part);

/* What a map is in the source, as far as the names tell. */
struct map_names {
	char map[16];        /* "HashMap", "HashSet", "IndexMap", "DashMap", "BTreeMap" … */
	char arguments[160]; /* "K, V", "K" of a set; "_, _": unknown */
	char entry[168];     /* "(K, V)", "K" */
};
void map_names_read(struct map_names *to, const struct evidence *v, const struct group *g);

#endif
