/* SPDX-License-Identifier: MIT */
/*
 * What the finder works on: the call sites, the slots by the function they hold, and claims, which are functions that
 * may have a role. Pure.
 */
#ifndef HEAPTALLY_FIND_SEARCH_H
#define HEAPTALLY_FIND_SEARCH_H

#include "find_evidence.h"

enum {
	FEWEST_SITES = 4,  /* of a seed */
	NEAR = 192 * 1024, /* an allocator's code, or its part that has entry points */
	MAX_SEEDS = 64,
};

/* A function with a claim to a role. */
struct claim {
	enum find_role role;
	enum find_shape shape;
	uint64_t function; /* that was seen called */
	uint64_t inner;    /* where it leads when it only jumps on */
	enum find_shape inner_shape;
	uint32_t weight;   /* calls of function */
	uint32_t by_shims; /* calls of functions that only jump on to inner */
	bool by_slot;
	uint32_t clients_low, clients_high; /* alloc: its direct calls lie between */
	bool past_slot;                     /* the shim jumps to inner directly */
	bool weak;                          /* to be believed only with help from elsewhere */
	struct find_evidence evidence;
};

struct search {
	struct find_result *result;
	struct sites sites;
	struct elf_view view;
	/* All slots by the function they hold: heads by function are found in the target table's own order. */
	struct target **slots;
	uint32_t n_slots;
};

/* 0, or -1 without memory. */
int search_index(struct search *s);
/* The first slot whose function is not below vaddr. */
uint32_t search_first_slot(const struct search *s, uint64_t vaddr);
/* What a slot holds; of another target, itself. */
uint64_t search_function_of(const struct search *s, const struct target *t);
/* Calls of a function, however it is reached; counts are added up in e where that is wanted. */
uint32_t search_look(const struct search *s, uint64_t function, struct find_evidence *evidence,
	struct find_entry *e);
/* How the arguments of `alloc` look; zeroed ones look the same. */
bool search_alloc_like(const struct find_evidence *v, enum find_shape *shape);
/* (size, flags): the alignment as a logarithm, so 3 for most. */
bool search_flags_like(const struct find_evidence *v);
/* Fills in where the claim leads when it only jumps on. */
struct claim search_inner(const struct search *s, struct claim c);
/* What may be `alloc`, by weight, heaviest first. */
uint32_t search_seeds(const struct search *s, struct claim seeds[MAX_SEEDS]);
uint64_t search_distance(uint64_t a, uint64_t b);

#endif
