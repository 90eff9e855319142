/* SPDX-License-Identifier: MIT */
/*
 * The resolved model that reports, views and patterns read: functions with their crate, stacks as frames with inlined
 * ones in place, and the counters of the buckets rolled up along several axes. Made once from a named tally; read-only
 * afterwards. The tally must outlive the profile.
 */
#ifndef HEAPTALLY_PROFILE_H
#define HEAPTALLY_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "rust.h"
#include "tally.h"

#define PROFILE_NONE UINT32_MAX /* no such function */

enum profile_metric {
	METRIC_PEAK = 0,   /* live bytes at the peak */
	METRIC_BYTES,      /* bytes requested over the run, reallocs with their new size */
	METRIC_COUNT,      /* allocations, reallocs included */
	METRIC_TEMPORARY,  /* allocations freed before the same thread's next one */
	METRIC_LEAKED,     /* bytes live at exit */
	METRIC_N
};

/* "peak", "bytes", … ; NULL past the end. And back: -1 for an unknown word. */
const char *profile_metric_name(enum profile_metric m);
int profile_metric_parse(const char *word);
bool profile_metric_is_bytes(enum profile_metric m);

/* Everything that is added up along an axis. All sums over buckets. */
struct totals {
	uint64_t allocs;	/* fresh allocations */
	uint64_t reallocs;	/* of live pointers, tallied where they arrive */
	uint64_t frees;
	uint64_t alloc_bytes;	/* fresh */
	uint64_t realloc_bytes; /* new sizes of reallocs */
	uint64_t temporary;
	uint64_t foreign_frees;
	int64_t peak_count, peak_bytes;
	int64_t live_count, live_bytes;
	uint64_t usable_bytes; /* of allocations and reallocs */
	uint64_t lives, lifetime_ticks; /* of frees: those that were timed */
	/* samples: calls of the allocator that were timed, what they took, and the squares of that */
	uint64_t timed_calls, timed_ticks;
	double timed_squares;
};
void totals_add(struct totals *to, const struct totals *from);
bool totals_empty(const struct totals *t);
/* How long a block lived on average, in ticks; 0: none was timed. */
static inline double totals_life_ticks(const struct totals *t)
{
	return t->lives ? (double)t->lifetime_ticks / (double)t->lives : 0;
}
/* The value of a metric; negative live values read as 0. */
uint64_t totals_metric(const struct totals *t, enum profile_metric m);
static inline uint64_t at_least_zero(int64_t v)
{
	return v > 0 ? (uint64_t)v : 0;
}

struct profile_function {
	const char *name; /* demangled in full; owned by the tally */
	char *brief;	  /* rust_name_short at 72 columns */
	uint32_t crate;	  /* index into crates */
	uint16_t module;  /* of the first location seen */
	bool plumbing;
	bool container;	 /* a container's method: rust_name.container is not "" */
	bool unnamed;	 /* module+0xoffset, or by source */
	bool by_source;	 /* crate::module::file:line+0xoffset, by the panics in its code */
	bool nameless;	 /* module+0xoffset, where others of the module are by source */
};

/* Is a function better told by one that called it, of its own module? */
static inline bool profile_told_by(
	const struct profile_function *f, const struct profile_function *caller)
{
	return f->nameless && !caller->nameless && caller->module == f->module;
}

struct profile_crate {
	/* The crate; for C++ the outermost namespace; else the module's base name up to ".so" ("libc", "node");
	 * "[jit]" and so on for pseudo frames. */
	char *name;
	bool plumbing; /* all of its functions are */
	struct totals totals; /* of the buckets whose blame frame is in it */
};

/* One bucket with its counters in sum form. Same index as tally.buckets. */
struct profile_bucket {
	uint32_t site;
	/* function; always one: a stack that is all plumbing blames its innermost frame. A nameless one is not blamed
	 * where one of its module called it that is not. */
	uint32_t blame;
	struct totals totals;
};

/* All buckets that have one blame function; those without any event are left out. */
struct profile_blame {
	uint32_t function;
	/* Context. Where the buckets differ, each is the one that most of the peak bytes, then of the bytes, have. */
	uint32_t caller; /* next function out that is neither plumbing nor the blame function; or PROFILE_NONE */
	uint32_t inner;	 /* the plumbing or nameless function that it called, e.g. Vec::push; PROFILE_NONE: the allocator itself */
	uint32_t line;	 /* of that call in the function's file; 0: unknown */
	struct totals totals;
};

struct profile {
	const struct tally *tally;
	/* Same index as tally.functions, then one per enum ht_pseudo ([0] stands for stacks without a frame), then
	 * one for addresses without a location. Pseudo frames are not plumbing. */
	struct profile_function *functions;
	uint32_t n_functions;
	struct profile_crate *crates;
	uint32_t n_crates;
	struct profile_bucket *buckets; /* n = tally->n_buckets */
	struct profile_blame *blames;
	uint32_t n_blames;
	struct totals total;
	struct totals by_class[HT_SIZE_CLASSES];
	/* Not NULL: the figures are of this phase only. See phases_profile. */
	char *phase;

	/* private: see profile_site_frames */
	uint32_t *site_location;
	struct ht_frame pseudo_frames[HT_PSEUDO_COUNT + 1];
};

/* 0 or -1 (out of memory, or a tally without names). plumbing_crates: see rust_name_plumbing. */
int profile_init(struct profile *p, const struct tally *t, const char *const *plumbing_crates, struct error *e);
/* The same with other figures than the tally's counters and regrows: `fill` says what a bucket has. */
int profile_init_with(struct profile *p, const struct tally *t, const char *const *plumbing_crates,
	void (*fill)(void *arg, uint32_t bucket, struct totals *totals), void *arg, struct error *e);
void profile_release(struct profile *p);

/* Frames of one site's own address, innermost (inlined) first, *n of them; none for site 0, else at least one. */
const struct ht_frame *profile_site_frames(const struct profile *p, uint32_t site, uint32_t *n);

/*
 * The stack of a site, innermost frame first, inlined frames in place, pseudo frames included as functions of their
 * own. Returns how many frames there are and writes the first `max` of them.
 */
struct profile_frame {
	uint32_t function;
	uint32_t line;
};
uint32_t profile_stack(const struct profile *p, uint32_t site, struct profile_frame *frames, uint32_t max);

/*
 * The call tree for flame graphs: node 0 is the root ("all"); children of a node are the functions called from it.
 * Nodes with the same parent and function are one. With fold_plumbing, frames that are plumbing are left out, and
 * nameless ones below a frame of their module that is not, except that what the innermost other frame called stays as
 * the leaf, so that it still shows what was allocated: the innermost container's method (Vec, HashMap, Box, String …) or
 * else the innermost frame. Recursion is kept.
 * Parents have smaller indices than children; siblings are in no particular order. Stacks without a frame are the
 * root's own. -1: out of memory or more than 2^23 nodes.
 */
struct profile_node {
	uint32_t parent;
	uint32_t function;
	uint32_t first_child, next_sibling; /* 0: none */
	struct totals self;
	struct totals total; /* self and all below */
};
struct profile_tree {
	struct profile_node *nodes;
	uint32_t n_nodes;
};
int profile_tree_init(struct profile_tree *tree, const struct profile *p, bool fold_plumbing, struct error *e);
void profile_tree_release(struct profile_tree *tree);

#endif
