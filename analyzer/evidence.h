/* SPDX-License-Identifier: MIT */
/*
 * What patterns look at: groups. A group is all that one statement of the source allocates: the buckets that have in
 * common the blame function, the call in it, the container method called there, the element type and the container.
 * Monomorphisations of a generic function are one function; of what they differ in, a group has what the bucket of most
 * bytes at the peak has.
 * Without names (release bindings) every call-site's address is a statement of its own and the container is unknown, but
 * for what is called there being told by a container's source file; all that needs no names is there as well.
 *
 * Read-only once made. Everything is owned by the evidence; the profile must outlive it. Fields that say "0: unknown"
 * are 0 where the tally's version or options did not record them: a pattern then does without or finds nothing.
 */
#ifndef HEAPTALLY_EVIDENCE_H
#define HEAPTALLY_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "phases.h"
#include "profile.h"

enum container {
	CONTAINER_UNKNOWN = 0, /* no names */
	CONTAINER_OTHER, /* names, but no container's method among them: inlined, or the allocator called at once */
	CONTAINER_BOX,
	CONTAINER_ARC,     /* Rc, Arc, triomphe's */
	CONTAINER_VEC,     /* and VecDeque, SmallVec spilled ... */
	CONTAINER_STRING,  /* text: String, Vec<u8>, Arc<str>, or any buffer of alignment 1 */
	CONTAINER_TABLE,   /* hashbrown's: HashMap, HashSet, an IndexMap's indices */
	CONTAINER_SHARDED, /* DashMap, DashSet: whatever is below one of its methods */
	CONTAINER_BTREE,   /* its nodes */
	CONTAINER_N
};
const char *container_name(
	enum container c); /* "Vec", "hash table" … for people; "?" for the unknown */

/* realloc steps, added up */
struct steps {
	uint64_t count;
	uint64_t from_bytes, to_bytes; /* requested before and after */
	uint64_t moved, copied_bytes;
};

/* Buffers that started in the group (realloc chains and those never reallocated), by the size they had last. */
struct ending {
	uint16_t size_class;
	uint64_t
		bytes; /* the greatest request seen in that class: the exact size where it was one */
	uint64_t count;  /* buffers that ended, or stand, in this class */
	uint64_t grown;  /* of those, larger than when they started */
	uint64_t shrunk; /* of those, reallocated and not larger */
	uint64_t
		grows; /* reallocs made by the grown ones; for those alive, as many as the ended ones made, or else
				  one for each doubling */
	uint64_t
		copied_bytes; /* by growing reallocs that arrived in this class, on the way or to stay */
};

struct group {
	/* where */
	uint32_t blame; /* function */
	uint32_t line;  /* of the call in the blame function's file; 0: unknown */
	uint16_t
		module; /* with line 0 the calls of one kind in a function are told apart by address: */
	uint64_t
		address; /* return address of the frame that holds the blame frame, less the module's bias */
	uint32_t
		method; /* function that the blame frame called, e.g. RawVec::grow_one; PROFILE_NONE: the allocator */
	uint32_t
		caller; /* next function out that is neither plumbing nor the blame function; PROFILE_NONE: none */
	uint32_t
		clone; /* outermost of the Clone::clone frames nearest to the allocation; PROFILE_NONE: none */
	const uint32_t *
		calls; /* functions from `method` inwards to the allocator; the outermost ones of many */
	uint32_t n_calls;

	/* what */
	enum container container;
	const char *element; /* T as the names have it, "K, V" for maps; "": unknown */
	/* size_of T, where a Vec's first growth, a table's sizes or a builtin type tell; 0: unknown. Outlined functions of types of one
	 * layout are often merged by the linker, which keeps one name: the size of T is safer than its name. */
	uint32_t element_bytes;
	uint8_t align; /* as struct ht_bucket; 0: not told, or it differs */
	bool named;    /* the blame frame has a name */

	/* its buckets: evidence.bucket_order[first_bucket …), ascending by size class */
	uint32_t first_bucket, n_buckets;

	/* how much */
	struct totals totals;
	uint64_t min_bytes, max_bytes; /* requests; equal: fixed size */
	uint64_t p50_bytes, p99_bytes; /* of requests, allocations and reallocs, by size class */
	uint64_t slack_bytes;          /* usable less requested, over the run */

	/* how long: of freed blocks, chains from their first allocation */
	uint64_t lifetime_mean_ns;

	/* reallocs: steps from and to its buckets, and buffers that started here (see ending) */
	struct steps out, in;
	const struct ending *endings; /* ascending by size class, those with something in them */
	uint32_t n_endings;
	struct ending all; /* their sums */

	/* when: live bytes at each point of the timeline, header.n_points of them; NULL: not followed, too small */
	const int64_t *curve;

	/* live bytes at the end of each phase, evidence.phases.n of them; NULL where there is one phase only */
	const int64_t *phase_ends;

	/* sampled facts; 0: unknown */
	uint64_t filled_bytes,
		unwritten_bytes; /* fresh memory filled with a pattern; still that at free */
};

struct evidence {
	const struct profile *profile;
	struct phases phases;
	struct group *groups; /* most bytes at the peak first, then most requested */
	uint32_t n_groups;
	uint32_t *bucket_order; /* bucket numbers by group */
	uint32_t *bucket_group; /* group of each bucket; PROFILE_NONE for one without events */
	/* JavaScript modules built, as the greatest "modules=" of the marks says; 0: unknown. The command's user may know. */
	uint64_t modules;

	/* private */
	struct evidence_names *names;
	struct ending *endings;
	uint32_t *calls;
	int64_t *curves, *phase_ends;
};

/* Nanoseconds of a tick of the tally's clock; 0: not known. */
double evidence_tick_ns(const struct tally *t);

/* 0 or -1 (out of memory). */
int evidence_init(struct evidence *v, const struct profile *p, struct error *e);
void evidence_release(struct evidence *v);

/* "" where there is none. */
const char *evidence_file(const struct evidence *v, const struct group *g);
const char *evidence_crate(const struct evidence *v, const struct group *g);

/* T's name is that of a function of its own, outlined: it stands for all types that are laid out alike. */
bool group_may_be_merged(const struct group *g);

/* Size that `percent` of the group's buffers do not exceed at their end, 0 without any. */
uint64_t group_ending_bytes(const struct group *g, double percent);

#endif
