/* SPDX-License-Identifier: MIT */
/*
 * Which of a module's functions are an allocator's entry points. By name first. Without names: `alloc` gives itself
 * away by its arguments and its tested result; then the other roles are looked for near it, in the code that the same
 * object file or the same shims were linked from. What only wraps another allocator is told by what it calls.
 */
#include "find.h"

#include <string.h>

#include "find_describe.h"
#include "find_names.h"
#include "find_sites.h"

enum {
	FEWEST_SITES = 4, /* of a seed */
	CHEAP_LOOK = 12,  /* sites looked at before the full look */
	SAMPLE = 300,     /* sites looked at in full */
	MAX_SEEDS = 64,
	MAX_NEAR = 4096,
	NEAR = 192 * 1024, /* an allocator's code, or its part that has entry points */
	SHIMS = 512,       /* Rust's four shims */
	ADJACENT = 16384,
	CLIENTS_MARGIN = 4096,
	MAX_TRIED = 16,
	MINOR = 20, /* a second allocator called less than a 20th of the first is none */
};

/* A function with a claim to a role. */
struct claim {
	enum find_role role;
	enum find_shape shape;
	uint64_t function; /* that was seen called */
	uint64_t inner;    /* where it leads when it only jumps on */
	enum find_shape inner_shape;
	uint32_t weight;   /* calls of function */
	uint32_t by_shims; /* calls of functions that only jump on to inner */
	bool by_slot;
	uint32_t clients_low, clients_high; /* alloc: its direct calls lie between */
	bool past_slot;                     /* the shim jumps to inner directly */
	bool weak;                          /* to be believed only with help from elsewhere */
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
	static const char *const names[FIND_ROLES] = {
		"alloc", "alloc_zeroed", "realloc", "dealloc"};
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
static uint32_t look(const struct search *s, uint64_t function, struct find_evidence *evidence,
	struct find_entry *e)
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
			e->leas = direct->loads;
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
	if (v->rsi_alignment >= 70 && v->rdx_set <= 15 && v->rcx_set <= 50)
		return v->result_tested >= 60;
	*shape = FIND_SIZE;
	return v->rsi_set <= 15 && v->rdx_set <= 15 && v->rdi_immediate >= 25 &&
	       v->result_tested >= 80;
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
	/* Past any slot the jump may lead to code that the allocator's other entries share. */
	if (!t.slot) {
		struct find_evidence v;
		enum find_shape own;
		if (look(s, t.function, &v, NULL) < FEWEST_SITES || v.sites < FEWEST_SITES ||
			(c.role == FIND_ALLOC && !alloc_like(&v, &own)))
			return c;
	}
	c.past_slot = !t.slot;
	c.inner = t.function;
	c.inner_shape = shape;
	return c;
}

/* Where a function's memory comes from in the end. */
enum source { SOURCE_UNKNOWN, SOURCE_LIBC, SOURCE_SYSTEM, SOURCE_OTHER };

static bool system_maps(const char *name)
{
	return elf_same(name, "mmap") || elf_same(name, "mmap64") || elf_same(name, "sbrk") ||
	       elf_same(name, "munmap") || elf_same(name, "madvise");
}

/*
 * Breadth first over what it calls. Rust code far behind an allocator (a panic, a thread's end) may allocate through
 * libc; a wrapper of libc's gets there at once. `deep` believes libc's at any depth: for a module without the marks
 * of an allocator. Being `other`, or reaching it, makes it part of that.
 */
static enum source find_source(const struct search *s, uint64_t function, uint64_t other, bool deep)
{
	enum { FRONT = 800, NEAR_LIBC = 2 };
	uint64_t front[FRONT] = {function};
	unsigned n = 1, level_end = 1, depth = 0;
	struct callee callees[MAX_CALLEES];
	for (unsigned done = 0; done < n; done++) {
		if (done == level_end) {
			level_end = n;
			depth++;
		}
		size_t n_callees = sites_callees(&s->sites, front[done], callees);
		bool system = false;
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			const char *import = callees[i].import;
			unsigned k = 0;
			if (!import && next) {
				struct thunk t = sites_follow(&s->sites, next);
				import = t.import;
				next = t.function;
			}
			if (import && libc_allocates(import) && (deep || depth < NEAR_LIBC))
				return SOURCE_LIBC;
			if (import) {
				system |= system_maps(import);
				continue;
			}
			if (other && next == other)
				return SOURCE_OTHER;
			while (k < n && front[k] != next)
				k++;
			if (k == n && n < FRONT)
				front[n++] = next;
		}
		if (system)
			return SOURCE_SYSTEM;
	}
	return SOURCE_UNKNOWN;
}

