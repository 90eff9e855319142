/* SPDX-License-Identifier: MIT */
/*
 * Addresses → functions, inlined frames, lines. Reads ELF and DWARF through elfutils' libdw; demangles C++ and Rust
 * (legacy and v0) through libiberty.
 */
#ifndef HEAPTALLY_SYMBOLS_H
#define HEAPTALLY_SYMBOLS_H

#include "tally.h"

struct symbols_options {
	/* Extra files with symbols; NULL-terminated or NULL. Matched by build-id; where neither the file nor the module
	 * has one, by what stripping keeps of the module's own file. */
	const char *const *debug_files;
	/* Called now and then with work done and work in all; may be NULL. */
	void (*progress)(void *arg, unsigned long done, unsigned long total);
	void *progress_arg;
};

/*
 * Fills t's names, functions, frames and locations for every (module, offset) that occurs in its sites; does nothing
 * when they are there already. For each module it looks, in this order, at the module's own file, debug_files,
 * /usr/lib/debug/.build-id and the file's .gnu_debuglink. A file whose build-id differs from the recorded one is not
 * used: the module's frames stay module+0xoffset, and `*warnings` (owned by the caller, NULL or a malloc'ed text,
 * one sentence a line) says so. A Rust function without a symbol is told by the source file of its panics. A debug_file
 * that matches no module, or modules that differ, or is no ELF file, is an error: -1.
 */
int symbols_resolve(
	struct tally *t, const struct symbols_options *o, char **warnings, struct error *e);

/* How many functions of a file panics tell the source of, symbols or not; 0 also where it cannot be used. */
unsigned symbols_told(const char *path);

/*
 * Demangles a linker name into a fresh string: C++ by libiberty; Rust legacy without its ::h0123456789abcdef and v0
 * without [disambiguators]; anything else is copied. Suffixes of functions that the compiler split or copied (.cold,
 * .part.0, .llvm.123 …) and symbol versions are dropped. The result is clean as symbols_clean says. NULL only when
 * out of memory.
 */
char *symbols_demangle(const char *linker_name);

/*
 * A fresh copy that is valid UTF-8 without control characters (others become '?') and at most 64 KiB long, cut
 * with "…". NULL only when out of memory.
 */
char *symbols_clean(const char *bytes);

#endif
