/* SPDX-License-Identifier: MIT */
/*
 * Which of a module's functions are an allocator's entry points. By name first. Without names: `alloc` gives itself
 * away by its arguments and its tested result; then the other roles are looked for near it, in the code that the same
 * object file or the same shims were linked from. What only wraps another allocator is told by what it calls.
 */
#include "find.h"

#include <string.h>

#include "find_code.h"
#include "find_describe.h"
#include "find_names.h"
#include "find_sites.h"

enum {
	FEWEST_SITES = 4,   /* of a seed */
	CHEAP_LOOK = 12,    /* sites looked at before the full look */
	SAMPLE = 300,       /* sites looked at in full */
	MAX_SEEDS = 64,
	MAX_NEAR = 4096,
	NEAR = 192 * 1024,  /* an allocator's code, or its part that has entry points */
	SHIMS = 512,        /* Rust's four shims */
	ADJACENT = 16384,
};

/* A function with a claim to a role. */
struct claim {
	enum find_role role;
	enum find_shape shape;
	uint64_t function; /* that was seen called */
	uint64_t inner;    /* where it leads when it only jumps on */
	uint64_t inner_slot;
	enum find_shape inner_shape;
	uint32_t weight;
	struct find_evidence evidence;
};

struct search {
	struct find_result *result;
	struct sites sites;
	struct elf_view view;
	/* All slots by the function they hold: heads by function are found in the target table's own order. */
	struct target **slots;
	uint32_t n_slots;
};

const char *find_role_name(enum find_role role)
{
	static const char *const names[FIND_ROLES] = {"alloc", "alloc_zeroed", "realloc", "dealloc"};
	return role < FIND_ROLES ? names[role] : "";
}

const char *find_shape_name(enum find_shape shape)
{
	static const char *const names[FIND_SHAPES] = {
		[FIND_SIZE] = "(size)",
		[FIND_SIZE_ALIGN] = "(size, align)",
		[FIND_SIZE_FLAGS] = "(size, flags)",
		[FIND_COUNT_SIZE] = "(count, size)",
		[FIND_ALIGN_SIZE] = "(align, size)",
		[FIND_OUT_ALIGN_SIZE] = "(&ptr, align, size)",
		[FIND_PTR] = "(ptr)",
		[FIND_PTR_SIZE] = "(ptr, size)",
		[FIND_PTR_SIZE_ALIGN] = "(ptr, size, align)",
		[FIND_PTR_SIZE_FLAGS] = "(ptr, size, flags)",
		[FIND_PTR_OTHER] = "(ptr, ...)",
		[FIND_PTR_NEW] = "(ptr, new)",
		[FIND_PTR_NEW_ALIGN] = "(ptr, new, align)",
		[FIND_PTR_NEW_FLAGS] = "(ptr, new, flags)",
		[FIND_PTR_OLD_ALIGN_NEW] = "(ptr, old, align, new)",
	};
	return shape < FIND_SHAPES ? names[shape] : "";
}

/* --- slots by function --- */

static void sift(struct target **slots, uint32_t at, uint32_t n)
{
	for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && slots[child]->function < slots[child + 1]->function)
			child++;
		if (slots[at]->function >= slots[child]->function)
			return;
		struct target *t = slots[at];
		slots[at] = slots[child];
		slots[child] = t;
	}
}

/* A heap sort: in place, no recursion. */
static int index_slots(struct search *s)
{
	const struct sites *sites = &s->sites;
	uint32_t n = 0;
	for (uint32_t i = 0; i <= sites->mask; i++)
		n += sites->targets[i].function != 0;
	s->slots = sites->memory->map(((size_t)n + 1) * sizeof(*s->slots));
	if (!s->slots)
		return -1;
	for (uint32_t i = 0; i <= sites->mask; i++)
		if (sites->targets[i].function)
			s->slots[s->n_slots++] = &sites->targets[i];
	for (uint32_t i = n / 2; i-- > 0;)
		sift(s->slots, i, n);
	for (uint32_t i = n; i-- > 1;) {
		struct target *t = s->slots[0];
		s->slots[0] = s->slots[i];
		s->slots[i] = t;
		sift(s->slots, 0, i);
	}
	return 0;
}

