/* SPDX-License-Identifier: MIT */
/*
 * An x86-64 ELF image read through its program headers alone, so that a file and a loaded module look the same.
 * Section headers and .symtab exist in a file only. Nothing in the image is trusted. Pure.
 */
#ifndef HEAPTALLY_FIND_ELF_H
#define HEAPTALLY_FIND_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "find.h"

/* A part of the image that is in memory now. */
struct elf_range {
	const uint8_t *bytes;
	uint64_t vaddr;
	size_t n;
};

struct elf_symbols {
	const Elf64_Sym *symbols;
	size_t n;
	const char *strings;
	size_t n_strings;
};

enum { ELF_MAX_LOADS = 16 };

struct elf_view {
	struct elf_range loads[ELF_MAX_LOADS]; /* readable PT_LOADs: what the file holds of them */
	uint32_t flags[ELF_MAX_LOADS];
	unsigned n_loads;
	uint64_t low, high; /* vaddrs, over all PT_LOADs with their zeroed tails */
	const Elf64_Rela *rela, *jmprel;
	size_t n_rela, n_jmprel;
	const uint64_t *relr;
	size_t n_relr;
	struct elf_symbols dynamic, full; /* .dynsym; .symtab, empty unless the file is at hand */
	struct elf_range frames; /* .eh_frame, guessed from its header to the end of its segment */
	uint64_t frame_hdr;      /* vaddr of .eh_frame_hdr, 0 for none */
	uint64_t relro, relro_bytes;
	const uint8_t *build_id;
	size_t n_build_id;
	uint64_t relr_bias;   /* what the loader has added to the pointers that relr names */
	bool program;         /* names an interpreter */
	bool has_relocations; /* a dynamic image: pointers in its data are made by the loader */
};

/* 0, or -1 with a sentence in *why. */
int elf_open(struct elf_view *view, const struct find_image *image, const char **why);
/* The bytes from vaddr on, at least n of them; NULL when the image has not that many there. */
const uint8_t *elf_at(const struct elf_view *view, uint64_t vaddr, size_t n);
bool elf_executable(const struct elf_view *view, uint64_t vaddr);
/* A symbol's name, "" when it has none. */
const char *elf_name(const struct elf_symbols *symbols, const Elf64_Sym *symbol);
bool elf_same(const char *a, const char *b);
bool elf_starts(const char *name, const char *prefix);

#endif
