/* SPDX-License-Identifier: MIT */
/*
 * Between the files that make the evidence: names read once per function (evidence_names.c), buckets placed by what
 * their stacks say (evidence_place.c), the figures of a group (evidence_figures.c, evidence_endings.c), and all of it
 * put together (evidence.c).
 */
#ifndef HEAPTALLY_EVIDENCE_INTERNAL_H
#define HEAPTALLY_EVIDENCE_INTERNAL_H

#include "evidence.h"

#define EVIDENCE_CALLS 12u

struct evidence_text;

/* An interned string: an element type, or a name without the generics of its call. */
struct element {
	uint32_t id;
	const char *text;
};

/* What a function's name says; read when first met. */
struct function_facts {
	bool read, clone, grows_vec;
	enum container container;
	const struct element *element;
	const struct element *root; /* see names_root */
};

struct evidence_names {
	const struct profile *profile;
	struct function_facts *functions;
	struct evidence_text *texts; /* uthash table */
	const struct element *none;
	uint32_t n_texts;
	bool bad; /* out of memory */
};

int names_init(struct evidence_names *names, const struct profile *p);
void names_release(struct evidence_names *names);
/* Never NULL; "" and names->bad without memory. */
const struct function_facts *names_facts(struct evidence_names *names, uint32_t function);
/*
 * The function as the source has it: monomorphisations of one generic function are one. PROFILE_NONE's is 0; functions
 * without names have their own.
 */
uint32_t names_root(struct evidence_names *names, uint32_t function);
/* size_of::<T>() for T that every Rust program has; 0: unknown. */
uint32_t names_builtin_bytes(const char *element);

/* A bucket, and what makes its group. */
struct placed {
	uint32_t blame, line, method, clone, caller; /* functions, as struct group has them */
	uint16_t module, size_class;
	uint64_t address;
	enum container container;
	const struct element *element;
	uint32_t bucket;
	uint32_t calls[EVIDENCE_CALLS];
	uint32_t n_calls;
	bool grows_vec;
	/* the key, with module, container and element: */
	uint32_t blame_root, method_root, clone_root;
	uint64_t
		statement; /* its line; or which call of its kind in the function; or the address */
};

void place(struct placed *to, struct evidence_names *names, uint32_t bucket);
/* Sorts by group, then size class and bucket. */
void places_sort(struct evidence_names *names, struct placed **order, uint32_t n);
bool places_equal(const struct placed *x, const struct placed *y);

void group_fill(struct evidence *v, struct group *g, bool grows_vec, double tick_ns);
/* -1: out of memory. */
int endings_init(struct evidence *v);
int evidence_phases(struct evidence *v);

static inline uint64_t evidence_less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

#endif
