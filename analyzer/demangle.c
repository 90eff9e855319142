/* SPDX-License-Identifier: MIT */
/*
 * Linker names → names for people, through libiberty. Symbol tables are untrusted: a short name can stand for an
 * exponentially long one, so output is collected by callback and left by longjmp when there is enough of it. What
 * comes out is clean UTF-8 of bounded length.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "symbols.h"
#include "utf8.h"

#define NAME_MAX_BYTES (64u << 10)
#define PIECES_MAX     (1u << 18) /* callbacks: bounds the time of names that print next to nothing */
/*
 * libiberty refuses C++ names beyond half its recursion limit (1024 bytes). Real ones are longer; up to this
 * length the deepest possible recursion still fits a main thread's stack.
 */
#define CXX_DEEP_BYTES 4096u

struct collector {
	char *text;
	size_t n, cap;
	size_t pieces;
	bool failed; /* out of memory */
	bool cut;
	jmp_buf enough;
};

static void collect(const char *piece, size_t n, void *arg)
{
	struct collector *c = arg;
	if (c->n + n > NAME_MAX_BYTES) {
		n = NAME_MAX_BYTES - c->n;
		c->cut = true;
	}
	if (c->n + n > c->cap) {
		size_t cap = 2 * c->cap;
		while (cap < c->n + n)
			cap *= 2;
		char *text = realloc(c->text, cap);
		if (!text) {
			c->failed = true;
			longjmp(c->enough, 1);
		}
		c->text = text;
		c->cap = cap;
	}
	if (n)
		memcpy(c->text + c->n, piece, n);
	c->n += n;
	if (++c->pieces > PIECES_MAX)
		c->cut = true;
	/* libiberty holds no memory here, save for non-ASCII identifiers in v0 names; those leak in this case */
	if (c->cut)
		longjmp(c->enough, 1);
}

/* 1 when demangled, 0 when it is no such name, -1 when out of memory. */
static int demangle_into(struct collector *c, const char *name)
{
	volatile int done = 0;
	if (setjmp(c->enough))
		return c->failed ? -1 : 1;
	done = rust_demangle_callback(name, DMGL_NO_OPTS, collect, c);
	if (!done && name[0] == '_' && name[1] == 'Z') {
		int options = DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP;
		if (strlen(name) <= CXX_DEEP_BYTES)
			options |= DMGL_NO_RECURSE_LIMIT;
		c->n = 0;
		done = cplus_demangle_v3_callback(name, options, collect, c);
	}
	return done ? 1 : 0;
}

static char *cleaned(const char *bytes, size_t n, bool cut)
{
	if (n > NAME_MAX_BYTES) {
		n = NAME_MAX_BYTES;
		cut = true;
	}
	char *text = malloc(n + sizeof("…"));
	if (!text)
		return NULL;
	memcpy(text, bytes, n);
	char *s = text, *end = text + n;
	*end = '\0';
	while (s < end) {
		uint32_t code;
		size_t k = utf8_sequence((const unsigned char *)s, &code);
		if (!k && cut && end - s < 4)
			break; /* a character cut in two */
		if (!k || iscntrl((unsigned char)*s)) {
			*s = '?';
			k = 1;
		}
		s += k;
	}
	strcpy(s, cut ? "…" : "");
	return text;
}

/*
 * The compiler splits and copies functions; the parts bear the function's name and a suffix. They are one function
 * to the reader: .cold .part.0 .isra.0 .constprop.0 .llvm.123 .lto_priv.0 and a symbol version after '@'.
 */
static size_t without_suffixes(const char *name, size_t n)
{
	static const char *const suffixes[] = {"cold", "part", "isra", "constprop", "llvm",
		"lto_priv", "localalias", "warm", "hot", "unlikely", NULL};
	const char *at = memchr(name + 1, '@', n - 1);
	if (at)
		n = (size_t)(at - name);
	for (;;) {
		size_t dot = n;
		while (dot > 1 && isdigit((unsigned char)name[dot - 1]))
			dot--;
		if (dot < n && dot > 1 && name[dot - 1] == '.')
			dot--;
		else
			dot = n;
		size_t word = dot;
		while (word > 1 &&
			(islower((unsigned char)name[word - 1]) || name[word - 1] == '_'))
			word--;
		if (word < 2 || name[word - 1] != '.')
			return n;
		bool known = false;
		for (size_t i = 0; suffixes[i] && !known; i++)
			known = strlen(suffixes[i]) == dot - word &&
				!memcmp(suffixes[i], name + word, dot - word);
		if (!known)
			return n;
		n = word - 1;
	}
}

char *symbols_clean(const char *bytes)
{
	return cleaned(bytes, strlen(bytes), false);
}

char *symbols_demangle(const char *linker_name)
{
	size_t n = strlen(linker_name);
	if (n)
		n = without_suffixes(linker_name, n);
	if (n < 3 || linker_name[0] != '_' || !strchr("RZ_", linker_name[1]))
		return cleaned(linker_name, n, false);

	struct collector c = {.cap = 1024};
	char *name = strndup(linker_name, n);
	char *text = NULL;
	c.text = malloc(c.cap);
	int done = name && c.text ? demangle_into(&c, name) : -1;
	if (done > 0)
		text = cleaned(c.text, c.n, c.cut);
	else if (done == 0)
		text = cleaned(name, n, false);
	free(c.text);
	free(name);
	return text;
}
