/* SPDX-License-Identifier: MIT */
/*
 * Which module an address lies in. Modules are noticed when one of their addresses turns up, or at the latest with
 * modules_scan; each load gets an index of its own in the tally, so that two modules that follow each other at one
 * address stay apart.
 */
#ifndef HEAPTALLY_MODULES_H
#define HEAPTALLY_MODULES_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct module {
	uintptr_t start, end;
	uintptr_t probe; /* an address inside, as it was found */
	uintptr_t bias;
	const uint8_t *frame_header; /* .eh_frame_hdr; NULL when there is none worth the name */
	uint16_t index;		     /* in the tally */
	bool gone;
};

/* For a fresh process image or a forked child. False without memory. */
bool modules_init(void);

/* The loaded module around pc; NULL for code that no module holds. Takes no lock of the loader. */
const struct module *modules_find(uintptr_t pc);

/* Program headers of a loaded module; NULL when they are not in memory. */
const ElfW(Phdr) *modules_headers(const struct module *m, size_t *count);

/* The shim's own module. */
const struct module *modules_self(void);

/* Adds modules that no stack has touched so far, and calls back for each that is loaded. */
void modules_scan(void (*each)(const struct module *m));

/* Marks modules that were unloaded and calls back for each. True when there were any. */
bool modules_sweep(void (*unloaded)(const struct module *m));

/* Adds to the module's mmap account. */
void modules_count_map(uintptr_t caller, uint64_t mapped_bytes, uint64_t unmapped_bytes);

#endif
