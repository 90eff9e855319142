/* SPDX-License-Identifier: MIT */
/* Names shortened for people: level by level, until one fits. */
#include <ctype.h>

#include "rust_text.h"

#define SHORT_MAX 4096u

/* Crates whose types are known by their last name alone. */
static const char *const known_crates[] = {"alloc", "std", "core", "hashbrown", "indexmap",
	"smallvec", "dashmap", "triomphe", "arrayvec", "thin_vec", "rustc_hash", NULL};

struct shortener {
	const struct text *t;
	char out[SHORT_MAX];
	size_t n;
	bool cxx, source;
	unsigned level; /* 0 to 3: what more is left out so that it fits */
};

static void put(struct shortener *w, const char *s, size_t n)
{
	if (n > sizeof(w->out) - w->n)
		n = sizeof(w->out) - w->n;
	memcpy(w->out + w->n, s, n);
	w->n += n;
}

static void put_word(struct shortener *w, const char *word)
{
	put(w, word, strlen(word));
}

/* A path without generics: a::b::C::d. Returns where it ends. */
static uint32_t put_path(struct shortener *w, uint32_t a, uint32_t b)
{
	const struct text *t = w->t;
	uint32_t type = UINT32_MAX, before = a, last = a, end = a, n = 0;
	for (;;) {
		uint32_t seg = end;
		while (end < b && is_ident(t->s[end]))
			end++;
		before = last;
		last = seg;
		n++;
		if (type == UINT32_MAX && isupper((unsigned char)t->s[seg]))
			type = seg;
		if (end + 2 < b && text_starts(t, end, "::") && is_ident(t->s[end + 2]))
			end += 2;
		else
			break;
	}
	struct span crate = {a, text_find(t, (struct span){a, end}, "::")};
	uint32_t from = w->source && w->level >= 2 ? last : type != UINT32_MAX ? type : before;
	bool known = !w->cxx && text_in_list(t, crate, known_crates);
	if (n > 1 && from > a) {
		if (!w->source && (known || w->level >= 2))
			a = from;
		else if (w->level >= 1 && from > crate.b + 2) {
			put(w, t->s + a, crate.b - a);
			put_word(w, "::…::");
			a = from;
		}
	}
	put(w, t->s + a, end - a);
	return end;
}

static void put_text(struct shortener *w, struct span x, unsigned nesting, unsigned depth)
{
	const struct text *t = w->t;
	const char *s = t->s;
	if (depth > DEPTH_MAX) {
		put_word(w, "…");
		return;
	}
	for (uint32_t i = x.a; i < x.b && w->n < sizeof(w->out);) {
		char c = s[i];
		if (w->cxx && text_at_operator(t, i)) {
			uint32_t end = text_skip_operator(t, i + 8);
			put(w, s + i, end - i);
			i = end;
		} else if (is_ident(c)) {
			i = put_path(w, i, x.b);
		} else if (c == '\'' && i + 1 < x.b && is_ident(s[i + 1]) &&
			   !(i + 2 < x.b && s[i + 2] == '\'')) {
			/* a lifetime, and what parts it from the next word */
			do
				i++;
			while (i < x.b && is_ident(s[i]));
			while (i < x.b && (s[i] == ',' || s[i] == ' '))
				i++;
		} else if (c == '(' && w->cxx && text_is_bracket(t, i) && i > x.a &&
			   (is_ident(s[i - 1]) || s[i - 1] == '>' || s[i - 1] == ')')) {
			i = text_step(t, i, x.b); /* parameters */
		} else if (c == ':' && text_starts(t, i, "::<") && text_is_bracket(t, i + 2) &&
			   !text_starts(t, i + 2, "<impl ")) {
			i = text_step(t, i + 2, x.b);
		} else if (c == '<' && text_is_bracket(t, i)) {
			struct span in = text_inside(t, i, x.b), self, trait;
			bool args = i > x.a && (w->cxx || is_ident(s[i - 1]));
			size_t start = w->n;
			qualified_read(t, in, &self, &trait);
			if (args && (nesting || w->level >= 2)) {
				put_word(w, "<…>");
			} else if (args) {
				put_word(w, "<");
				put_text(w, in, nesting + 1, depth + 1);
				if (w->n == start + 1)
					w->n = start; /* it was lifetimes only */
				else
					put_word(w, ">");
			} else if ((trait.a == trait.b || w->level >= 3) && self.a < self.b &&
				   (is_ident(s[self.a]) || s[self.a] == '<') &&
				   !text_starts(t, self.a, "impl ") &&
				   !text_starts(t, self.a, "dyn ")) {
				put_text(w, self, nesting, depth + 1);
			} else {
				put_word(w, "<");
				put_text(w, self, nesting, depth + 1);
				if (trait.a < trait.b) {
					put_word(w, " as ");
					put_text(w, trait, nesting, depth + 1);
				}
				put_word(w, ">");
			}
			i = text_step(t, i, x.b);
		} else {
			put(w, &c, 1);
			i++;
		}
	}
}

size_t rust_name_source(const char *name)
{
	size_t end = 0, digits;
	while (is_ident(name[end]) || (name[end] == ':' && name[end + 1] == ':'))
		end += is_ident(name[end]) ? 1 : 2;
	if (name[end] != ':')
		return 0;
	digits = strspn(name + end + 1, "0123456789");
	return digits && !strncmp(name + end + 1 + digits, "+0x", 3) ? end + 1 + digits : 0;
}

static size_t shorten(char *out, size_t size, const struct text *t, bool cxx)
{
	struct shortener w;
	size_t source = rust_name_source(t->s);
	w.t = t;
	w.cxx = cxx;
	w.source = source && source <= t->n;
	struct span all = w.source ? (struct span){0, (uint32_t)source}
			  : cxx    ? text_cxx_head(t)
				   : (struct span){0, t->n};
	for (w.level = 0; w.level <= 3; w.level++) {
		w.n = 0;
		put_text(&w, all, 0, 0);
		if (w.n < size)
			break;
	}
	if (w.n < size) {
		memcpy(out, w.out, w.n);
		out[w.n] = '\0';
		return w.n;
	}
	/* the end says more than the start: it has the function's name */
	size_t room = size - 1, head = 0, tail = w.n - room;
	if (room > 3) {
		head = (room - 3) * 2 / 5;
		tail = w.n - (room - 3 - head);
	}
	while (head && ((unsigned char)w.out[head] & 0xc0) == 0x80)
		head--;
	while (tail < w.n && ((unsigned char)w.out[tail] & 0xc0) == 0x80)
		tail++;
	memcpy(out, w.out, head);
	size_t n = head;
	if (room > 3) {
		memcpy(out + n, "…", 3);
		n += 3;
	}
	memcpy(out + n, w.out + tail, w.n - tail);
	n += w.n - tail;
	out[n] = '\0';
	return n;
}

size_t rust_name_short(char *out, size_t size, const char *demangled)
{
	struct text t;
	text_init(&t, demangled);
	return size ? shorten(out, size, &t, text_is_cxx(&t)) : 0;
}

size_t rust_type_short(char *out, size_t size, const char *type)
{
	struct text t;
	text_init(&t, type);
	return size ? shorten(out, size, &t, false) : 0;
}
