/* SPDX-License-Identifier: MIT */
/*
 * One pass pairs the brackets, so that everything after it can step over generics in one go and stays linear on any
 * input; brackets without a partner (operators, character constants, names that were cut) are plain text.
 */
#include "rust_text.h"

const bool text_ident_bytes[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['_'] = true,
	['$'] = true,
	[0x80 ... 0xff] = true,
};

const signed char text_bracket_kinds[256] = {
	['<'] = 1, ['('] = 2, ['['] = 3, ['{'] = 4, ['>'] = -1, [')'] = -2, [']'] = -3, ['}'] = -4};

bool text_starts(const struct text *t, uint32_t at, const char *with)
{
	size_t n = strlen(with);
	return at <= t->n && n <= t->n - at && !memcmp(t->s + at, with, n);
}

bool text_equals(const struct text *t, struct span x, const char *with)
{
	return x.a < x.b && t->s[x.a] == *with && x.b - x.a == strlen(with) &&
	       text_starts(t, x.a, with);
}

bool text_in_list(const struct text *t, struct span x, const char *const *list)
{
	for (; *list; list++)
		if (text_equals(t, x, *list))
			return true;
	return false;
}

uint32_t text_skip_operator(const struct text *t, uint32_t at)
{
	if (text_starts(t, at, "()") || text_starts(t, at, "[]"))
		return at + 2;
	while (at < t->n && strchr("<>=!-+*/%^&|~,", t->s[at]))
		at++;
	return at;
}

void text_init(struct text *t, const char *s)
{
	uint32_t open[4] = {0};    /* how many of each kind are on the stack */
	uint32_t top = UINT32_MAX; /* the stack is linked through pair[] */
	t->s = s;
	t->n = (uint32_t)strnlen(s, READ_MAX - 1);
	for (uint32_t i = 0; i < t->n; i++) {
		char c = s[i];
		if (is_ident(c)) {
			if (text_at_operator(t, i)) {
				uint32_t end = text_skip_operator(t, i + 8);
				memset(t->pair + i, 0, (end - i) * sizeof(*t->pair));
				i = end - 1;
			}
		} else if (c == '\'' && i + 2 < t->n && s[i + 2] == '\'') {
			t->pair[i + 1] = 0; /* a constant: '<' */
			i += 2;
		} else if (text_bracket_kinds[(unsigned char)c] > 0) {
			open[text_bracket_kinds[(unsigned char)c] - 1]++;
			t->pair[i] = top;
			top = i;
		} else if (text_bracket_kinds[(unsigned char)c] < 0) {
			int kind = -text_bracket_kinds[(unsigned char)c];
			if (!open[kind - 1] ||
				(c == '>' && i && (s[i - 1] == '-' || s[i - 1] == '=')))
				continue;
			for (bool done = false; !done;) {
				uint32_t below = t->pair[top];
				int above = text_bracket_kinds[(unsigned char)s[top]];
				done = above == kind;
				t->pair[top] = done ? i : 0;
				open[above - 1]--;
				top = below;
			}
		}
	}
	while (top != UINT32_MAX) {
		uint32_t below = t->pair[top];
		t->pair[top] = t->n;
		top = below;
	}
}

uint32_t text_step(const struct text *t, uint32_t i, uint32_t b)
{
	uint32_t next = i + 1;
	if (is_ident(t->s[i])) {
		if (text_at_operator(t, i))
			next = text_skip_operator(t, i + 8);
	} else if (text_is_bracket(t, i)) {
		next = t->pair[i] + 1;
	}
	return next < b ? next : b;
}

uint32_t text_find(const struct text *t, struct span x, const char *what)
{
	size_t n = strlen(what);
	uint32_t i = x.a;
	for (;;) {
		while (i < x.b && is_ident(t->s[i]) && t->s[i] != 'o') /* most of a name */
			i++;
		if (i >= x.b || (t->s[i] == *what && i + n <= x.b && !memcmp(t->s + i, what, n)))
			return i;
		i = text_step(t, i, x.b);
	}
}