/* Does its code, not that of what it calls, call one of the claims' functions? */
static bool calls_claim(const struct search *s, uint64_t function, const struct claim *claims,
	uint32_t n, uint32_t self)
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

/* Within a few calls from one function, is another reached? *copies: is memory copied on the way? */
static bool reaches_function(const struct search *s, uint64_t from, uint64_t to, bool *copies)
{
	enum { FRONT = 96 };
	bool found = false;
	*copies = false;
	uint64_t front[FRONT] = {from};
	unsigned n = 1, done = 0;
	struct callee callees[MAX_CALLEES];
	for (; done < n; done++) {
		size_t n_callees = sites_callees(&s->sites, front[done], callees);
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			const char *import = callees[i].import;
			unsigned k = 0;
			if (next && !import)
				import = sites_follow(&s->sites, next).import;
			if (import)
				*copies |=
					elf_same(import, "memcpy") || elf_same(import, "memmove");
			found |= next == to;
			if (found && *copies)
				return true;
			if (!next || next - (from - NEAR) > 2 * NEAR)
				continue;
			while (k < n && front[k] != next)
				k++;
			if (k == n && n < FRONT)
				front[n++] = next;
		}
	}
	return found;
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
		if (evidence_tested(&s->sites, t, CHEAP_LOOK, &seen) * 2 < seen ||
			seen < FEWEST_SITES)
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
		struct find_entry e = {0};
		c.weight = look(s, c.function, &c.evidence, &e);
		c.by_slot = e.n_slots && e.slot_calls + e.slot_tails + e.slot_loads >= e.calls;
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
	bool tested = v->result_tested >= 50,
	     unused = v->result_tested <= 10 && v->result_used <= 35;
	/* rustc emits the four shims together; code near them has more than one excuse for unclear arguments */
	bool shim = alloc->by_slot == c->by_slot && distance(c->function, alloc->function) <= SHIMS;
	bool two = v->rsi_set >= 80 && v->rdx_set <= 40;
	if (!v->sites)
		return false;
	if (alloc->shape == FIND_SIZE) { /* jemalloc's, which takes flags for what is unusual */
		if (tested && two && v->rdi_one >= 70) {
			c->role = FIND_ALLOC_ZEROED;
			c->shape = FIND_COUNT_SIZE;
		} else if (tested && two && v->rsi_small >= 50) {
			c->role = FIND_ALLOC;
			c->shape = FIND_SIZE_FLAGS;
		} else if (tested && v->rsi_set >= 60 && v->rdx_set >= 60 && v->rcx_set <= 40) {
			c->role = FIND_REALLOC;
			c->shape = FIND_PTR_NEW_FLAGS;
		} else if (tested && two && v->rdi_immediate <= 10) {
			c->role = FIND_REALLOC;
			c->shape = FIND_PTR_NEW;
		} else if (unused && v->rsi_set >= 60 && v->rdx_small >= 50 && v->rcx_set <= 60) {
			c->role = FIND_DEALLOC;
			c->shape = FIND_PTR_SIZE_FLAGS;
		} else if (unused && v->rsi_set <= 40 && v->rdx_set <= 40 &&
			   v->rdi_immediate <= 5) {
			c->role = FIND_DEALLOC;
			c->shape = FIND_PTR;
		} else {
			return false;
		}
		return true;
	}
	if (tested && v->rsi_set >= 80 && v->rsi_alignment <= 40 && v->rdx_alignment >= 45) {
		c->role = FIND_REALLOC;
		c->shape = v->rcx_set >= 80 ? FIND_PTR_OLD_ALIGN_NEW : FIND_PTR_NEW_ALIGN;
	} else if (v->result_tested >= 40 && v->rsi_alignment >= 60 && v->rdx_set <= 30) {
		c->role = FIND_ALLOC_ZEROED;
		c->shape = FIND_SIZE_ALIGN;
	} else if (unused && v->rdx_alignment >= 55 && v->rsi_set >= 80 && v->rsi_alignment <= 50 &&
		   v->rcx_set <= 40 && v->rdi_immediate <= 5) {
		c->role = FIND_DEALLOC;
		c->shape = FIND_PTR_SIZE_ALIGN;
	} else if (unused && v->rsi_set <= 40 && v->rdx_set <= 40 && v->rdi_immediate <= 5) {
		c->role = FIND_DEALLOC;
		c->shape = FIND_PTR;
	} else if (shim && v->result_tested >= 35 && v->rcx_set >= 80 && v->rsi_alignment <= 40) {
		c->role = FIND_REALLOC;
		c->shape = FIND_PTR_OLD_ALIGN_NEW;
	} else if (shim && v->result_tested >= 25 && v->rsi_set >= 80 && v->rdx_set <= 20) {
		c->role = FIND_ALLOC_ZEROED;
		c->shape = FIND_SIZE_ALIGN;
	} else if ((tested && v->rsi_set >= 60 && v->rdx_set >= 40 && v->rsi_alignment <= 40) ||
		   !v->returns) {
		/* Its one caller hands on an alignment that it was given. Believed only if nothing better is found. */
		c->role = FIND_REALLOC;
		c->shape = v->rcx_set >= 80 ? FIND_PTR_OLD_ALIGN_NEW : FIND_PTR_NEW_ALIGN;
		c->weak = true;
	} else {
		return false;
	}
	return true;
}

