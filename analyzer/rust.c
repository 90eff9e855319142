/* SPDX-License-Identifier: MIT */
/*
 * Reads demangled names. One pass pairs the brackets, so that everything after it can step over generics in one go
 * and stays linear on any input; brackets without a partner (operators, character constants, names that were cut)
 * are plain text.
 */
#include "rust.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define READ_MAX  32768u /* bytes of a name that are looked at */
#define SEGS_MAX  32u
#define DEPTH_MAX 32u
#define SHORT_MAX 4096u

struct text {
	const char *s;
	uint32_t n;
	uint32_t pair
		[READ_MAX]; /* of an opening bracket: its partner, n when cut off, 0 when it is plain text */
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

/* What can own memory, and which of its generic arguments say what is in it. */
struct container {
	const char *type;
	const char *name; /* NULL: as the type */
	uint8_t first_arg, n_args;
};

static const struct container containers[] = {
	{"Vec", NULL, 0, 1},
	{"RawVec", NULL, 0, 1},
	{"RawVecInner", NULL, 0, 0},
	{"VecDeque", NULL, 0, 1},
	{"BinaryHeap", NULL, 0, 1},
	{"LinkedList", NULL, 0, 1},
	{"String", NULL, 0, 0},
	{"Box", NULL, 0, 1},
	{"Rc", NULL, 0, 1},
	{"Arc", NULL, 0, 1},
	{"UniqueRc", NULL, 0, 1},
	{"UniqueArc", NULL, 0, 1},
	{"ThinArc", NULL, 0, 2},
	{"HashMap", NULL, 0, 2},
	{"HashSet", NULL, 0, 1},
	{"HashTable", NULL, 0, 1},
	{"RawTable", NULL, 0, 1},
	{"RawTableInner", NULL, 0, 0},
	{"BTreeMap", NULL, 0, 2},
	{"BTreeSet", NULL, 0, 1},
	{"LeafNode", "BTreeMap", 0, 2},
	{"InternalNode", "BTreeMap", 0, 2},
	{"NodeRef", "BTreeMap", 1, 2},
	{"IndexMap", NULL, 0, 2},
	{"IndexMapCore", NULL, 0, 2},
	{"IndexSet", NULL, 0, 1},
	{"DashMap", NULL, 0, 2},
	{"DashSet", NULL, 0, 1},
	{"SmallVec", NULL, 0, 1},
	{"ArrayVec", NULL, 0, 1},
	{"TinyVec", NULL, 0, 1},
	{"ThinVec", NULL, 0, 1},
	{"LinkedHashMap", NULL, 0, 2},
	{"LruCache", NULL, 0, 2},
	{"Slab", NULL, 0, 1},
};

static const char *const container_crates[] = {"alloc", "std", "core", "hashbrown", "indexmap",
	"smallvec", "dashmap", "triomphe", "arrayvec", "tinyvec", "thin_vec", "allocator_api2",
	"bumpalo", "hashlink", "lru", "slab", "servo_arc", NULL};

/* Crates whose types are known by their last name alone. */
static const char *const known_crates[] = {"alloc", "std", "core", "hashbrown", "indexmap",
	"smallvec", "dashmap", "triomphe", "arrayvec", "thin_vec", "rustc_hash", NULL};

/* ---- text ---- */

/* Letters, digits, '_', '$' and all that is not ASCII. A table: this is asked of every byte of every name. */
static const bool ident_bytes[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['_'] = true,
	['$'] = true,
	[0x80 ... 0xff] = true,
};

/* Opening brackets, and what closes them as the negative. */
static const signed char bracket_kinds[256] = {
	['<'] = 1, ['('] = 2, ['['] = 3, ['{'] = 4, ['>'] = -1, [')'] = -2, [']'] = -3, ['}'] = -4};

static bool is_ident(char c)
{
	return ident_bytes[(unsigned char)c];
}

static bool starts(const struct text *t, uint32_t at, const char *with)
{
	size_t n = strlen(with);
	return at <= t->n && n <= t->n - at && !memcmp(t->s + at, with, n);
}

static bool equals(const struct text *t, struct span x, const char *with)
{
	return x.a < x.b && t->s[x.a] == *with && x.b - x.a == strlen(with) && starts(t, x.a, with);
}

static bool in_list(const struct text *t, struct span x, const char *const *list)
{
	for (; *list; list++)
		if (equals(t, x, *list))
			return true;
	return false;
}

/* Past a C++ operator's sign, which is no bracket: at is just after the word. */
static uint32_t skip_operator(const struct text *t, uint32_t at)
{
	if (starts(t, at, "()") || starts(t, at, "[]"))
		return at + 2;
	while (at < t->n && strchr("<>=!-+*/%^&|~,", t->s[at]))
		at++;
	return at;
}

static inline bool at_operator(const struct text *t, uint32_t i)
{
	return t->s[i] == 'o' && t->s[i + 1] == 'p' && starts(t, i, "operator") &&
	       (!i || !is_ident(t->s[i - 1])) && (i + 8 >= t->n || !is_ident(t->s[i + 8]));
}

static void text_init(struct text *t, const char *s)
{
	uint32_t open[4] = {0};    /* how many of each kind are on the stack */
	uint32_t top = UINT32_MAX; /* the stack is linked through pair[] */
	t->s = s;
	t->n = (uint32_t)strnlen(s, READ_MAX - 1);
	for (uint32_t i = 0; i < t->n; i++) {
		char c = s[i];
		if (is_ident(c)) {
			if (at_operator(t, i)) {
				uint32_t end = skip_operator(t, i + 8);
				memset(t->pair + i, 0, (end - i) * sizeof(*t->pair));
				i = end - 1;
			}
		} else if (c == '\'' && i + 2 < t->n && s[i + 2] == '\'') {
			t->pair[i + 1] = 0; /* a constant: '<' */
			i += 2;
		} else if (bracket_kinds[(unsigned char)c] > 0) {
			open[bracket_kinds[(unsigned char)c] - 1]++;
			t->pair[i] = top;
			top = i;
		} else if (bracket_kinds[(unsigned char)c] < 0) {
			int kind = -bracket_kinds[(unsigned char)c];
			if (!open[kind - 1] ||
				(c == '>' && i && (s[i - 1] == '-' || s[i - 1] == '=')))
				continue;
			for (bool done = false; !done;) {
				uint32_t below = t->pair[top];
				int above = bracket_kinds[(unsigned char)s[top]];
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

static bool is_bracket(const struct text *t, uint32_t i)
{
	return bracket_kinds[(unsigned char)t->s[i]] > 0 && t->pair[i];
}

/* The next place at this depth, at most b. */
static inline uint32_t step(const struct text *t, uint32_t i, uint32_t b)
{
	uint32_t next = i + 1;
	if (is_ident(t->s[i])) {
		if (at_operator(t, i))
			next = skip_operator(t, i + 8);
	} else if (is_bracket(t, i)) {
		next = t->pair[i] + 1;
	}
	return next < b ? next : b;
}

/* Where `what` is found at this depth; x.b when it is not. */
static uint32_t find(const struct text *t, struct span x, const char *what)
{
	size_t n = strlen(what);
	uint32_t i = x.a;
	for (;;) {
		while (i < x.b && is_ident(t->s[i]) && t->s[i] != 'o') /* most of a name */
			i++;
		if (i >= x.b || (t->s[i] == *what && i + n <= x.b && !memcmp(t->s + i, what, n)))
			return i;
		i = step(t, i, x.b);
	}
}

/* Inside of the bracket at i, at most up to b. */
static struct span inside(const struct text *t, uint32_t i, uint32_t b)
{
	uint32_t end = t->pair[i] < b ? t->pair[i] : b;
	return (struct span){i + 1 < end ? i + 1 : end, end};
}

static void copy(char *out, size_t size, const char *from, size_t n)
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

static void append(char *out, size_t size, const struct text *t, struct span x)
{
	size_t have = strlen(out);
	if (size - have > sizeof("…"))
		copy(out + have, size - have, t->s + x.a, x.b - x.a);
}

static void append_word(char *out, size_t size, const char *word)
{
	size_t have = strlen(out);
	if (size - have > sizeof("…"))
		copy(out + have, size - have, word, strlen(word));
}

/* ---- paths and types ---- */

static void path_read(struct path *p, const struct text *t, struct span x)
{
	*p = (struct path){0};
	for (uint32_t a = x.a; a < x.b;) {
		struct span seg = {a, find(t, (struct span){a, x.b}, "::")};
		a = seg.b + 2;
		if (p->n && seg.b > seg.a && is_bracket(t, seg.a) && t->s[seg.a] == '<' &&
			!starts(t, seg.a, "<impl ")) {
			p->turbofish = inside(t, seg.a, seg.b);
			continue;
		}
		if (p->n == SEGS_MAX)
			memmove(p->segs + 1, p->segs + 2, (--p->n - 1) * sizeof(*p->segs));
		p->segs[p->n++] = seg;
	}
}

/* A segment's name without its generics and parameters. */
static struct span seg_name(const struct text *t, struct span seg)
{
	uint32_t i = seg.a;
	if (i < seg.b && (t->s[i] == '{' || at_operator(t, i)))
		return seg;
	while (i < seg.b && !(is_bracket(t, i) && strchr("<([", t->s[i])))
		i++;
	return (struct span){seg.a, i};
}

/* A type without its references, pointers and dyn. */
static struct span type_strip(const struct text *t, struct span x, bool *reference)
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
		} else if (starts(t, x.a, "for<") && t->pair[x.a + 3]) {
			x.a = step(t, x.a + 3, x.b);
			more = true;
		}
		for (size_t i = 0; words[i] && !more; i++)
			if (starts(t, x.a, words[i])) {
				x.a += (uint32_t)strlen(words[i]);
				more = true;
			}
	}
	if (x.a > x.b)
		x.a = x.b;
	return x;
}

/* Splits <self as trait>; trait is empty for <self>. */
static void qualified_read(
	const struct text *t, struct span in, struct span *self, struct span *trait)
{
	uint32_t as = find(t, in, " as ");
	*self = (struct span){in.a, as};
	*trait = (struct span){as < in.b ? as + 4 : in.b, in.b};
}

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
	struct span name = p.n ? seg_name(t, p.segs[p.n - 1]) : (struct span){0};
	if (equals(t, crate, "rayon"))
		return (equals(t, name, "ParallelIterator") ||
			       equals(t, name, "IndexedParallelIterator")) &&
		       !in_list(t, method, own_drive);
	if (!in_list(t, crate, crates))
		return false;
	if (equals(t, name, "Iterator") || equals(t, name, "DoubleEndedIterator"))
		return !in_list(t, method, own_next);
	return starts(t, name.a, "Spec") || in_list(t, name, traits);
}

static struct span type_crate(
	const struct text *t, struct span x, struct span method, unsigned depth);

/* The crate of <self as trait>::method or <self>::method. Empty: core's, or unknown. */
static struct span qualified_crate(
	const struct text *t, struct span in, struct span method, unsigned depth)
{
	struct span self, trait, none = {0};
	bool reference = false;
	qualified_read(t, in, &self, &trait);
	struct span self_crate = type_crate(t, self, method, depth + 1);
	if (trait.a == trait.b)
		return self_crate;
	struct span trait_crate = type_crate(t, trait, none, depth + 1);
	type_strip(t, self, &reference);
	if (self_crate.a == self_crate.b || t->s[trait.a] == '<' ||
		(reference && starts(t, trait.a, "core::ops::function::")) ||
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
		return qualified_crate(t, inside(t, x.a, x.b), method, depth);
	uint32_t i = x.a;
	while (i < x.b && is_ident(t->s[i]))
		i++;
	if (i + 2 <= x.b && starts(t, i, "::"))
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
	struct span name = seg_name(t, last);
	if (name.a < name.b) {
		if (t->s[name.a] == '{' && p.n > 1 && t->s[p.segs[p.n - 2].a] != '<') {
			append(out, size, t, seg_name(t, p.segs[p.n - 2]));
			append_word(out, size, "::");
		}
		append(out, size, t, name);
	} else if (last.a < last.b) {
		append_word(out, size,
			t->s[last.a] == '['   ? "[_]"
			: t->s[last.a] == '(' ? "(_)"
					      : "<_>");
	}
}

/* Generic arguments `first` up to first + n, as written, lifetimes not counted. */
static struct span args_pick(const struct text *t, struct span args, unsigned first, unsigned n)
{
	struct span picked = {0};
	unsigned index = 0;
	for (uint32_t a = args.a; a < args.b;) {
		uint32_t b = find(t, (struct span){a, args.b}, ",");
		struct span arg = {a, b};
		a = b + 1;
		while (arg.a < arg.b && t->s[arg.a] == ' ')
			arg.a++;
		if (arg.a < arg.b && t->s[arg.a] == '\'')
			continue;
		if (index == first)
			picked = arg;
		else if (index > first && index < first + n)
			picked.b = arg.b;
		index++;
	}
	return picked;
}

static void container_set(
	struct rust_name *out, const struct text *t, const struct container *c, struct span args)
{
	const char *name = c->name ? c->name : c->type;
	copy(out->container, sizeof(out->container), name, strlen(name));
	if (!c->n_args)
		return;
	struct span e = args_pick(t, args, c->first_arg, c->n_args);
	/* inline vectors are generic over an array: [T; N] */
	if (e.a < e.b && t->s[e.a] == '[' && t->pair[e.a] && strstr(c->type, "Vec") &&
		strcmp(c->type, "Vec") && strcmp(c->type, "RawVec")) {
		struct span in = inside(t, e.a, e.b);
		e = (struct span){in.a, find(t, in, ";")};
	}
	copy(out->element, sizeof(out->element), t->s + e.a, e.b - e.a);
}

/* Looks for a container among a path's segments, the last first. True when there is one. */
static bool container_read(struct rust_name *out, const struct text *t, const struct path *p)
{
	for (uint32_t i = p->n; i-- > 0;) {
		struct span seg = p->segs[i], name = seg_name(t, seg), args = {0};
		if (name.b < seg.b && t->s[name.b] == '<')
			args = inside(t, name.b, seg.b);
		/* a place in a B-tree's node: Handle<NodeRef<…>, …> */
		if (equals(t, name, "Handle")) {
			struct path node;
			path_read(&node, t, args_pick(t, args, 0, 1));
			return node.n && container_read(out, t, &node);
		}
		if ((equals(t, name, "VacantEntry") || equals(t, name, "OccupiedEntry")) && i > 2 &&
			equals(t, p->segs[i - 3], "btree")) {
			container_set(out, t, &(struct container){"BTreeMap", NULL, 0, 2}, args);
			return true;
		}
		for (size_t k = 0; k < sizeof(containers) / sizeof(*containers); k++)
			if (equals(t, name, containers[k].type)) {
				container_set(out, t, &containers[k], args);
				return true;
			}
	}
	return false;
}

static void rust_container(struct rust_name *out, const struct text *t, const struct path *p)
{
	static const struct container vec = {"Vec", NULL, 0, 1};
	struct path type = *p;
	struct span self, trait;
	bool reference = false;
	if (p->n && is_bracket(t, p->segs[0].a)) {
		qualified_read(t, inside(t, p->segs[0].a, p->segs[0].b), &self, &trait);
		/* <T as <[_]>::to_vec_in::ConvertVec>::to_vec: how v0 writes the heart of to_vec */
		if (trait.b - trait.a > 10 && starts(t, trait.b - 10, "ConvertVec")) {
			container_set(out, t, &vec, self);
			return;
		}
		self = type_strip(t, self, &reference);
		if (self.a < self.b && is_bracket(t, self.a)) {
			/* <[T]>::to_vec and the like */
			static const char *const makers[] = {"to_vec", "to_vec_in", "into_vec",
				"repeat", "concat", "join", NULL};
			if (t->s[self.a] == '[' && trait.a == trait.b && p->n > 1 &&
				in_list(t, p->segs[1], makers))
				container_set(out, t, &vec, inside(t, self.a, self.b));
			return;
		}
		path_read(&type, t, self);
		if (!type.n || !in_list(t, type.segs[0], container_crates))
			return;
		/* only the type itself: Option<Vec<T>> is no Vec, and a closure in Vec's method is none */
		if (type.n > 1) {
			container_read(out, t,
				&(struct path){
					.segs = {type.segs[0],
						type.n > 3 ? type.segs[type.n - 4] : type.segs[0],
						type.n > 2 ? type.segs[type.n - 3] : type.segs[0],
						type.segs[type.n - 2], type.segs[type.n - 1]},
					.n = 5});
		}
		return;
	}
	if (!p->n || !in_list(t, p->segs[0], container_crates))
		return;
	if (p->n == 3 && equals(t, p->segs[0], "alloc") && equals(t, p->segs[1], "vec") &&
		equals(t, p->segs[2], "from_elem"))
		container_set(out, t, &vec, p->turbofish);
	else
		container_read(out, t, p);
}

/* ---- C and C++ ---- */

/* The name proper of a C++ function: without "vtable for", return type, parameters and what follows them. */
static struct span cxx_head(const struct text *t)
{
	struct span x = {0, t->n};
	for (uint32_t i = 0; i < t->n; i = step(t, i, t->n))
		if (t->s[i] == '(' && !starts(t, i, "(anonymous namespace)") && t->pair[i])
			x.b = i;
	for (uint32_t i = 0; i < x.b; i = step(t, i, x.b)) {
		if (at_operator(t, i))
			break;
		if (t->s[i] == ' ' && i + 1 < x.b)
			x.a = i + 1;
	}
	return x;
}

static bool is_cxx(const struct text *t)
{
	for (uint32_t i = 0; i < t->n; i = step(t, i, t->n))
		if (t->s[i] == '(' || t->s[i] == ' ' || at_operator(t, i))
			return true;
	return false;
}

static bool has_prefix(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strncmp(s, *list, strlen(*list)))
			return true;
	return false;
}

/* Symbols without a path that Rust makes. */
static bool is_rust_symbol(const char *s)
{
	static const char *const prefixes[] = {"__rust_", "__rdl_", "__rg_", "rust_begin_unwind",
		"rust_eh_personality", "rust_panic", NULL};
	return has_prefix(s, prefixes);
}

static bool is_c_plumbing(const char *s)
{
	static const char *const names[] = {"malloc", "calloc", "realloc", "free", "reallocarray",
		"posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc", "cfree",
		"free_sized", "free_aligned_sized", "malloc_usable_size", "strdup", "strndup",
		"wcsdup", "asprintf", "vasprintf", "getline", "getdelim", "open_memstream", "fopen",
		"fopen64", "fdopen", "opendir", "fdopendir", "scandir", "realpath", "getcwd",
		"setlocale", "newlocale", "qsort", "qsort_r", "getaddrinfo", "setenv", "putenv",
		"tsearch", "CRYPTO_malloc", "CRYPTO_zalloc", "CRYPTO_realloc", "CRYPTO_strdup",
		"CRYPTO_strndup", "CRYPTO_memdup", "start_thread", "clone", "clone3", "__clone", "__clone3", "_start",
		"_init", "dlopen", "dlsym", "dlclose", "dlerror", "call_init", "atexit", "exit",
		"pthread_create", "pthread_once", "pthread_setspecific", "new_heap", "sysmalloc",
		"arena_get2", "arena_get_retry", "tcache_init", "openaux", "allocate_dtv",
		"allocate_stack", NULL};
	/* prefixes of the allocators' and the loader's own */
	static const char *const prefixes[] = {"__libc_", "__GI_", "_int_", "_dl_", "__dl", "_mi_",
		"mi_", "je_", "_rjem_", "tc_", "__cxa_", "_Unwind_", "__gthread", "__pthread_",
		"__tls_get_addr", "__tls_", "__nptl_", "_IO_", "__fopen", "__strdup", "__strndup",
		"__asprintf", "__vasprintf", "__new_", "__start_thread", "__run_exit_handlers",
		"__static_initialization", "_GLOBAL__sub_I_", NULL};
	/* frames without a name, in the C library and its kin */
	static const char *const modules[] = {"libc.so", "libc-", "ld-linux", "ld-musl",
		"libpthread", "libstdc++", "libgcc_s", "libm.so", "libdl", "libheaptally",
		"libjemalloc", "libmimalloc", "libtcmalloc", NULL};
	for (size_t i = 0; names[i]; i++)
		if (s[0] == names[i][0] && !strcmp(s, names[i]))
			return true;
	return has_prefix(s, prefixes) || (strstr(s, "+0x") && has_prefix(s, modules));
}

static void cxx_read(struct rust_name *out, const struct text *t)
{
	struct path p;
	struct span head = cxx_head(t);
	path_read(&p, t, head);
	uint32_t n = 0; /* anonymous namespaces say nothing */
	for (uint32_t i = 0; i < p.n; i++)
		if (!starts(t, p.segs[i].a, "(anonymous namespace)"))
			p.segs[n++] = p.segs[i];
	if (n > 1 && n == p.n && is_ident(t->s[p.segs[0].a])) {
		struct span crate = seg_name(t, p.segs[0]);
		copy(out->crate, sizeof(out->crate), t->s + crate.a, crate.b - crate.a);
	} else if (n > 2 && is_ident(t->s[p.segs[0].a])) {
		struct span crate = seg_name(t, p.segs[0]);
		copy(out->crate, sizeof(out->crate), t->s + crate.a, crate.b - crate.a);
	}
	if (n > 1) {
		append(out->brief, sizeof(out->brief), t, seg_name(t, p.segs[n - 2]));
		append_word(out->brief, sizeof(out->brief), "::");
	}
	if (n)
		append(out->brief, sizeof(out->brief), t, seg_name(t, p.segs[n - 1]));
}

/* ---- Rust ---- */

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
		out->closure = out->closure || starts(t, p.segs[f].a, "{closure") ||
			       starts(t, p.segs[f].a, "{{closure");
	}
	struct span function = p.segs[f - 1];
	struct span crate;
	if (is_bracket(t, p.segs[0].a) && t->s[0] == '<') {
		struct span method = p.n > 1 ? seg_name(t, p.segs[1]) : (struct span){0};
		struct span in = inside(t, p.segs[0].a, p.segs[0].b);
		crate = qualified_crate(t, in, method, 0);
		/* inherent methods of builtin types can only be the standard library's */
		if (crate.a == crate.b && in.a < in.b)
			strcpy(out->crate, "core");
	} else {
		crate = p.n > 1 ? seg_name(t, p.segs[0]) : (struct span){0};
	}
	if (crate.a < crate.b)
		copy(out->crate, sizeof(out->crate), t->s + crate.a, crate.b - crate.a);

	char *brief = out->brief;
	size_t size = sizeof(out->brief);
	uint32_t owner = f >= 2 ? f - 2 : UINT32_MAX;
	while (owner != UINT32_MAX && owner > 0 && t->s[p.segs[owner].a] == '{')
		owner--;
	if (owner != UINT32_MAX) {
		struct span self, trait;
		if (is_bracket(t, p.segs[owner].a) && t->s[p.segs[owner].a] == '<') {
			qualified_read(
				t, inside(t, p.segs[owner].a, p.segs[owner].b), &self, &trait);
			uint32_t target =
				find(t, self, " for "); /* legacy: <impl Trait for Type> */
			if (starts(t, self.a, "impl ") && target < self.b)
				self.a = target + 5;
			type_brief(brief, size, t, self);
		} else {
			append(brief, size, t, seg_name(t, p.segs[owner]));
		}
		if (*brief)
			append_word(brief, size, "::");
	}
	append(brief, size, t, seg_name(t, function));
	for (uint32_t i = f; i < p.n; i++) {
		append_word(brief, size, "::");
		append(brief, size, t, p.segs[i]);
	}
	rust_container(out, t, &p);
}