/* The first slot whose function is not below vaddr. */
static uint32_t first_slot(const struct search *s, uint64_t vaddr)
{
	uint32_t low = 0, high = s->n_slots;
	uint64_t offset = vaddr < s->view.low ? 0 : vaddr - s->view.low;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (s->slots[middle]->function < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t function_of(const struct search *s, const struct target *t)
{
	return s->view.low + (t->function ? t->function : t->offset);
}

/* --- reading evidence --- */

/* Calls of a function, however it is reached; counts are added up in e where that is wanted. */
static uint32_t look(
	const struct search *s, uint64_t function, struct find_evidence *evidence, struct find_entry *e)
{
	struct evidence_counts counts = {0};
	const struct target *direct = sites_target(&s->sites, function);
	uint32_t calls = 0;
	if (direct && !direct->function) {
		evidence_add(&counts, &s->sites, direct, SAMPLE);
		calls += direct->calls;
		if (e) {
			e->calls = direct->calls;
			e->tails = direct->tails;
			e->pointers = direct->pointers;
		}
	}
	for (uint32_t i = first_slot(s, function); i < s->n_slots; i++) {
		const struct target *slot = s->slots[i];
		if (function_of(s, slot) != function)
			break;
		evidence_add(&counts, &s->sites, slot, SAMPLE);
		calls += slot->calls + slot->tails;
		if (e && e->n_slots < FIND_MAX_SLOTS) {
			e->slots[e->n_slots++] = s->view.low + slot->offset;
			e->slot_calls += slot->calls;
			e->slot_tails += slot->tails;
			e->slot_loads += slot->loads;
		}
	}
	if (e && e->pointers >= e->n_slots)
		e->pointers -= e->n_slots;
	*evidence = evidence_close(&counts);
	return calls;
}

/* How the arguments of `alloc` look; zeroed ones look the same. */
static bool alloc_like(const struct find_evidence *v, enum find_shape *shape)
{
	if (v->sites < FEWEST_SITES || v->result_tested < 50)
		return false;
	*shape = FIND_SIZE_ALIGN;
	if (v->rsi_alignment >= 70 && v->rsi_zero_flag < 50 && v->rdx_set <= 15 && v->rcx_set <= 50)
		return v->result_tested >= 60;
	*shape = FIND_SIZE;
	return v->rsi_set <= 15 && v->rdx_set <= 15 && v->rdi_immediate >= 25 && v->result_tested >= 80;
}

/* --- what it is made of --- */

static bool libc_allocates(const char *name)
{
	static const char *const names[] = {"malloc", "calloc", "realloc", "posix_memalign",
		"aligned_alloc", "memalign", "free"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (elf_same(name, names[i]))
			return true;
	return false;
}

static struct claim claim_inner(const struct search *s, struct claim c)
{
	struct thunk t = sites_follow(&s->sites, c.function);
	c.inner = c.function;
	c.inner_shape = c.shape;
	if (t.import || !t.function || t.function == c.function)
		return c;
	/* Arguments that only the shim takes are gone behind it. */
	enum find_shape shape = c.shape;
	if (c.shape == FIND_PTR_OLD_ALIGN_NEW)
		shape = t.from[1] == 3 && t.from[2] == 2 ? FIND_PTR_NEW_ALIGN
			: t.from[1] == 1 && t.from[2] == 2 && t.from[3] == 3
			? FIND_PTR_OLD_ALIGN_NEW
			: FIND_SHAPES;
	else if (c.role != FIND_DEALLOC && (t.from[1] != 1 || t.from[2] != 2))
		shape = FIND_SHAPES;
	if (shape == FIND_SHAPES)
		return c;
	c.inner = t.function;
	c.inner_slot = t.slot;
	c.inner_shape = shape;
	return c;
}

/* Does it end in libc's allocator, directly or one call deeper? */
static bool ends_in_libc(const struct search *s, uint64_t function)
{
	struct callee first[MAX_CALLEES], second[MAX_CALLEES];
	size_t n = sites_callees(&s->sites, function, first);
	for (size_t i = 0; i < n; i++) {
		if (first[i].import && libc_allocates(first[i].import))
			return true;
		if (!first[i].function)
			continue;
		struct thunk t = sites_follow(&s->sites, first[i].function);
		if (t.import && libc_allocates(t.import))
			return true;
		size_t m = sites_callees(&s->sites, first[i].function, second);
		for (size_t k = 0; k < m; k++) {
			const char *import = second[k].import;
			if (!import && second[k].function)
				import = sites_follow(&s->sites, second[k].function).import;
			if (import && libc_allocates(import))
				return true;
		}
	}
	return false;
}

/* Does its code, not that of what it calls, call one of the claims' functions? */
static bool calls_claim(
	const struct search *s, uint64_t function, const struct claim *claims, uint32_t n, uint32_t self)
{
	struct callee callees[MAX_CALLEES];
	size_t n_callees = sites_callees(&s->sites, function, callees);
	for (size_t i = 0; i < n_callees; i++) {
		if (!callees[i].function)
			continue;
		struct thunk t = sites_follow(&s->sites, callees[i].function);
		for (uint32_t k = 0; k < n; k++)
			if (k != self && claims[k].inner != claims[self].inner &&
				(claims[k].function == callees[i].function ||
					claims[k].inner == callees[i].function ||
					(t.function && claims[k].inner == t.function)))
				return true;
	}
	return false;
}

/* Within a few calls from one function, is another reached? */
static bool reaches(const struct search *s, uint64_t from, uint64_t to)
{
	enum { FRONT = 96 };
	uint64_t front[FRONT] = {from};
	unsigned n = 1, done = 0;
	struct callee callees[MAX_CALLEES];
	for (; done < n; done++) {
		size_t n_callees = sites_callees(&s->sites, front[done], callees);
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			unsigned k = 0;
			if (next == to)
				return true;
			if (!next || next - (from - NEAR) > 2 * NEAR)
				continue;
			while (k < n && front[k] != next)
				k++;
			if (k == n && n < FRONT)
				front[n++] = next;
		}
	}
	return false;
}

/* --- seeds: alloc --- */

static void seed_add(struct claim *seeds, uint32_t *n, const struct claim *c)
{
	uint32_t at = *n < MAX_SEEDS ? (*n)++ : MAX_SEEDS - 1;
	if (at == MAX_SEEDS - 1 && seeds[at].weight >= c->weight)
		return;
	for (; at && seeds[at - 1].weight < c->weight; at--)
		seeds[at] = seeds[at - 1];
	seeds[at] = *c;
}

/* By weight, heaviest first. */
static uint32_t find_seeds(const struct search *s, struct claim seeds[MAX_SEEDS])
{
	uint32_t n = 0;
	for (uint32_t i = 0; i <= s->sites.mask; i++) {
		const struct target *t = &s->sites.targets[i];
		uint32_t seen;
		struct claim c = {.role = FIND_ALLOC};
		if (t->calls < FEWEST_SITES || t->import)
			continue;
		bool slot = sites_is_slot(&s->sites, t);
		if (slot && !t->function)
			continue;
		if (evidence_tested(&s->sites, t, CHEAP_LOOK, &seen) * 2 < seen || seen < FEWEST_SITES)
			continue;
		c.function = function_of(s, t);
		bool known = false;
		for (uint32_t k = 0; k < n && !known; k++)
			known = seeds[k].function == c.function;
		struct evidence_counts counts = {0};
		evidence_add(&counts, &s->sites, t, SAMPLE);
		c.evidence = evidence_close(&counts);
		if (known || !alloc_like(&c.evidence, &c.shape))
			continue;
		c.weight = look(s, c.function, &c.evidence, NULL);
		if (!alloc_like(&c.evidence, &c.shape))
			continue;
		c = claim_inner(s, c);
		seed_add(seeds, &n, &c);
	}
	return n;
}

/* --- the others, near it --- */

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a < b ? b - a : a - b;
}

/* What else the evidence allows, given that an allocator is near. */
static bool claim_role(struct claim *c, const struct claim *alloc)
{
	const struct find_evidence *v = &c->evidence;
	enum find_shape shape;
	bool flags = alloc->shape == FIND_SIZE;
	if (flags && v->result_tested >= 50 && v->rdx_set <= 15 && v->rsi_zero_flag >= 50) {
		c->role = FIND_ALLOC_ZEROED;
		c->shape = FIND_SIZE_FLAGS;
	} else if (flags && v->result_tested >= 50 && v->rsi_set >= 80 && v->rdx_zero >= 50) {
		c->role = FIND_REALLOC;
		c->shape = FIND_PTR_NEW_FLAGS;
	} else if (flags && v->result_tested >= 50 && v->rsi_set >= 90 && v->rdx_set <= 15 &&
		   v->rdi_immediate <= 10) {
		c->role = FIND_REALLOC;
		c->shape = FIND_PTR_NEW;
	} else if (flags && v->result_tested <= 10 && v->rsi_set >= 60 && v->rdx_zero >= 50) {
		c->role = FIND_DEALLOC;
		c->shape = FIND_PTR_SIZE_FLAGS;
	} else if (v->result_tested >= 50 && v->rdx_alignment >= 55) {
		if (v->rsi_set < 80 || v->rsi_alignment > 40)
			return false;
		c->role = FIND_REALLOC;
		c->shape = v->rcx_set >= 80 ? FIND_PTR_OLD_ALIGN_NEW : FIND_PTR_NEW_ALIGN;
	} else if (v->sites && v->result_tested >= 40 && v->rsi_alignment >= 70 &&
		   v->rdx_set <= 30 && alloc->shape == FIND_SIZE_ALIGN) {
		c->role = FIND_ALLOC_ZEROED;
		c->shape = FIND_SIZE_ALIGN;
	} else if (alloc_like(v, &shape) && shape == alloc->shape) {
		return false; /* a second alloc: it has its own seed */
	} else if (v->result_tested <= 10 && v->rdx_alignment >= 55 && v->rsi_set >= 80 &&
		   v->rcx_set <= 40 && v->rdi_immediate <= 5) {
		c->role = FIND_DEALLOC;
		c->shape = FIND_PTR_SIZE_ALIGN;
	} else if (v->result_tested <= 10 && v->result_used <= 35 && v->rsi_set <= 40 &&
		   v->rdx_set <= 40 && v->rdi_immediate <= 5) {
		c->role = FIND_DEALLOC;
		c->shape = FIND_PTR;
	} else {
		return false;
	}
	return true;
}

struct group {
	struct claim claims[FIND_ROLES]; /* weight 0: none */
};

/* How well a claim goes with this alloc; 0 for not at all. */
static uint64_t fitness(const struct search *s, const struct group *g, const struct claim *c)
{
	const struct claim *alloc = &g->claims[FIND_ALLOC], *realloc = &g->claims[FIND_REALLOC];
	uint64_t outer = distance(c->function, alloc->function);
	uint64_t inner = distance(c->inner, alloc->inner);
	uint64_t fit = c->weight;
	if (outer > SHIMS && inner > NEAR)
		return 0;
	if (outer <= SHIMS)
		fit *= 16;
	else if (inner <= ADJACENT)
		fit *= 4;
	/* Of two that might be `free`, realloc calls the right one. */
	if (c->role == FIND_DEALLOC && c->shape == FIND_PTR && realloc->weight &&
		reaches(s, realloc->inner, c->inner))
		fit *= 16;
	return fit;
}

static void consider(const struct search *s, const struct claim *alloc, uint64_t function,
	struct claim *near, uint32_t *n)
{
	struct claim c = {.function = function};
	if (function == alloc->function || function == alloc->inner || *n == MAX_NEAR)
		return;
	for (uint32_t i = *n; i-- > 0;)
		if (near[i].function == function)
			return;
	c.weight = look(s, function, &c.evidence, NULL);
	if (!c.weight || !claim_role(&c, alloc))
		return;
	c = claim_inner(s, c);
	if (c.inner != alloc->inner &&
		(c.role != FIND_ALLOC_ZEROED || c.weight < alloc->weight))
		near[(*n)++] = c;
}

static void consider_near(const struct search *s, const struct claim *alloc, uint64_t around,
	uint64_t reach, struct claim *near, uint32_t *n)
{
	uint64_t low = around - s->view.low > reach ? around - reach : s->view.low, last = 0;
	for (uint32_t i = first_slot(s, low); i < s->n_slots; i++) {
		uint64_t function = function_of(s, s->slots[i]);
		if (function > around + reach)
			break;
		if (function != last)
			consider(s, alloc, function, near, n);
		last = function;
	}
	for (uint32_t i = 0; i <= s->sites.mask; i++) {
		const struct target *t = &s->sites.targets[i];
		uint64_t function = s->view.low + t->offset;
		if (t->calls && function - low <= 2 * reach && !t->function && !t->import &&
			elf_executable(&s->view, function))
			consider(s, alloc, function, near, n);
	}
}

static int find_group(const struct search *s, struct group *g)
{
	/* dealloc last: realloc tells which it is */
	static const enum find_role order[] = {FIND_REALLOC, FIND_ALLOC_ZEROED, FIND_DEALLOC};
	const struct claim *alloc = &g->claims[FIND_ALLOC];
	uint32_t n = 0;
	struct claim *near = s->sites.memory->map(MAX_NEAR * sizeof(*near));
	if (!near)
		return -1;
	consider_near(s, alloc, alloc->inner, NEAR, near, &n);
	if (alloc->inner != alloc->function)
		consider_near(s, alloc, alloc->function, SHIMS, near, &n);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t best = 0;
		for (uint32_t k = 0; k < n; k++) {
			uint64_t fit = near[k].role == order[i] ? fitness(s, g, &near[k]) : 0;
			if (fit > best) {
				best = fit;
				g->claims[order[i]] = near[k];
			}
		}
	}
	s->sites.memory->unmap(near, MAX_NEAR * sizeof(*near));
	return 0;
}

