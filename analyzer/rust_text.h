/* SPDX-License-Identifier: MIT */
/*
 * The text of a demangled name: its brackets paired, its paths cut into segments. Between the files that read names:
 * rust.c (crate and brief), rust_container.c, rust_plumbing.c, rust_short.c.
 */
#ifndef HEAPTALLY_RUST_TEXT_H
#define HEAPTALLY_RUST_TEXT_H

#include <stdint.h>
#include <string.h>

#include "rust.h"

#define READ_MAX  32768u /* bytes of a name that are looked at */
#define SEGS_MAX  32u
#define DEPTH_MAX 32u

struct text {
	const char *s;
	uint32_t n;
	/* of an opening bracket: its partner, n when cut off, 0 when it is plain text */
	uint32_t pair[READ_MAX];
};

struct span {
	uint32_t a, b; /* from a up to b */
};

/* A path's segments without turbofish. When there are too many, the ones after the first are forgotten. */
struct path {
	struct span segs[SEGS_MAX];
	uint32_t n;
	struct span turbofish; /* the last one's inside */
};

/* Letters, digits, '_', '$' and all that is not ASCII. A table: this is asked of every byte of every name. */
extern const bool text_ident_bytes[256];
/* Opening brackets, and what closes them as the negative. */
extern const signed char text_bracket_kinds[256];

void text_init(struct text *t, const char *s);
bool text_starts(const struct text *t, uint32_t at, const char *with);
bool text_equals(const struct text *t, struct span x, const char *with);
bool text_in_list(const struct text *t, struct span x, const char *const *list);

static inline bool is_ident(char c)
{
	return text_ident_bytes[(unsigned char)c];
}

static inline bool text_at_operator(const struct text *t, uint32_t i)
{
	return t->s[i] == 'o' && t->s[i + 1] == 'p' && text_starts(t, i, "operator") &&
	       (!i || !is_ident(t->s[i - 1])) && (i + 8 >= t->n || !is_ident(t->s[i + 8]));
}

static inline bool text_is_bracket(const struct text *t, uint32_t i)
{
	return text_bracket_kinds[(unsigned char)t->s[i]] > 0 && t->pair[i];
}

/* Past a C++ operator's sign, which is no bracket: at is just after the word. */
uint32_t text_skip_operator(const struct text *t, uint32_t at);
/* The next place at this depth, at most b. */
uint32_t text_step(const struct text *t, uint32_t i, uint32_t b);
/* Where `what` is found at this depth; x.b when it is not. */
uint32_t text_find(const struct text *t, struct span x, const char *what);
/* Inside of the bracket at i, at most up to b. */
struct span text_inside(const struct text *t, uint32_t i, uint32_t b);

/* Whether it reads as C++. */
bool text_is_cxx(const struct text *t);
/* The name proper of a C++ function: without "vtable for", return type, parameters and what follows them. */
struct span text_cxx_head(const struct text *t);

/* What does not fit is cut, with "…". */
void text_copy(char *out, size_t size, const char *from, size_t n);
void text_append(char *out, size_t size, const struct text *t, struct span x);
void text_append_word(char *out, size_t size, const char *word);

void path_read(struct path *p, const struct text *t, struct span x);
/* A segment's name without its generics and parameters. */
struct span path_name(const struct text *t, struct span seg);
/* A type without its references, pointers and dyn. Sets *reference when there were some, and never clears it. */
struct span type_strip(const struct text *t, struct span x, bool *reference);
/* Splits <self as trait>; trait is empty for <self>. */
void qualified_read(const struct text *t, struct span in, struct span *self, struct span *trait);

/* Whether the linker name, one without a path, is one that Rust makes. */
bool rust_symbol(const char *s);
/* Fills the container and the element, if the function of a Rust path is a container's. */
void rust_container(struct rust_name *out, const struct text *t, const struct path *p);

#endif