void rust_name_read(struct rust_name *out, const char *demangled)
{
	struct text t;
	memset(out, 0, sizeof(*out));
	text_init(&t, demangled);
	bool cxx = is_cxx(&t);
	out->rust = !cxx && (demangled[0] == '<' || find(&t, (struct span){0, t.n}, "::") < t.n ||
				    is_rust_symbol(demangled));
	if (out->rust)
		rust_read(out, &t);
	else if (cxx)
		cxx_read(out, &t);
	else
		copy(out->brief, sizeof(out->brief), t.s, t.n);
}

bool rust_name_plumbing(
	const struct rust_name *name, const char *demangled, const char *const *crates)
{
	if (name->rust) {
		/* whatever crate wraps the allocator */
		if (strstr(demangled, " as core::alloc::global::GlobalAlloc>::"))
			return true;
		if (!*name->crate || !strcmp(name->crate, "__rustc"))
			return is_rust_symbol(demangled) || *name->crate;
		for (size_t i = 0; crates && crates[i]; i++)
			if (!strcmp(name->crate, crates[i]))
				return true;
		return false;
	}
	if (*name->crate)
		return !strcmp(name->crate, "std") || !strcmp(name->crate, "__gnu_cxx") ||
		       !strcmp(name->crate, "__cxxabiv1") || !strcmp(name->crate, "tcmalloc");
	return !strncmp(demangled, "operator new", 12) ||
	       !strncmp(demangled, "operator delete", 15) || is_c_plumbing(demangled);
}