enum { MAX_CLAIMS = 8 };

/* One allocator: alloc first, then what belongs to it. */
struct group {
	struct claim claims[MAX_CLAIMS];
	unsigned n;
};

static const struct claim *group_claim(const struct group *g, enum find_role role)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->claims[i].role == role)
			return &g->claims[i];
	return NULL;
}

/* How well a claim goes with this alloc; 0 for not at all. */
static uint64_t fitness(const struct search *s, const struct group *g, const struct claim *c)
{
	const struct claim *alloc = &g->claims[0], *realloc = group_claim(g, FIND_REALLOC);
	const struct claim *dealloc = group_claim(g, FIND_DEALLOC);
	uint64_t outer = distance(c->function, alloc->function);
	uint64_t inner = distance(c->inner, alloc->inner);
	uint64_t fit = c->weight;
	bool copies;
	/* One compiler made all callers: they do not go through slots for one function and around them for another. */
	if ((outer > SHIMS && inner > NEAR) || (alloc->by_slot && !c->by_slot))
		return 0;
	if (outer <= SHIMS)
		fit *= 16;
	else if (inner <= ADJACENT)
		fit *= 4;
	/* In code that is not the allocator's own for sure, a realloc has to free what it moves from. */
	bool own = outer <= SHIMS || inner <= ADJACENT;
	bool doubtful = c->role == FIND_REALLOC && !own && dealloc && alloc->shape != FIND_SIZE;
	if (!own && (c->weak || c->weight < FEWEST_SITES))
		return 0;
	if ((c->weak || doubtful) &&
		(!dealloc || !reaches_function(s, c->inner, dealloc->inner, &copies) || !copies))
		return 0;
	/* Of two that might be `free`, realloc calls the right one. */
	if (c->role == FIND_DEALLOC && c->shape == FIND_PTR && realloc &&
		reaches_function(s, realloc->inner, c->inner, &copies))
		fit *= 16;
	return fit;
}

/* Of direct calls, those that come from where alloc is called from too: the allocator's own do not count. */
static uint32_t calls_between(
	const struct search *s, uint64_t function, uint32_t low, uint32_t high)
{
	const struct target *t = sites_target(&s->sites, function);
	uint32_t n = 0;
	for (uint32_t at = t ? t->first : 0; at; at = s->sites.sites[at].next)
		n += s->sites.sites[at].offset - low <= high - low;
	return n;
}

static void find_clients(const struct search *s, struct claim *alloc)
{
	const struct target *t = sites_target(&s->sites, alloc->function);
	alloc->clients_low = UINT32_MAX;
	for (uint32_t at = t ? t->first : 0; at; at = s->sites.sites[at].next) {
		uint32_t offset = s->sites.sites[at].offset;
		if (offset < alloc->clients_low)
			alloc->clients_low = offset;
		if (offset > alloc->clients_high)
			alloc->clients_high = offset;
	}
	/* the neighbours of the first and the last are clients as well */
	alloc->clients_low -= alloc->clients_low > CLIENTS_MARGIN ? CLIENTS_MARGIN : 0;
	alloc->clients_high += CLIENTS_MARGIN;
}

