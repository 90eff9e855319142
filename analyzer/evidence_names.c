/* SPDX-License-Identifier: MIT */
/* What names say to the evidence: containers, element types, clones. Each function's is read once. */
#include <stdlib.h>
#include <string.h>

#include "evidence_internal.h"

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

struct evidence_text {
	struct element element;
	bool lost;
	UT_hash_handle hh;
	char text[];
};

static const char *const container_names[CONTAINER_N] = {
	"?", "allocation", "Box", "Arc", "Vec", "text", "hash table", "sharded map", "B-tree"};

static const struct {
	const char *name;
	enum container container;
} kinds[] = {
	{"Box", CONTAINER_BOX},
	{"Rc", CONTAINER_ARC},
	{"Arc", CONTAINER_ARC},
	{"UniqueRc", CONTAINER_ARC},
	{"UniqueArc", CONTAINER_ARC},
	{"ThinArc", CONTAINER_ARC},
	{"Vec", CONTAINER_VEC},
	{"RawVec", CONTAINER_VEC},
	{"RawVecInner", CONTAINER_VEC},
	{"VecDeque", CONTAINER_VEC},
	{"BinaryHeap", CONTAINER_VEC},
	{"SmallVec", CONTAINER_VEC},
	{"TinyVec", CONTAINER_VEC},
	{"ThinVec", CONTAINER_VEC},
	{"String", CONTAINER_STRING},
	{"HashMap", CONTAINER_TABLE},
	{"HashSet", CONTAINER_TABLE},
	{"HashTable", CONTAINER_TABLE},
	{"RawTable", CONTAINER_TABLE},
	{"RawTableInner", CONTAINER_TABLE},
	{"DashMap", CONTAINER_SHARDED},
	{"DashSet", CONTAINER_SHARDED},
	{"BTreeMap", CONTAINER_BTREE},
	{"BTreeSet", CONTAINER_BTREE},
};

/* Where a container is written, of functions told by source. */
static const struct {
	const char *source;
	enum container container;
} sources[] = {
	{"alloc::raw_vec", CONTAINER_VEC},
	{"alloc::vec", CONTAINER_VEC},
	{"alloc::collections::vec_deque", CONTAINER_VEC},
	{"alloc::collections::binary_heap", CONTAINER_VEC},
	{"smallvec::", CONTAINER_VEC},
	{"thin_vec::", CONTAINER_VEC},
	{"alloc::collections::btree", CONTAINER_BTREE},
	{"hashbrown::", CONTAINER_TABLE},
	{"alloc::string", CONTAINER_STRING},
	{"alloc::str", CONTAINER_STRING},
	{"alloc::fmt", CONTAINER_STRING},
};

static const struct {
	const char *name;
	uint32_t bytes;
} builtins[] = {
	{"u8", 1},
	{"i8", 1},
	{"bool", 1},
	{"u16", 2},
	{"i16", 2},
	{"u32", 4},
	{"i32", 4},
	{"f32", 4},
	{"char", 4},
	{"u64", 8},
	{"i64", 8},
	{"f64", 8},
	{"usize", 8},
	{"isize", 8},
	{"u128", 16},
	{"i128", 16},
	{"alloc::string::String", 24},
	{"&str", 16},
};

const char *container_name(enum container c)
{
	return container_names[c];
}

static const struct element *intern(struct evidence_names *names, const char *text, size_t n)
{
	struct evidence_text *x;

	HASH_FIND(hh, names->texts, text, n, x);
	if (x)
		return &x->element;
	x = malloc(sizeof(*x) + n + 1);
	if (!x) {
		names->bad = true;
		return names->none;
	}
	memcpy(x->text, text, n);
	x->text[n] = '\0';
	x->element = (struct element){names->n_texts++, x->text};
	x->lost = false;
	HASH_ADD_KEYPTR(hh, names->texts, x->text, n, x);
	if (x->lost) {
		free(x);
		names->bad = true;
		return names->none;
	}
	return &x->element;
}