/* ---- short names ---- */

struct shortener {
	const struct text *t;
	char out[SHORT_MAX];
	size_t n;
	bool cxx;
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
		if (end + 2 < b && starts(t, end, "::") && is_ident(t->s[end + 2]))
			end += 2;
		else
			break;
	}
	struct span crate = {a, find(t, (struct span){a, end}, "::")};
	uint32_t from = type != UINT32_MAX ? type : before;
	bool known = !w->cxx && in_list(t, crate, known_crates);
	if (n > 1 && from > a) {
		if (known || w->level >= 2)
			a = from;
		else if (w->level == 1 && from > crate.b + 2) {
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
		if (w->cxx && at_operator(t, i)) {
			uint32_t end = skip_operator(t, i + 8);
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
		} else if (c == '(' && w->cxx && is_bracket(t, i) && i > x.a &&
			   (is_ident(s[i - 1]) || s[i - 1] == '>' || s[i - 1] == ')')) {
			i = step(t, i, x.b); /* parameters */
		} else if (c == ':' && starts(t, i, "::<") && is_bracket(t, i + 2) &&
			   !starts(t, i + 2, "<impl ")) {
			i = step(t, i + 2, x.b);
		} else if (c == '<' && is_bracket(t, i)) {
			struct span in = inside(t, i, x.b), self, trait;
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
				   !starts(t, self.a, "impl ") && !starts(t, self.a, "dyn ")) {
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
			i = step(t, i, x.b);
		} else {
			put(w, &c, 1);
			i++;
		}
	}
}

size_t rust_name_short(char *out, size_t size, const char *demangled)
{
	struct text t;
	struct shortener w;
	if (!size)
		return 0;
	text_init(&t, demangled);
	w.t = &t;
	w.cxx = is_cxx(&t);
	struct span all = w.cxx ? cxx_head(&t) : (struct span){0, t.n};
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
