/* SPDX-License-Identifier: MIT */
/*
 * One pass per thing to drop, each over the text that the one before left. Brackets are paired by counting, which is
 * enough: an operator's sign is stepped over, and a name that was cut loses what follows its last open bracket.
 */
#include "diff_names.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_ident(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool all_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

/* Length of what is dropped at s whatever the level, 0 for nothing. `first`: s is the start of the name. */
static size_t noise_at(const char *s, bool first)
{
	static const char *const closures[] = {"::{closure#", "::{{closure}}", "::{closure_env#",
		"::{async_fn_env#", "::{async_block_env#"};

	for (size_t i = 0; i < sizeof(closures) / sizeof(*closures); i++)
		if (!strncmp(s, closures[i], strlen(closures[i]))) {
			const char *end = strchr(s, '}');
			return end ? (size_t)(end - s) + 1 + (end[1] == '}') : strlen(s);
		}
	/* the legacy hash, at the end of a path */
	if (!strncmp(s, "::h", 3) && strlen(s) >= 19 && all_hex(s + 3, 16) && !is_ident(s[19]))
		return 19;
	/* a crate's disambiguator: foo[0123456789abcdef] */
	if (*s == '[' && !first) {
		size_t n = strcspn(s + 1, "]");
		if (s[n + 1] == ']' && n >= 8 && n <= 16 && all_hex(s + 1, n) && is_ident(s[-1]))
			return n + 2;
	}
	/* impl#3 and shim numbers */
	if (*s == '#' && !first && is_ident(s[-1])) {
		size_t n = strspn(s + 1, "0123456789");
		if (n && s[n + 1] == '}')
			return n + 1;
	}
	return 0;
}

static void drop_noise(char *name)
{
	char *out = name;

	for (const char *s = name; *s;) {
		size_t n = noise_at(s, s == name);
		if (n) {
			s += n;
		} else if (!strncmp(s, "icu_", 4) && isdigit((unsigned char)s[4]) &&
			   (s == name || !is_ident(s[-1]))) {
			memmove(out, "icu", 3);
			out += 3;
			s += 4;
			s += strspn(s, "0123456789");
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* Past the bracket at s. */
static const char *past_bracket(const char *s)
{
	unsigned depth = 0;

	do {
		if (*s == '<' && strncmp(s, "<=", 2))
			depth++;
		else if (*s == '>' && s[-1] != '-' && s[-1] != '=')
			depth--;
		s++;
	} while (*s && depth);
	return s;
}

/* Generic arguments follow a name or "::"; what opens a qualified path does not. */
static void drop_generics(char *name)
{
	char *out = name;

	for (const char *s = name; *s;) {
		if (!strncmp(s, "operator", 8) && (s == name || !is_ident(s[-1])) &&
			!is_ident(s[8])) {
			memmove(out, s, 8);
			out += 8;
			for (s += 8; *s && strchr("<>=-!+*/%^&|~,", *s); s++)
				*out++ = *s;
			continue;
		}
		if (*s == '<' && out > name && (is_ident(out[-1]) || out[-1] == ':')) {
			while (out > name && out[-1] == ':')
				out--;
			s = past_bracket(s);
			continue;
		}
		*out++ = *s++;
	}
	*out = '\0';
}

/* Of each path a::b::Type::f the crate, what is written like a type, and the last name. */
static void drop_modules(char *name)
{
	char *out = name;

	for (const char *s = name; *s;) {
		if (!is_ident(*s)) {
			*out++ = *s++;
			continue;
		}
		/* a name after "::" continues what stands before it, a qualified path */
		bool first = out == name || out[-1] != ':';
		for (;;) {
			size_t n = 0;
			while (is_ident(s[n]))
				n++;
			bool last = strncmp(s + n, "::", 2) || !is_ident(s[n + 2]);
			if (first || last || isupper((unsigned char)*s)) {
				memmove(out, s, n);
				out += n;
				if (!last) {
					memcpy(out, "::", 2);
					out += 2;
				}
			}
			s += n;
			first = false;
			if (last)
				break;
			s += 2;
		}
	}
	*out = '\0';
}

char *diff_name(const char *demangled, enum diff_name level)
{
	char *name = strdup(demangled);

	if (!name)
		return NULL;
	drop_noise(name);
	if (level >= DIFF_NAME_GENERIC)
		drop_generics(name);
	if (level >= DIFF_NAME_HOME)
		drop_modules(name);
	return name;
}

char *diff_name_module(const char *path)
{
	static const char *const systems[] = {"-gnu", "-musl", "-debug", "-release"};
	char *name = strdup(basename(path)), *at;

	if (!name)
		return NULL;
	at = strstr(name, ".so");
	if (at && (!at[3] || at[3] == '.'))
		*at = '\0';
	for (size_t i = 0; i < sizeof(systems) / sizeof(*systems); i++)
		while ((at = strstr(name, systems[i])))
			memmove(at, at + strlen(systems[i]), strlen(at + strlen(systems[i])) + 1);
	/* versions and content hashes: libicu-78.2, binding-1a2b3c4d.node */
	char *out = name;
	for (const char *s = name; *s;) {
		size_t n = strcspn(s + 1, "-._");
		bool digits = n && strspn(s + 1, "0123456789") == n;
		if (strchr("-._", *s) && (digits || (n >= 8 && all_hex(s + 1, n)))) {
			s += n + 1;
			continue;
		}
		*out++ = *s++;
	}
	*out = '\0';
	return name;
}
