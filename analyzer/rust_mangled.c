/* SPDX-License-Identifier: MIT */
/*
 * What a Rust v0 linker name says and its demangled form does not: the crate that an impl is written in. <X as T>::f can be
 * the crate of X or that of T; the linker name of a function in an impl starts with the path of the impl itself. By the
 * grammar of RFC 2603:
 *	impl method    N<ns> (X|M) [s<base-62>] <impl-path> ...
 *	path           C [s…] <ident> | N<ns> <path> … | I <path> … | X/M [s…] <path> … | B<base-62>
 */
#include <ctype.h>

#include "rust_text.h"

#define NESTED_MAX 64u /* paths in paths: names are untrusted */

struct mangled {
	const char *s; /* behind "_R"; back references count from here */
	size_t n, at;
};

static char peek(const struct mangled *m)
{
	return m->at < m->n ? m->s[m->at] : '\0';
}

/* Digits of base 62 and '_': "_" is 0, "0_" is 1. False: it is none. */
static bool read_base62(struct mangled *m, size_t *value)
{
	size_t v = 0;

	if (peek(m) == '_') {
		m->at++;
		*value = 0;
		return true;
	}
	for (; isalnum((unsigned char)peek(m)); m->at++) {
		char c = peek(m);
		size_t digit = isdigit((unsigned char)c)   ? (size_t)(c - '0')
			       : islower((unsigned char)c) ? (size_t)(c - 'a') + 10
							   : (size_t)(c - 'A') + 36;
		if (v > (SIZE_MAX - digit) / 62 - 1)
			return false;
		v = 62 * v + digit;
	}
	if (peek(m) != '_')
		return false;
	m->at++;
	*value = v + 1;
	return true;
}

static bool skip_disambiguator(struct mangled *m)
{
	size_t ignored;

	if (peek(m) != 's')
		return true;
	m->at++;
	return read_base62(m, &ignored);
}

/* The identifier of a crate root; false for one of other bytes than ASCII's letters, too. */
static bool read_identifier(struct mangled *m, char *out, size_t size)
{
	size_t length = 0;

	if (!isdigit((unsigned char)peek(m)))
		return false;
	for (; isdigit((unsigned char)peek(m)); m->at++) {
		length = 10 * length + (size_t)(peek(m) - '0');
		if (length > m->n)
			return false;
	}
	m->at += peek(m) == '_';
	if (!length || length >= size || length > m->n - m->at)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)m->s[m->at + i]) && m->s[m->at + i] != '_')
			return false;
	memcpy(out, m->s + m->at, length);
	out[length] = '\0';
	return true;
}

/* The crate at the root of the path at m->at. */
static bool read_crate(struct mangled *m, char *out, size_t size)
{
	for (unsigned depth = 0; depth < NESTED_MAX; depth++) {
		size_t from = m->at, to;
		switch (peek(m)) {
		case 'C':
			m->at++;
			return skip_disambiguator(m) && read_identifier(m, out, size);
		case 'N':
			m->at += 2;
			break;
		case 'I':
			m->at++;
			break;
		case 'X':
		case 'M':
			m->at++;
			if (!skip_disambiguator(m))
				return false;
			break;
		case 'B':
			m->at++;
			if (!read_base62(m, &to) || to >= from)
				return false;
			m->at = to;
			break;
		default:
			return false;
		}
	}
	return false;
}

bool rust_impl_crate(char *out, size_t size, const char *linker_name)
{
	struct mangled m = {.s = linker_name};

	if (strncmp(m.s, "_R", 2))
		return false;
	m.s += 2;
	m.n = strlen(m.s);
	while (isdigit((unsigned char)peek(&m)))
		m.at++; /* the encoding's version */
	/* closures and turbofish are around the method */
	for (unsigned depth = 0; depth < NESTED_MAX; depth++) {
		if (peek(&m) == 'N')
			m.at += 2;
		else if (peek(&m) == 'I')
			m.at++;
		else
			return (peek(&m) == 'X' || peek(&m) == 'M') && read_crate(&m, out, size);
	}
	return false;
}
