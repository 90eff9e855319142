/* SPDX-License-Identifier: MIT */
/*
 * What a name says: crate, container, element type, plumbing or not. Pure functions on text; nothing here
 * knows files or tallies. Works for C and C++ names too, where "crate" is the outermost namespace or nothing.
 */
#ifndef HEAPTALLY_RUST_H
#define HEAPTALLY_RUST_H

#include <stdbool.h>
#include <stddef.h>

struct rust_name {
	/* The crate that owns the code: "rspack_core" for rspack_core::a::b, for <rspack_core::X as core::Trait>::f
	 * (the implementing type's crate, when it is a path) and for closures in them. "" when unknown. For
	 * <alloc::vec::Vec<T>>::push it is "alloc"; for <T as Trait>::f with a bare or builtin T, the trait's crate.
	 * The trait's crate too where a blanket implementation or default method is all there can be: ToString,
	 * Into, Spec…, Iterator::collect. */
	char crate[64];
	/* Last two segments of the path without generics, for reading, and closures: "Vec::push",
	 * "BuildResultTask::main_run::{closure#0}". */
	char brief[128];
	/* Container and element type when the function is a container's method: "RawVec" and
	 * "rspack_core::Dependency" for alloc::raw_vec::RawVec<rspack_core::Dependency>::grow_one; "" otherwise.
	 * "K, V" for maps; B-tree nodes read as "BTreeMap". Cut at the end when too long; element ends in "…" then. */
	char container[32];
	char element[256];
	bool closure; /* {closure#0} or {{closure}} */
	/* <F as Fn…>::call…: the compiler's or core's, but F is as a rule inlined in it, and it is F's here. */
	bool call;
	bool rust; /* reads as Rust rather than C or C++ */
};

/* Reads a demangled name. Never fails: what it cannot tell is "". */
void rust_name_read(struct rust_name *out, const char *demangled);

/*
 * The crate that the impl of a method is written in, from the method's linker name (Rust v0): what its demangled form
 * leaves open. False: no method of an impl, or another mangling.
 */
bool rust_impl_crate(char *out, size_t size, const char *linker_name);

/*
 * The name shortened for people, at most `size` bytes with its NUL: generic arguments deeper than one level become
 * "<…>", well-known paths lose their modules (alloc::vec::Vec → Vec), lifetimes, turbofish and C++ parameters go. Where
 * that does not fit, other paths lose their modules (a::…::X::f), then their crates, then generics and traits; at last
 * the middle is cut with "…" on a UTF-8 boundary. What is told by a source file loses its offset. Returns the length.
 */
size_t rust_name_short(char *out, size_t size, const char *demangled);

/* How much of a name is crate::module::file:line, where +0xoffset follows that; 0: it is not told by a source file. */
size_t rust_name_source(const char *name);

/* The same for a type, or several as "K, V": no tuple of them is a C++ function's parameters. */
size_t rust_type_short(char *out, size_t size, const char *type);

/*
 * Is this function plumbing: allocation, containers, runtimes, the allocator itself, C library, dynamic loader? The
 * first frame that is not is the blame frame. `crates` is a NULL-terminated list of plumbing crates from the
 * catalog; C and C++ functions (malloc, operator new, std::, __libc_start_main, uv_…-less) are judged by built-in
 * rules.
 */
bool rust_name_plumbing(
	const struct rust_name *name, const char *demangled, const char *const *crates);

#endif
