/* SPDX-License-Identifier: MIT */
/* Every call site of a module, by what it calls. Pure. */
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
	/* calls on their way into the table: their places are being fetched meanwhile */
	struct pending_call {
		uint32_t site, target;
		bool tail;
	} pending[32];
	unsigned n_pending;
};

int sites_init(struct sites *s, const struct elf_view *view, const struct find_memory *memory);
void sites_release(struct sites *s);
/* NULL when nothing calls it. */
struct target *sites_target(const struct sites *s, uint64_t vaddr);
bool sites_is_slot(const struct sites *s, const struct target *t);

#endif
