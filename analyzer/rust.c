/* SPDX-License-Identifier: MIT */
/* Reads demangled names: whose code it is, and what to call it in brief. */
#include "rust_text.h"

/* Traits whose methods are the standard library's (or rayon's) own, whatever type they are called on. */
static bool is_blanket(
	const struct text *t, struct span trait, struct span crate, struct span method)
{
	static const char *const traits[] = {
		"ToString", "Into", "TryInto", "Any", "ConvertVec", NULL};
	static const char *const crates[] = {"alloc", "core", "std", "hashbrown", NULL};
	static const char *const own_next[] = {"next", "next_back", "nth", "nth_back", "size_hint",
		"fold", "try_fold", "rfold", "try_rfold", "count", "last", "advance_by", NULL};
	static const char *const own_drive[] = {
		"drive", "drive_unindexed", "with_producer", "opt_len", "len", NULL};
	struct path p;
	path_read(&p, t, trait);
	struct span name = p.n ? path_name(t, p.segs[p.n - 1]) : (struct span){0};
	if (text_equals(t, crate, "rayon"))
		return (text_equals(t, name, "ParallelIterator") ||
			       text_equals(t, name, "IndexedParallelIterator")) &&
		       !text_in_list(t, method, own_drive);
	if (!text_in_list(t, crate, crates))
		return false;
	if (text_equals(t, name, "Iterator") || text_equals(t, name, "DoubleEndedIterator"))
		return !text_in_list(t, method, own_next);
	return text_starts(t, name.a, "Spec") || text_in_list(t, name, traits);
}

static struct span type_crate(
	const struct text *t, struct span x, struct span method, unsigned depth);

/* The crate of <self as trait>::method or <self>::method. Empty: core's, or unknown. */
static struct span qualified_crate(
	const struct text *t, struct span in, struct span method, unsigned depth)
{
	struct span self, trait, none = {0};
	qualified_read(t, in, &self, &trait);
	struct span self_crate = type_crate(t, self, method, depth + 1);
	if (trait.a == trait.b)
		return self_crate;
	struct span trait_crate = type_crate(t, trait, none, depth + 1);
	if (self_crate.a == self_crate.b || t->s[trait.a] == '<' ||
		is_blanket(t, trait, trait_crate, method))
		return trait_crate;
	return self_crate;
}

/* The crate a type or path is of; empty for builtin types and type parameters. */
static struct span type_crate(
	const struct text *t, struct span x, struct span method, unsigned depth)
{
	bool reference = false;
	x = type_strip(t, x, &reference);
	if (x.a == x.b || depth > DEPTH_MAX)
		return (struct span){0};
	if (t->s[x.a] == '<' && t->pair[x.a])
		return qualified_crate(t, text_inside(t, x.a, x.b), method, depth);
	uint32_t i = x.a;
	while (i < x.b && is_ident(t->s[i]))
		i++;
	if (i + 2 <= x.b && text_starts(t, i, "::"))
		return (struct span){x.a, i};
	return (struct span){0};
}

/* What to call a type in brief: the last name of its path. */
static void type_brief(char *out, size_t size, const struct text *t, struct span x)
{
	bool reference = false;
	struct path p;
	x = type_strip(t, x, &reference);
	path_read(&p, t, x);
	if (!p.n)
		return;
	struct span last = p.segs[p.n - 1];
	struct span name = path_name(t, last);
	if (name.a < name.b) {
		if (t->s[name.a] == '{' && p.n > 1 && t->s[p.segs[p.n - 2].a] != '<') {
			text_append(out, size, t, path_name(t, p.segs[p.n - 2]));
			text_append_word(out, size, "::");
		}
		text_append(out, size, t, name);
	} else if (last.a < last.b) {
		text_append_word(out, size,
			t->s[last.a] == '['   ? "[_]"
			: t->s[last.a] == '(' ? "(_)"
					      : "<_>");
	}
}