static void consider(const struct search *s, const struct claim *alloc, uint64_t function,
	struct claim *near, uint32_t *n)
{
	struct claim c = {.function = function};
	struct find_entry e = {0};
	if (function == alloc->function || *n == MAX_NEAR)
		return;
	c.weight = look(s, function, &c.evidence, &e);
	c.by_slot = e.n_slots && e.slot_calls + e.slot_tails + e.slot_loads;
	if (!alloc->by_slot)
		c.weight = calls_between(s, function, alloc->clients_low, alloc->clients_high);
	if (!c.weight)
		return;
	if (function == alloc->inner) { /* its own calls go without saying */
		return;
	}
	struct thunk t = sites_follow(&s->sites, function);
	if (t.function == alloc->inner) {
		c.inner = t.function; /* one more shim of alloc itself */
		c.role = FIND_ALLOC;
		c.shape = alloc->shape;
	} else if (!claim_role(&c, alloc)) {
		return;
	} else {
		c = claim_inner(s, c);
	}
	if (c.role != FIND_ALLOC_ZEROED || c.weight < alloc->weight)
		near[(*n)++] = c;
}

/* Every function that is called and lies within reach, once. */
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
	if (alloc->by_slot)
		return;
	for (uint32_t i = 0; i <= s->sites.mask; i++) {
		const struct target *t = &s->sites.targets[i];
		uint64_t function = s->view.low + t->offset;
		if (t->calls && function - low <= 2 * reach && !t->function && !t->import &&
			elf_executable(&s->view, function) && !t->pointers)
			consider(s, alloc, function, near, n);
	}
}

/* Does it only pass on to another that frees as well? RawVec's own deallocate does. */
static bool wraps(
	const struct search *s, const struct claim *c, const struct claim *near, uint32_t n)
{
	struct callee callees[MAX_CALLEES];
	size_t n_callees =
		c->role == FIND_DEALLOC ? sites_callees(&s->sites, c->inner, callees) : 0;
	for (size_t i = 0; i < n_callees; i++)
		for (uint32_t k = 0; k < n; k++)
			if (near[k].role == c->role && near[k].inner != c->inner &&
				callees[i].function == near[k].function &&
				near[k].weight >= c->weight / 2)
				return true;
	return false;
}

static void take_best(const struct search *s, struct group *g, enum find_role role, int shape,
	struct claim *near, uint32_t n)
{
	uint64_t best = 0;
	const struct claim *found = NULL;
	for (unsigned weak = 0; weak < 2 && !found; weak++)
		for (uint32_t k = 0; k < n; k++) {
			struct claim *c = &near[k];
			if (c->role != role || (shape >= 0 && c->shape != (enum find_shape)shape) ||
				c->weak != weak || c->inner == g->claims[0].inner)
				continue;
			uint64_t fit = fitness(s, g, c);
			if (fit > best && !wraps(s, c, near, n)) {
				best = fit;
				found = c;
			}
		}
	if (!found || g->n == MAX_CLAIMS)
		return;
	struct claim *to = &g->claims[g->n++];
	*to = *found;
	for (uint32_t k = 0; k < n; k++)
		if (near[k].inner == to->inner && near[k].function != to->inner) {
			to->by_shims += near[k].weight;
			to->past_slot |= near[k].past_slot;
		}
}

static int find_group(const struct search *s, struct group *g)
{
	struct claim *alloc = &g->claims[0];
	uint32_t n = 0;
	struct claim *near = s->sites.memory->map(MAX_NEAR * sizeof(*near));
	if (!near)
		return -1;
	find_clients(s, alloc);
	consider_near(s, alloc, alloc->inner, NEAR, near, &n);
	if (distance(alloc->inner, alloc->function) > NEAR)
		consider_near(s, alloc, alloc->function, SHIMS, near, &n);
	for (uint32_t k = 0; k < n; k++)
		if (near[k].inner == alloc->inner)
			alloc->by_shims += near[k].weight;
	if (alloc->inner != alloc->function)
		alloc->by_shims += alloc->weight;
	bool flags = alloc->shape == FIND_SIZE;
	if (flags) {
		take_best(s, g, FIND_ALLOC, FIND_SIZE_FLAGS, near, n);
		take_best(s, g, FIND_DEALLOC, FIND_PTR_SIZE_FLAGS, near, n);
	}
	/* Not knowing yet which is `free`, ask realloc; then look at realloc again, knowing it. */
	struct group trial = *g;
	if (!group_claim(g, FIND_DEALLOC)) {
		take_best(s, &trial, FIND_REALLOC, -1, near, n);
		take_best(s, &trial, FIND_DEALLOC, -1, near, n);
		const struct claim *dealloc = group_claim(&trial, FIND_DEALLOC);
		if (dealloc && g->n < MAX_CLAIMS)
			g->claims[g->n++] = *dealloc;
	}
	if (flags) {
		take_best(s, g, FIND_ALLOC_ZEROED, FIND_COUNT_SIZE, near, n);
		take_best(s, g, FIND_REALLOC, FIND_PTR_NEW, near, n);
		take_best(s, g, FIND_REALLOC, FIND_PTR_NEW_FLAGS, near, n);
	} else {
		take_best(s, g, FIND_ALLOC_ZEROED, -1, near, n);
		take_best(s, g, FIND_REALLOC, -1, near, n);
	}
	s->sites.memory->unmap(near, MAX_NEAR * sizeof(*near));
	return 0;
}