struct span text_inside(const struct text *t, uint32_t i, uint32_t b)
{
	uint32_t end = t->pair[i] < b ? t->pair[i] : b;
	return (struct span){i + 1 < end ? i + 1 : end, end};
}

void text_copy(char *out, size_t size, const char *from, size_t n)
{
	if (n < size) {
		memcpy(out, from, n);
		out[n] = '\0';
		return;
	}
	n = size - sizeof("…");
	while (n && ((unsigned char)from[n] & 0xc0) == 0x80)
		n--;
	memcpy(out, from, n);
	memcpy(out + n, "…", sizeof("…"));
}

void text_append(char *out, size_t size, const struct text *t, struct span x)
{
	size_t have = strlen(out);
	if (size - have > sizeof("…"))
		text_copy(out + have, size - have, t->s + x.a, x.b - x.a);
}

void text_append_word(char *out, size_t size, const char *word)
{
	size_t have = strlen(out);
	if (size - have > sizeof("…"))
		text_copy(out + have, size - have, word, strlen(word));
}

void path_read(struct path *p, const struct text *t, struct span x)
{
	*p = (struct path){0};
	for (uint32_t a = x.a; a < x.b;) {
		struct span seg = {a, text_find(t, (struct span){a, x.b}, "::")};
		a = seg.b + 2;
		if (p->n && seg.b > seg.a && text_is_bracket(t, seg.a) && t->s[seg.a] == '<' &&
			!text_starts(t, seg.a, "<impl ")) {
			p->turbofish = text_inside(t, seg.a, seg.b);
			continue;
		}
		if (p->n == SEGS_MAX)
			memmove(p->segs + 1, p->segs + 2, (--p->n - 1) * sizeof(*p->segs));
		p->segs[p->n++] = seg;
	}
}

struct span path_name(const struct text *t, struct span seg)
{
	uint32_t i = seg.a;
	if (i < seg.b && (t->s[i] == '{' || text_at_operator(t, i)))
		return seg;
	while (i < seg.b && !(text_is_bracket(t, i) && strchr("<([", t->s[i])))
		i++;
	return (struct span){seg.a, i};
}

struct span type_strip(const struct text *t, struct span x, bool *reference)
{
	static const char *const words[] = {"mut ", "const ", "dyn ", "impl ", NULL};
	for (bool more = true; more && x.a < x.b;) {
		char c = t->s[x.a];
		more = c == '&' || c == '*' || c == ' ';
		if (more) {
			*reference = *reference || c != ' ';
			x.a++;
		} else if (c == '\'') {
			do
				x.a++;
			while (x.a < x.b && is_ident(t->s[x.a]));
			more = true;
		} else if (text_starts(t, x.a, "for<") && t->pair[x.a + 3]) {
			x.a = text_step(t, x.a + 3, x.b);
			more = true;
		}
		for (size_t i = 0; words[i] && !more; i++)
			if (text_starts(t, x.a, words[i])) {
				x.a += (uint32_t)strlen(words[i]);
				more = true;
			}
	}
	if (x.a > x.b)
		x.a = x.b;
	return x;
}

void qualified_read(const struct text *t, struct span in, struct span *self, struct span *trait)
{
	uint32_t as = text_find(t, in, " as ");
	*self = (struct span){in.a, as};
	*trait = (struct span){as < in.b ? as + 4 : in.b, in.b};
}

struct span text_cxx_head(const struct text *t)
{
	struct span x = {0, t->n};
	for (uint32_t i = 0; i < t->n; i = text_step(t, i, t->n))
		if (t->s[i] == '(' && !text_starts(t, i, "(anonymous namespace)") && t->pair[i])
			x.b = i;
	for (uint32_t i = 0; i < x.b; i = text_step(t, i, x.b)) {
		if (text_at_operator(t, i))
			break;
		if (t->s[i] == ' ' && i + 1 < x.b)
			x.a = i + 1;
	}
	return x;
}

bool text_is_cxx(const struct text *t)
{
	for (uint32_t i = 0; i < t->n; i = text_step(t, i, t->n))
		if (t->s[i] == '(' || t->s[i] == ' ' || text_at_operator(t, i))
			return true;
	return false;
}