/* --- results --- */

static void describe_start(const struct search *s, struct find_entry *e)
{
	static const uint8_t endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};
	const uint8_t *code = elf_at(&s->view, e->function, 48);
	unsigned at = 0;
	if (!code)
		return;
	e->endbr = !memcmp(code, endbr64, 4);
	while (at < 32) {
		struct find_instruction in;
		size_t n = find_decode(code + at, 16, &in);
		if (!n || in.rip_relative || in.relative_branch || at + n > 32)
			break;
		if (!in.map && !in.vector && (in.opcode == 0xc3 || in.opcode == 0xcc))
			break;
		at += (unsigned)n;
	}
	e->movable = (uint8_t)at;
}

static struct find_entry *add_entry(struct search *s, enum find_role role, enum find_shape shape,
	uint64_t function, uint8_t group)
{
	struct find_result *r = s->result;
	for (uint32_t i = 0; i < r->n_entries; i++)
		if (r->entries[i].function == function)
			return NULL;
	if (r->n_entries == FIND_MAX_ENTRIES)
		return NULL;
	struct find_entry *e = &r->entries[r->n_entries++];
	*e = (struct find_entry){
		.role = role, .shape = shape, .group = group, .function = function};
	look(s, function, &e->evidence, e);
	describe_start(s, e);
	return e;
}

