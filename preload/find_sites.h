/* SPDX-License-Identifier: MIT */
/* Every call site of a module, by what it calls, and what the code around it says. Pure. */
#ifndef HEAPTALLY_FIND_SITES_H
#define HEAPTALLY_FIND_SITES_H

#include "find_elf.h"

/* A function or a pointer in data that code calls through. Offsets are from the image's lowest address. */
struct target {
	uint32_t offset; /* 0 marks a free place */
	uint32_t first;  /* of its sites, 0 for none */
	uint32_t calls, tails;
	uint32_t loads;    /* mov slot,%reg; of a function: lea function,%reg */
	uint32_t function; /* slot: what it points to, 0 when unknown */
	uint32_t import;   /* slot: 1 + index of the imported symbol */
	uint32_t pointers; /* function: relocated pointers to it, slots too */
};

struct site {
	uint32_t offset, next;
};

struct sites {
	const struct elf_view *view;
	const struct find_memory *memory;
	struct target *targets;
	uint32_t mask, n_targets;
	struct site *sites;
	uint32_t n_sites, max_sites;
	struct site *
		later; /* offset, and the target's offset: counted only where the target is called too */
	uint32_t n_later;
};

int sites_init(struct sites *s, const struct elf_view *view, const struct find_memory *memory);
void sites_release(struct sites *s);
/* NULL when nothing calls it. */
struct target *sites_target(const struct sites *s, uint64_t vaddr);
bool sites_is_slot(const struct sites *s, const struct target *t);

/* Adds up to max sites of one target to the evidence. Counters, not percent, until evidence_close. */
struct evidence_counts {
	uint32_t sites, calls;
	uint32_t rsi_alignment, rsi_small, rsi_set, rdx_alignment, rdx_small, rdx_set, rcx_set;
	uint32_t rdi_immediate, rdi_one, result_tested, result_used;
};
void evidence_add(
	struct evidence_counts *c, const struct sites *s, const struct target *t, uint32_t max);
struct find_evidence evidence_close(const struct evidence_counts *c);
/* How many of its first max calls test their result: a cheap look. *seen: of how many. */
uint32_t evidence_tested(
	const struct sites *s, const struct target *t, uint32_t max, uint32_t *seen);

/* What a function calls or jumps to. */
struct callee {
	uint64_t function; /* 0 for an import */
	uint64_t slot;     /* 0 when called directly */
	const char *import;
};
enum { MAX_CALLEES = 48 };
/* Follows the code from function on, not into calls; returns how many callees. */
size_t sites_callees(const struct sites *s, uint64_t function, struct callee out[MAX_CALLEES]);

/* Bytes of whole instructions at a function's start that may run elsewhere; see struct find_entry. */
unsigned sites_movable(const struct sites *s, uint64_t function, unsigned *fixups);

/*
 * Where a function that only moves arguments and jumps on leads, through several of them. from[i] is the argument
 * of the first that arrives as argument i of the last (0-3), or -1.
 */
struct thunk {
	uint64_t function; /* 0 for an import */
	uint64_t slot;     /* of the last jump, 0 when direct or none */
	const char *import;
	int8_t from[4];
};
struct thunk sites_follow(const struct sites *s, uint64_t function);

#endif