static void cxx_read(struct rust_name *out, const struct text *t)
{
	struct path p;
	struct span head = text_cxx_head(t);
	path_read(&p, t, head);
	uint32_t n = 0; /* anonymous namespaces say nothing */
	for (uint32_t i = 0; i < p.n; i++)
		if (!text_starts(t, p.segs[i].a, "(anonymous namespace)"))
			p.segs[n++] = p.segs[i];
	if (n > (n == p.n ? 1u : 2u) && is_ident(t->s[p.segs[0].a])) {
		struct span crate = path_name(t, p.segs[0]);
		text_copy(out->crate, sizeof(out->crate), t->s + crate.a, crate.b - crate.a);
	}
	if (n > 1) {
		text_append(out->brief, sizeof(out->brief), t, path_name(t, p.segs[n - 2]));
		text_append_word(out->brief, sizeof(out->brief), "::");
	}
	if (n)
		text_append(out->brief, sizeof(out->brief), t, path_name(t, p.segs[n - 1]));
}

static void rust_read(struct rust_name *out, const struct text *t)
{
	struct path p;
	path_read(&p, t, (struct span){0, t->n});
	if (!p.n)
		return;
	/* the function is the last segment that is no closure */
	uint32_t f = p.n;
	while (f > 1 && t->s[p.segs[f - 1].a] == '{') {
		f--;
		out->closure = out->closure || text_starts(t, p.segs[f].a, "{closure") ||
			       text_starts(t, p.segs[f].a, "{{closure");
	}
	struct span function = p.segs[f - 1];
	struct span crate;
	if (text_is_bracket(t, p.segs[0].a) && t->s[0] == '<') {
		struct span method = p.n > 1 ? path_name(t, p.segs[1]) : (struct span){0};
		struct span in = text_inside(t, p.segs[0].a, p.segs[0].b);
		struct span self, trait;
		crate = qualified_crate(t, in, method, 0);
		qualified_read(t, in, &self, &trait);
		out->call = trait.a < trait.b && text_starts(t, trait.a, "core::ops::function::");
		/* inherent methods of builtin types can only be the standard library's */
		if (crate.a == crate.b && in.a < in.b)
			strcpy(out->crate, "core");
	} else {
		crate = p.n > 1 ? path_name(t, p.segs[0]) : (struct span){0};
	}
	if (crate.a < crate.b)
		text_copy(out->crate, sizeof(out->crate), t->s + crate.a, crate.b - crate.a);

	char *brief = out->brief;
	size_t size = sizeof(out->brief);
	uint32_t owner = f >= 2 ? f - 2 : UINT32_MAX;
	while (owner != UINT32_MAX && owner > 0 && t->s[p.segs[owner].a] == '{')
		owner--;
	if (owner != UINT32_MAX) {
		struct span self, trait;
		if (text_is_bracket(t, p.segs[owner].a) && t->s[p.segs[owner].a] == '<') {
			qualified_read(
				t, text_inside(t, p.segs[owner].a, p.segs[owner].b), &self, &trait);
			uint32_t target =
				text_find(t, self, " for "); /* legacy: <impl Trait for Type> */
			if (text_starts(t, self.a, "impl ") && target < self.b)
				self.a = target + 5;
			type_brief(brief, size, t, self);
		} else {
			text_append(brief, size, t, path_name(t, p.segs[owner]));
		}
		if (*brief)
			text_append_word(brief, size, "::");
	}
	text_append(brief, size, t, path_name(t, function));
	for (uint32_t i = f; i < p.n; i++) {
		text_append_word(brief, size, "::");
		text_append(brief, size, t, p.segs[i]);
	}
	rust_container(out, t, &p);
}

void rust_name_read(struct rust_name *out, const char *demangled)
{
	struct text t;
	memset(out, 0, sizeof(*out));
	text_init(&t, demangled);
	bool cxx = text_is_cxx(&t);
	out->rust =
		!cxx && (demangled[0] == '<' || text_find(&t, (struct span){0, t.n}, "::") < t.n ||
				rust_symbol(demangled));
	if (out->rust)
		rust_read(out, &t);
	else if (cxx)
		cxx_read(out, &t);
	else
		text_copy(out->brief, sizeof(out->brief), t.s, t.n);
}