/* Calls from the allocator's own code to itself do not count: what it does inside is its own business. */
static bool called_from_afar(const struct search *s, const struct find_entry *e)
{
	const struct target *t = sites_target(&s->sites, e->function);
	if (!t || t->function)
		return false;
	for (uint32_t at = t->first; at; at = s->sites.sites[at].next)
		if (distance(s->view.low + s->sites.sites[at].offset, e->function) > NEAR)
			return true;
	return t->calls > e->slot_calls + e->slot_tails + e->slot_loads;
}

static void finish_entries(struct search *s)
{
	struct find_result *r = s->result;
	for (uint32_t i = 0; i < r->n_entries; i++) {
		struct find_entry *e = &r->entries[i];
		e->by_slot = e->n_slots && e->slot_calls + e->slot_tails + e->slot_loads &&
			     !called_from_afar(s, e);
	}
	for (uint32_t i = 0; i < r->n_entries; i++) {
		struct callee callees[MAX_CALLEES];
		size_t n = sites_callees(&s->sites, r->entries[i].function, callees);
		for (size_t k = 0; k < n; k++)
			for (uint32_t j = 0; j < r->n_entries; j++)
				if (j != i && callees[k].function == r->entries[j].function &&
					(callees[k].slot || !r->entries[j].by_slot))
					r->entries[i].nested = true;
	}
}