/* The name less its turbofish arguments: f::<A>::{closure#0} is f::{closure#0}. */
static const struct element *intern_root(struct evidence_names *names, const char *name)
{
	size_t n = 0, depth = 0;
	char *root = malloc(strlen(name) + 1);

	if (!root) {
		names->bad = true;
		return names->none;
	}
	for (const char *s = name; *s; s++) {
		if (!depth && !strncmp(s, "::<", 3)) {
			depth = 1;
			s += 2;
		} else if (depth) {
			depth += *s == '<';
			depth -= *s == '>' && s[-1] != '-';
		} else {
			root[n++] = *s;
		}
	}
	const struct element *x = intern(names, root, n);
	free(root);
	return x;
}

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static bool is_text(const char *name, const struct rust_name *r, enum container c)
{
	if (c == CONTAINER_VEC || c == CONTAINER_BOX || c == CONTAINER_ARC)
		return !strcmp(r->element, "u8") || !strcmp(r->element, "str");
	static const char *const owners[] = {"alloc::fmt::format",
		"alloc::str::", "<str>::", "<str as ", "std::path::Path", "<std::path::Path",
		"<std::ffi::os_str::Os", NULL};
	for (size_t i = 0; owners[i]; i++)
		if (starts(name, owners[i]))
			return true;
	return false;
}

/* A B-tree's node is a Box: Box<…::btree::node::LeafNode<K, V>>. */
static void read_node(struct evidence_names *names, struct function_facts *f)
{
	const char *from = strchr(f->element->text, '<');

	if (!starts(f->element->text, "alloc::collections::btree::node::"))
		return;
	f->container = CONTAINER_BTREE;
	size_t n = from ? strlen(from + 1) : 0;
	f->element = intern(names, n ? from + 1 : "", n && from[n] == '>' ? n - 1 : n);
}

const struct function_facts *names_facts(struct evidence_names *names, uint32_t function)
{
	const struct profile *p = names->profile;
	struct function_facts *f = &names->functions[function];
	const struct profile_function *pf = &p->functions[function];
	struct rust_name r;

	if (f->read)
		return f;
	f->read = true;
	f->element = names->none;
	f->root = intern_root(names, pf->name);
	for (size_t i = 0; pf->by_source && i < sizeof(sources) / sizeof(*sources); i++)
		if (starts(pf->name, sources[i].source))
			f->container = sources[i].container;
	if (pf->unnamed || function >= p->tally->n_functions)
		return f;
	f->clone = strstr(pf->name, "core::clone::Clone>::clone");
	if (!pf->plumbing)
		return f;
	rust_name_read(&r, pf->name);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, r.container))
			f->container = kinds[i].container;
	if (is_text(pf->name, &r, f->container))
		f->container = CONTAINER_STRING;
	f->element = intern(names, r.element, strlen(r.element));
	read_node(names, f);
	f->grows_vec = f->container == CONTAINER_VEC &&
		       (strstr(pf->name, "::grow_one") || strstr(pf->name, "::grow_amortized") ||
			       strstr(pf->name, "::extend_trusted"));
	return f;
}

uint32_t names_builtin_bytes(const char *element)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(*builtins); i++)
		if (!strcmp(builtins[i].name, element))
			return builtins[i].bytes;
	return starts(element, "alloc::vec::Vec<") ? 24 : 0;
}

uint32_t names_root(struct evidence_names *names, uint32_t function)
{
	if (function == PROFILE_NONE)
		return 0;
	if (function >= names->profile->tally->n_functions ||
		names->profile->functions[function].unnamed)
		return UINT32_MAX - function;
	return names_facts(names, function)->root->id;
}

int names_init(struct evidence_names *names, const struct profile *p)
{
	*names = (struct evidence_names){.profile = p};
	names->functions = calloc((size_t)p->n_functions + 1, sizeof(*names->functions));
	names->none = intern(names, "", 0);
	return names->functions && names->none ? 0 : -1;
}

void names_release(struct evidence_names *names)
{
	struct evidence_text *x, *next;

	HASH_ITER(hh, names->texts, x, next)
	{
		HASH_DEL(names->texts, x);
		free(x);
	}
	free(names->functions);
}
