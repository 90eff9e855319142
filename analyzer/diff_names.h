/* SPDX-License-Identifier: MIT */
/* Names of functions as two builds of one program have them in common. Pure functions on text. */
#ifndef HEAPTALLY_DIFF_NAMES_H
#define HEAPTALLY_DIFF_NAMES_H

enum diff_name {
	/* Without hashes, disambiguators, closures (their numbers shift when one is added, so that a closure counts as
	 * the function it is in) and the version in icu_78. */
	DIFF_NAME_WRITTEN,
	DIFF_NAME_GENERIC, /* also without generic arguments, those of a trait's and its type's too */
	DIFF_NAME_HOME,    /* also without modules: crate, types and function are left */
	DIFF_NAME_LEVELS
};

/* A fresh string for a demangled name, or NULL when out of memory. */
char *diff_name(const char *demangled, enum diff_name level);

/*
 * A module's file name as builds for other systems or of other versions have it in common: "libc.so.6" and "libc.so",
 * "rspack.linux-x64-gnu.node" and "rspack.linux-x64-musl.node" are one. Fresh, or NULL when out of memory.
 */
char *diff_name_module(const char *path);

#endif
