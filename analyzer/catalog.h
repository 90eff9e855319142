/* SPDX-License-Identifier: MIT */
/*
 * The catalog: which crates are plumbing, from what on a pattern is worth a finding, how a fix reads, what belongs to
 * which category. Data in TOML: catalog/rust.toml (any Rust program) and catalog/rspack.toml are built in, a file of
 * the user's is merged over them. Names, types and functions are matched by fnmatch(3) globs on demangled names.
 *
 * What may be in a file is what rust.toml has: a user's file changes thresholds and fixes by name and adds rows to the
 * lists. A key that nobody reads is an error, so that a typing error does not pass for a setting.
 */
#ifndef HEAPTALLY_CATALOG_H
#define HEAPTALLY_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct catalog_limit {
	char *name;
	double value;
};

/* A change to the source. {n}, {T} … are filled in for each finding: see patterns/pattern.h. */
struct catalog_fix {
	char *name;
	char *line;       /* in one line */
	char *code;       /* as a few lines of Rust */
	char *assumption; /* under which the saving holds */
};

struct catalog_pattern {
	char *name;
	struct catalog_limit *limits;
	struct catalog_fix *fixes;
	uint32_t n_limits, n_fixes;
};

/* A list of globs. */
struct catalog_globs {
	char **globs;
	uint32_t n;
};

/*
 * What a group belongs to: all criteria that are given must match, of a list any. The first row that matches wins, a
 * user's before the built-in ones. Rows that share a structure's name are one structure.
 */
struct catalog_category {
	char *name;
	char *structure; /* the data structure's name; NULL: none of interest */
	char *counts; /* its items: "blocks" (the default), "items" inside of blocks, or "none": a part of others */
	struct catalog_globs types;      /* of the element type */
	struct catalog_globs functions;  /* of the blame frame */
	struct catalog_globs methods;    /* of the plumbing it called; "" without one */
	struct catalog_globs containers; /* as container_name() has them */
};

/*
 * A figure or statement of a document, to be held against a tally. What is measured:
 *   size     bytes of one item of the structure          count   its items
 *   bytes    all it holds at the peak                    share   of the peak, by the category
 *   category bytes at the peak of a category             peak    bytes at the peak
 *   pattern  is there such a finding (pattern, function, type); `value` is bytes at the peak that it would save
 *   present  is there such an allocation (function, type, container), per_module times at least
 *   allocs   allocations over the run (function, type, container)
 * count, bytes, category, peak, allocs and value are for claim_modules modules.
 */
struct catalog_claim {
	char *section, *says;
	char *measure;
	char *structure, *category, *pattern;
	struct catalog_globs types, functions, methods;
	char *container; /* what the document says it is */
	double value;    /* 0: the document gives none */
	double per_module;
};

/* A place in the source that has a name which no tally can know: a variable, a field. */
struct catalog_place {
	char *function; /* glob of the blame frame */
	char *method;   /* glob of the plumbing it called */
	char *type;     /* glob of the element type */
	char *name;     /* what the source calls it */
	char *section;  /* of the document */
};

struct catalog {
	const char **plumbing; /* NULL-terminated, for profile_init */
	struct catalog_pattern *patterns;
	struct catalog_category *categories;
	struct catalog_place *places;
	struct catalog_claim *claims;
	uint32_t n_plumbing, n_patterns, n_categories, n_places, n_claims;
	double claim_modules;   /* for so many modules claims are made */
	double claim_tolerance; /* a claim holds up to this factor */
	/* What estimates of time take: see patterns/ranking.h. */
	double alloc_ns, copy_ns_per_byte;

	/* private: which file is being read; the built-in ones may add what a user's may only change */
	const char *source;
	bool built_in;
};

/* path: a user's file, or NULL. On -1 *c needs no release and *e reads "file:line: what is wrong". */
int catalog_init(struct catalog *c, const char *path, struct error *e);
void catalog_release(struct catalog *c);

/* NULL: not in the catalog. */
const struct catalog_pattern *catalog_pattern(const struct catalog *c, const char *name);
const struct catalog_limit *catalog_limit(const struct catalog_pattern *p, const char *name);
const struct catalog_fix *catalog_fix(const struct catalog_pattern *p, const char *name);

/* Does any of the globs match? */
bool catalog_match(const struct catalog_globs *g, const char *name);

/* The built-in plumbing crates; NULL-terminated, lives as long as the program. NULL only without memory. */
const char *const *catalog_plumbing(void);

#endif
