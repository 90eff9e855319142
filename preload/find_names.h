/* SPDX-License-Identifier: MIT */
/* What a linker name says about a role. Pure. */
#ifndef HEAPTALLY_FIND_NAMES_H
#define HEAPTALLY_FIND_NAMES_H

#include "find_elf.h"

/*
 * Calls found() for every defined function with a known name: those of allocators, or with `shims` those that rustc
 * makes (__rust_alloc, __rg_alloc, both also with v0's crate path), which may lead to any allocator.
 */
void find_names(const struct elf_symbols *symbols, bool shims,
	void (*found)(void *arg, const char *name, enum find_role role, enum find_shape shape,
		uint64_t function),
	void *arg);

#endif
