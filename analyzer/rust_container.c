/* SPDX-License-Identifier: MIT */
/* Which container's method a Rust function is, and what the container holds. */
#include "rust_text.h"

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

/* Generic arguments `first` up to first + n, as written, lifetimes not counted. */
static struct span args_pick(const struct text *t, struct span args, unsigned first, unsigned n)
{
	struct span picked = {0};
	unsigned index = 0;
	for (uint32_t a = args.a; a < args.b;) {
		uint32_t b = text_find(t, (struct span){a, args.b}, ",");
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
	text_copy(out->container, sizeof(out->container), name, strlen(name));
	if (!c->n_args)
		return;
	struct span e = args_pick(t, args, c->first_arg, c->n_args);
	/* inline vectors are generic over an array: [T; N] */
	if (e.a < e.b && t->s[e.a] == '[' && t->pair[e.a] && strstr(c->type, "Vec") &&
		strcmp(c->type, "Vec") && strcmp(c->type, "RawVec")) {
		struct span in = text_inside(t, e.a, e.b);
		e = (struct span){in.a, text_find(t, in, ";")};
	}
	text_copy(out->element, sizeof(out->element), t->s + e.a, e.b - e.a);
}

/* Looks for a container among a path's segments, the last first. True when there is one. */
static bool container_read(struct rust_name *out, const struct text *t, const struct path *p)
{
	for (uint32_t i = p->n; i-- > 0;) {
		struct span seg = p->segs[i], name = path_name(t, seg), args = {0};
		if (name.b < seg.b && t->s[name.b] == '<')
			args = text_inside(t, name.b, seg.b);
		/* a place in a B-tree's node: Handle<NodeRef<…>, …> */
		if (text_equals(t, name, "Handle")) {
			struct path node;
			path_read(&node, t, args_pick(t, args, 0, 1));
			return node.n && container_read(out, t, &node);
		}
		if ((text_equals(t, name, "VacantEntry") ||
			    text_equals(t, name, "OccupiedEntry")) &&
			i > 2 && text_equals(t, p->segs[i - 3], "btree")) {
			container_set(out, t, &(struct container){"BTreeMap", NULL, 0, 2}, args);
			return true;
		}
		for (size_t k = 0; k < sizeof(containers) / sizeof(*containers); k++)
			if (text_equals(t, name, containers[k].type)) {
				container_set(out, t, &containers[k], args);
				return true;
			}
	}
	return false;
}

void rust_container(struct rust_name *out, const struct text *t, const struct path *p)
{
	static const struct container vec = {"Vec", NULL, 0, 1};
	struct path type = *p;
	struct span self, trait;
	bool reference = false;
	if (p->n && text_is_bracket(t, p->segs[0].a)) {
		qualified_read(t, text_inside(t, p->segs[0].a, p->segs[0].b), &self, &trait);
		/* <T as <[_]>::to_vec_in::ConvertVec>::to_vec: how v0 writes the heart of to_vec */
		if (trait.b - trait.a > 10 && text_starts(t, trait.b - 10, "ConvertVec")) {
			container_set(out, t, &vec, self);
			return;
		}
		self = type_strip(t, self, &reference);
		if (self.a < self.b && text_is_bracket(t, self.a)) {
			/* <[T]>::to_vec and the like */
			static const char *const makers[] = {"to_vec", "to_vec_in", "into_vec",
				"repeat", "concat", "join", NULL};
			if (t->s[self.a] == '[' && trait.a == trait.b && p->n > 1 &&
				text_in_list(t, p->segs[1], makers))
				container_set(out, t, &vec, text_inside(t, self.a, self.b));
			return;
		}
		path_read(&type, t, self);
		if (!type.n || !text_in_list(t, type.segs[0], container_crates))
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
	if (!p->n || !text_in_list(t, p->segs[0], container_crates))
		return;
	if (p->n == 3 && text_equals(t, p->segs[0], "alloc") && text_equals(t, p->segs[1], "vec") &&
		text_equals(t, p->segs[2], "from_elem"))
		container_set(out, t, &vec, p->turbofish);
	else
		container_read(out, t, p);
}
