/* SPDX-License-Identifier: MIT */
/*
 * Memory as the catalog's data structures and categories have it, and the sizes of types: all at the peak. What a
 * group belongs to is the catalog's to say (struct catalog_category); sizes of types come from the blocks.
 */
#ifndef HEAPTALLY_INVENTORY_H
#define HEAPTALLY_INVENTORY_H

#include "catalog.h"
#include "evidence.h"

#define INVENTORY_OTHER "other" /* the category of what no row claims */

struct structure {
	const char *name, *category;
	uint64_t count;      /* items: see catalog_category.counts */
	uint64_t peak_bytes; /* all that belongs to it, parts that are not counted included */
	double item_bytes;   /* bytes of what is counted by item; 0: nothing is counted */
	uint64_t low_bytes, high_bytes; /* smallest and largest item counted */
	/* The count is what the buffers have room for: how many items are in them is not known. */
	bool room;
	enum container container; /* of most of its bytes */
	uint32_t n_groups;
};

struct category {
	const char *name;
	uint64_t peak_bytes, count; /* blocks */
};

struct layout_member {
	char *name;
	uint64_t offset_bytes, bytes;
};

/* As DWARF has it; see layouts.h. No members: not known. */
struct layout {
	struct layout_member *members; /* by offset */
	uint32_t n_members;
	uint64_t bytes, padding_bytes; /* the struct's, and of those in no member */
};

/* A type and its size, as told by blocks that hold one (Box, Arc) or by how many-item blocks grow. */
struct type_size {
	const char *type;
	enum container container;
	uint64_t bytes;      /* size_of::<T>(); of a map, its entry */
	uint64_t count;      /* at the peak: in boxes, or as many as there is room for */
	uint64_t peak_bytes; /* of the blocks */
	bool room;
	struct layout layout;
};

struct inventory {
	struct structure *structures; /* most bytes first */
	struct category *categories;  /* likewise, "other" last */
	struct type_size *types;      /* most bytes first */
	uint32_t n_structures, n_categories, n_types;
	uint64_t peak_bytes;
};

/* Names are owned by catalog and evidence. 0 or -1: out of memory. */
int inventory_init(
	struct inventory *t, const struct evidence *v, const struct catalog *c, struct error *e);
void inventory_release(struct inventory *t);

/* The catalog's row for a group, or NULL. */
const struct catalog_category *inventory_category(
	const struct evidence *v, const struct catalog *c, const struct group *g);
/* Does a group match? Empty lists match all. */
bool inventory_match(const struct evidence *v, const struct group *g,
	const struct catalog_globs *types, const struct catalog_globs *functions,
	const struct catalog_globs *methods);

/* NULL: no allocation belongs to it. */
const struct structure *inventory_structure(const struct inventory *t, const char *name);

#endif
