/* SPDX-License-Identifier: MIT */
/*
 * Between the files that name addresses: ranges of code (symbols_ranges.c), ELF files (symbols_image.c), which of them
 * belong together (symbols_match.c), the names, functions and frames made so far (symbols_names.c), symbol tables
 * (symbols_table.c), DWARF (symbols_dwarf.c), unwind tables (symbols_unwind.c), panics of what has no symbol
 * (symbols_panics.c), all files about one module (symbols_object.c), and the loop over a tally's addresses (symbols.c).
 */
#ifndef HEAPTALLY_SYMBOLS_INTERNAL_H
#define HEAPTALLY_SYMBOLS_INTERNAL_H

#include <elfutils/libdw.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

#define BUILD_ID_BYTES 20u /* as many as a tally keeps */

/* Code from low up to high, which is about item. */
struct range {
	uint64_t low, high;
	uint64_t reach; /* highest high up to here in the sorted table */
	uint32_t item;
};

struct ranges {
	struct range *v;
	size_t n, cap;
};

/* The function made for something, remembered per module: module 0 is none. */
struct made {
	uint32_t function;
	uint32_t module;
};

struct symbol {
	uint32_t name; /* in the string table */
	struct made made;
};

struct subprogram {
	Dwarf_Die die;
	struct made made;
};

struct unit {
	Dwarf_Die die; /* has the line table */
	Dwarf_Die top; /* has the functions: the same, or its split twin */
	struct subprogram *subprograms;
	size_t n, cap;
	struct ranges ranges; /* item: subprogram */
	bool loaded;
};

/* An inlined call in the function looked at last; a call with several ranges is several of these. */
struct inlined {
	uint64_t low, high;
	Dwarf_Die die;
	struct made made;
};

struct image {
	char *path;
	int fd;
	Elf *elf;
	const void *build_id;
	size_t build_id_bytes;
	Elf_Scn *symtab, *dynsym;
	bool dwarf;
};

/* The sorted table of .eh_frame_hdr as in the file: offsets from its own address. */
struct eh_entry {
	int32_t start, fde;
};
struct eh_table {
	const struct eh_entry *entries; /* owned by the image */
	size_t n;
	uint64_t address;
};

/* What is known of one file of code. */
struct object {
	struct image own;                 /* elf is NULL when it cannot be used */
	struct image found[2];            /* by build-id, by debug link */
	const struct image *syms, *debug; /* of own, found, debug_files; or NULL */

	Elf *symbols_elf;
	size_t strings_index;
	struct symbol *symbols;
	struct ranges symbol_ranges;

	Dwarf *dwarf;
	struct unit *units;
	size_t n_units, cap_units;
	struct ranges unit_ranges;
	const struct subprogram *inlined_in;
	struct inlined *inlined;
	size_t n_inlined, cap_inlined;

	struct eh_table eh; /* where functions start */
	Dwarf_CFI *cfi;     /* tells code from the gaps between */

	bool panics_loaded;
	struct panic *panics; /* by address */
	size_t n_panics, cap_panics;
};

/* symbols_names.c */
struct string;
struct function;

struct resolver {
	const struct tally *t;
	struct image *debug_files;
	size_t n_debug_files;

	struct string *strings;
	struct function *function_table;
	char *names;
	size_t names_bytes, names_cap;
	struct ht_function *functions;
	size_t n_functions, cap_functions;
	struct ht_frame *frames;
	size_t n_frames, cap_frames;
	struct ht_location *locations;
	size_t n_locations;

	char *warnings;
	size_t warnings_bytes;
	bool failed; /* out of memory, or of 32 bits */
};

/* Room for one more element; false when out of memory. */
static inline bool grow(void *array, size_t n, size_t *cap, size_t element_bytes)
{
	void **v = array;
	if (n < *cap)
		return true;
	size_t more = *cap ? *cap * 2 : 64;
	void *p = reallocarray(*v, more, element_bytes);
	if (!p)
		return false;
	*v = p;
	*cap = more;
	return true;
}

static inline const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/* False when out of memory. */
bool ranges_add(struct ranges *r, uint64_t low, uint64_t high, uint32_t item);
void ranges_sort(struct ranges *r);
/* The innermost range around an address, in sorted ranges; or NULL. */
const struct range *ranges_find(const struct ranges *r, uint64_t address);

/* 0; or -1 with the reason in `why`. The path comes from a tally: it may be anything. */
int image_open(struct image *i, const char *path, const char **why);
void image_close(struct image *i);
/* Whether the build-ids are the same. */
bool image_is(const struct image *i, const struct ht_module *m);
/* The bytes of the section at an address, and where it starts; NULL when the file has none. */
Elf_Data *image_section_at(const struct image *i, uint64_t address, uint64_t *start);
bool image_crc_is(const struct image *i, uint32_t crc);
bool is_vdso(const char *path);
/* Whether a debug file without a build-id is of this file without one. */
bool image_fits(const struct image *debug, const struct image *own);
/* 0 when modules without a build-id have a file that it fits; or -1 and why it is not used. */
int resolver_match(struct resolver *r, const struct image *debug, struct error *e);

/* All of these set r->failed when they cannot; a function is then 0. */
/* file may be NULL */
uint32_t resolver_function(
	struct resolver *r, uint32_t module, const char *linker_name, const char *file);
/* module+0xoffset; or source+0xoffset, where a source file is known, see object_panic_source */
uint32_t resolver_unnamed(struct resolver *r, uint32_t module, const char *source, uint64_t offset);
/* The next frame of l, which is the location that was begun last. */
void resolver_frame(struct resolver *r, struct ht_location *l, uint32_t function, int line);
void resolver_warn(struct resolver *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void resolver_names_release(struct resolver *r);

/* -1 when out of memory; a damaged table reads as none. */
int object_load_symbols(struct object *o, const struct image *i);
/* The function of one of o->symbol_ranges. file: NULL where the symbol alone names it. */
uint32_t object_symbol_function(struct resolver *r, struct object *o, uint32_t module,
	const struct range *found, const char *file);

/* -1 when out of memory */
int object_load_dwarf(struct object *o);
void object_close_dwarf(struct object *o);
/* Whether DWARF names the address; if so its frames are in place. */
bool object_locate_by_dwarf(
	struct resolver *r, struct object *o, struct ht_location *l, uint64_t address);

/* Nothing of *o is in use before. What cannot be used is warned about, once. */
void object_open(struct object *o, struct resolver *r, const struct ht_module *m);
void object_close(struct object *o);
/* Where the function around an address starts, and the next one, by unwind data. */
bool object_function(struct object *o, uint64_t address, uint64_t *start, uint64_t *next);
/*
 * The source file that the panics of a function tell, and the first line of it that they name, as
 * crate::module::of::the_file:line; NULL: they tell none. -1 when out of memory.
 */
int object_panic_source(struct object *o, uint64_t start, uint64_t next, char **source);
/* Where a function of the table starts; UINT64_MAX after the last one. */
static inline uint64_t eh_start(const struct eh_table *t, size_t i)
{
	return i < t->n ? t->address + (uint64_t)t->entries[i].start : UINT64_MAX;
}
/* Empty when there is none that is understood. */
void image_eh_table(const struct image *i, struct eh_table *out);
/* All functions that have unwind data, sorted; what is not understood is left out. False when out of memory. */
bool image_unwound_functions(const struct image *i, struct ranges *out);

#endif