static void search_by_calls(struct search *s)
{
	struct claim seeds[MAX_SEEDS];
	struct find_result *r = s->result;
	uint32_t n = find_seeds(s, seeds);
	bool wraps_libc = false, alone = false;
	for (uint32_t i = 0; i < n && r->n_groups < FIND_MAX_GROUPS; i++) {
		bool known = false;
		for (uint32_t k = 0; k < r->n_entries && !known; k++)
			known = r->entries[k].function == seeds[i].inner;
		if (known || calls_claim(s, seeds[i].function, seeds, n, i))
			continue;
		if (ends_in_libc(s, seeds[i].inner)) {
			wraps_libc = true;
			continue;
		}
		struct group g = {.claims[FIND_ALLOC] = seeds[i]};
		if (find_group(s, &g) || !g.claims[FIND_DEALLOC].weight) {
			alone |= seeds[i].weight >= 1000;
			continue;
		}
		for (unsigned k = 0; k < FIND_ROLES; k++)
			if (g.claims[k].weight)
				add_entry(s, (enum find_role)k, g.claims[k].inner_shape,
					g.claims[k].inner, (uint8_t)r->n_groups);
		r->n_groups++;
	}
	if (r->n_entries)
		return;
	if (wraps_libc || r->libc_allocs >= 20)
		r->unable = "its Rust or C code allocates through libc, which needs no adopting";
	else if (alone)
		r->unable = "something in it allocates, but what frees was not found";
	else
		r->unable = "no allocator was found in it";
}