/* --- results --- */

static void describe_start(const struct search *s, struct find_entry *e)
{
	static const uint8_t endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};
	const uint8_t *code = elf_at(&s->view, e->function, sizeof(endbr64));
	unsigned fixups;
	e->endbr = code && !memcmp(code, endbr64, sizeof(endbr64));
	e->movable = (uint8_t)sites_movable(&s->sites, e->function, &fixups);
	e->fixups = (uint8_t)fixups;
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
	if (t->loads)
		return true;
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
		e->by_slot = (e->by_slot || e->by_name) && e->n_slots &&
			     e->slot_calls + e->slot_tails + e->slot_loads &&
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

static void add_group(struct search *s, const struct group *g)
{
	for (unsigned k = 0; k < g->n; k++) {
		const struct claim *c = &g->claims[k];
		struct find_entry *e = add_entry(
			s, c->role, c->inner_shape, c->inner, (uint8_t)s->result->n_groups);
		if (!e)
			continue;
		e->shim_calls = c->by_shims;
		e->by_slot = !c->past_slot; /* for now */
		if (c->inner != c->function && e->role == FIND_DEALLOC &&
			e->evidence.rsi_set <= 40 && e->evidence.sites > 1)
			e->shape = FIND_PTR; /* the shim's other arguments are not meant for it */
	}
	s->result->n_groups++;
}

static void search_by_calls(struct search *s)
{
	struct claim seeds[MAX_SEEDS];
	struct find_result *r = s->result;
	uint32_t n = find_seeds(s, seeds), tried = 0;
	bool wraps_libc = false, alone = false;
	uint64_t first = 0;
	for (uint32_t i = 0; i < n && r->n_groups < FIND_MAX_GROUPS && tried < MAX_TRIED; i++) {
		bool known = r->n_groups && seeds[i].weight < seeds[0].weight / MINOR;
		for (uint32_t k = 0; k < r->n_entries && !known; k++)
			known = r->entries[k].function == seeds[i].inner;
		if (known || calls_claim(s, seeds[i].function, seeds, n, i))
			continue;
		tried++;
		enum source source = find_source(s, seeds[i].inner, first, !r->allocator[0]);
		wraps_libc |= source == SOURCE_LIBC;
		/* The way to the system can be long; a module that names its allocator, and all roles, will do. */
		if (source != SOURCE_SYSTEM && (source != SOURCE_UNKNOWN || !r->allocator[0]))
			continue;
		struct group g = {.claims = {seeds[i]}, .n = 1};
		if (find_group(s, &g) || !group_claim(&g, FIND_DEALLOC)) {
			alone = true;
			continue;
		}
		if (source != SOURCE_SYSTEM && !group_claim(&g, FIND_REALLOC))
			continue;
		if (!first)
			first = seeds[i].inner;
		add_group(s, &g);
	}
	if (r->n_entries)
		return;
	if (wraps_libc || r->libc_allocs >= 20)
		r->unable = "its code allocates through libc, which needs no adopting";
	else if (alone)
		r->unable = "something in it allocates, but what frees was not found";
	else
		r->unable = "no allocator was found in it";
}

static void add_named(
	void *arg, const char *name, enum find_role role, enum find_shape shape, uint64_t function)
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
		if (find_source(s, r->entries[i].function, 0, true) != SOURCE_LIBC)
			r->entries[kept++] = r->entries[i];
	r->n_entries = kept;
	r->n_groups = kept != 0;
}

int find_entries(struct find_result *result, const struct find_image *image,
	const struct find_memory *memory)
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