static void add_named(void *arg, const char *name, enum find_role role, enum find_shape shape,
	uint64_t function)
{
	struct search *s = arg;
	if (!elf_executable(&s->view, function))
		return;
	struct find_entry *e = add_entry(s, role, shape, function, 0);
	if (!e)
		return;
	e->by_name = true;
	size_t n = strlen(name);
	memcpy(e->name, name, n < sizeof(e->name) ? n : sizeof(e->name) - 1);
}

static void search_by_name(struct search *s)
{
	struct find_result *r = s->result;
	const struct elf_symbols *tables[] = {&s->view.full, &s->view.dynamic};
	for (unsigned shims = 0; shims < 2 && !r->n_entries; shims++)
		for (unsigned i = 0; i < 2; i++)
			find_names(tables[i], shims, add_named, s);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < r->n_entries; i++)
		if (!ends_in_libc(s, r->entries[i].function))
			r->entries[kept++] = r->entries[i];
	r->n_entries = kept;
	r->n_groups = kept != 0;
}

int find_entries(struct find_result *result, const struct find_image *image, const struct find_memory *memory)
{
	struct search s = {.result = result};
	*result = (struct find_result){0};
	if (elf_open(&s.view, image, &result->unable))
		return -1;
	if (sites_init(&s.sites, &s.view, memory) || index_slots(&s)) {
		sites_release(&s.sites);
		result->unable = "there is no memory to look at it";
		return -1;
	}
	result->unable = NULL;
	find_describe(result, &s.view, &s.sites);
	search_by_name(&s);
	if (!result->n_entries)
		search_by_calls(&s);
	finish_entries(&s);
	memory->unmap(s.slots, ((size_t)s.n_slots + 1) * sizeof(*s.slots));
	sites_release(&s.sites);
	return 0;
}
