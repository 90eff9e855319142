/* SPDX-License-Identifier: MIT */
/*
 * Rust's shims may do more than jump on, and where they were inlined their callers go straight to the allocator. Such
 * ways around a shim lead to functions that the shim calls too: they become entries beside it. When one of them does
 * not say what it takes, the allocator cannot be seen whole.
 */
#include "find_inner.h"

#include "find_flow.h"
#include "find_reach.h"

enum {
	MAX_OWN_SITES = 64,
	PADDING = 1, /* the prefix that a linker puts before a call which it made direct */
	BESIDE = 16384,
};

struct inner {
	const struct search *s;
	struct group *g;
	uint64_t own_low, own_high; /* the allocator's code */
	uint64_t shim_sites[MAX_OWN_SITES];
	uint32_t n_shim_sites;
};

/* What the shims call, and what that calls nearby, bounds the allocator's own code. */
static void widen(struct inner *in, uint64_t from)
{
	enum { FRONT = 400 };
	uint64_t front[FRONT] = {from};
	unsigned n = 1;
	struct callee callees[MAX_CALLEES];
	if (from < in->own_low)
		in->own_low = from;
	for (unsigned done = 0; done < n; done++) {
		size_t n_callees = sites_callees(&in->s->sites, front[done], callees);
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			unsigned k = 0;
			if (callees[i].at > in->own_high)
				in->own_high = callees[i].at;
			if (!next || callees[i].slot || search_distance(next, from) > NEAR ||
				sites_follow(&in->s->sites, next).import)
				continue;
			if (next < in->own_low)
				in->own_low = next;
			while (k < n && front[k] != next)
				k++;
			if (k == n && n < FRONT)
				front[n++] = next;
		}
	}
}

static bool is_shim_site(const struct inner *in, uint64_t site)
{
	for (uint32_t i = 0; i < in->n_shim_sites; i++)
		if (site - in->shim_sites[i] <= PADDING)
			return true;
	return false;
}

static bool is_client(const struct inner *in, uint64_t site)
{
	return site - in->own_low > in->own_high - in->own_low && !is_shim_site(in, site);
}

static void approach(const struct inner *in, const struct target *t, uint64_t *low, uint64_t *high)
{
	const struct sites *sites = &in->s->sites;
	for (uint32_t at = t->first; at; at = sites->sites[at].next) {
		uint64_t site = in->s->view.low + sites->sites[at].offset;
		if (!is_client(in, site))
			continue;
		if (site < in->own_low && site >= *low)
			*low = site + 1;
		if (site > in->own_high && site <= *high)
			*high = site - 1;
	}
}

/*
 * Entry points that nobody calls lie beside what was reached, and call further in. Code beside the allocator's is taken
 * for its own up to the next that asks it for memory; to free is what the allocator's code does too.
 */
static void take_in_unused(struct inner *in)
{
	uint64_t low = in->own_low < BESIDE ? 0 : in->own_low - BESIDE,
		 high = in->own_high + BESIDE;
	for (unsigned k = 0; k < in->g->n; k++) {
		if (in->g->claims[k].role == FIND_DEALLOC)
			continue;
		const uint64_t functions[] = {in->g->claims[k].function, in->g->claims[k].inner};
		for (unsigned i = 0; i < 2; i++) {
			const struct target *direct = sites_target(&in->s->sites, functions[i]);
			if (direct)
				approach(in, direct, &low, &high);
			for (uint32_t j = search_first_slot(in->s, functions[i]);
				j < in->s->n_slots &&
				search_function_of(in->s, in->s->slots[j]) == functions[i];
				j++)
				approach(in, in->s->slots[j], &low, &high);
		}
	}
	in->own_low = low;
	in->own_high = high;
}

static bool has_clients(const struct inner *in, const struct target *t)
{
	const struct sites *sites = &in->s->sites;
	for (uint32_t at = t->first; at; at = sites->sites[at].next)
		if (is_client(in, in->s->view.low + sites->sites[at].offset))
			return true;
	/* jumps and loads are not listed by target */
	bool later = t->loads || (t->tails && !sites_is_slot(sites, t));
	for (uint32_t i = 0; later && i < sites->n_later; i++)
		if (sites->later[i].next == t->offset &&
			is_client(in, in->s->view.low + sites->later[i].offset))
			return true;
	return false;
}

/*
 * Is it called by other code than the shims and the allocator? One compiler made all callers: they do not go through
 * slots for one function and around them for another.
 */
static bool goes_round(const struct inner *in, uint64_t function)
{
	const struct target *direct = sites_target(&in->s->sites, function);
	if (!in->g->claims[0].by_slot && direct && !direct->function && has_clients(in, direct))
		return true;
	for (uint32_t i = search_first_slot(in->s, function); i < in->s->n_slots; i++) {
		if (search_function_of(in->s, in->s->slots[i]) != function)
			break;
		if (has_clients(in, in->s->slots[i]))
			return true;
	}
	return false;
}

/* By what the shim hands on. */
static bool classify_by_shim(const struct inner *in, struct claim *c, const struct claim *shim)
{
	static const struct {
		enum find_shape from, to;
		int8_t second, third;
	} known[] = {
		{FIND_SIZE_ALIGN, FIND_SIZE_ALIGN, 1, 2},
		{FIND_SIZE_ALIGN, FIND_SIZE_FLAGS, 1 | CARRY_LOG, 2},
		{FIND_PTR_OLD_ALIGN_NEW, FIND_PTR_NEW_ALIGN, 3, 2},
		{FIND_PTR_OLD_ALIGN_NEW, FIND_PTR_NEW_FLAGS, 3, 2 | CARRY_LOG},
		{FIND_PTR_OLD_ALIGN_NEW, FIND_PTR_OLD_ALIGN_NEW, 1, 2},
		{FIND_PTR_SIZE_ALIGN, FIND_PTR_SIZE_FLAGS, 1, 2 | CARRY_LOG},
		{FIND_PTR_SIZE_ALIGN, FIND_PTR_SIZE_ALIGN, 1, 2},
		{FIND_PTR, FIND_PTR, 1, 2},
	};
	struct thunk t;
	if (!sites_carry(&in->s->sites, shim->inner, &t) || t.function != c->function ||
		t.from[0] != 0)
		return false;
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].from == shim->inner_shape && known[i].second == t.from[1] &&
			known[i].third == t.from[2]) {
			c->role = known[i].to == FIND_SIZE_FLAGS ? FIND_ALLOC : shim->role;
			c->shape = known[i].to;
			return true;
		}
	return false;
}

/* The shim's role, by what it or the other callers pass. */
static bool classify(const struct inner *in, struct claim *c, const struct claim *shim)
{
	static const enum find_shape kinds[] = {FIND_SIZE_ALIGN, FIND_SIZE};
	struct find_entry e = {0};
	c->weight = search_look(in->s, c->function, &c->evidence, &e);
	c->by_slot = e.n_slots != 0;
	if (classify_by_shim(in, c, shim))
		return true;
	if (shim->role == FIND_ALLOC || shim->role == FIND_ALLOC_ZEROED) {
		c->role = shim->role;
		if (search_flags_like(&c->evidence)) {
			c->role = FIND_ALLOC;
			c->shape = FIND_SIZE_FLAGS;
			return true;
		}
		if (search_alloc_like(&c->evidence, &c->shape))
			return true;
	}
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct claim alloc = {.shape = kinds[i], .by_slot = c->by_slot};
		if (claim_role(c, &alloc) && !c->weak && c->role == shim->role)
			return true;
	}
	return false;
}

static bool is_known(const struct group *g, uint64_t function)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->claims[i].function == function || g->claims[i].inner == function)
			return true;
	return false;
}

/* False: it is called round the shim, and does not say what it takes. */
static bool join(struct inner *in, const struct claim *shim, uint64_t function)
{
	struct claim c = {.function = function, .inner = function};
	if (is_known(in->g, function) || !goes_round(in, function))
		return true;
	if (!classify(in, &c, shim) || in->g->n == MAX_CLAIMS)
		return false;
	c.inner_shape = c.shape;
	in->g->claims[in->g->n++] = c;
	return true;
}

static bool look_behind(struct inner *in, const struct claim *shim)
{
	struct callee callees[MAX_CALLEES];
	size_t n = sites_callees(&in->s->sites, shim->inner, callees);
	for (size_t i = 0; i < n; i++) {
		struct thunk t = sites_follow(&in->s->sites, callees[i].function);
		if (callees[i].import || !t.function)
			continue;
		bool whole = join(in, shim, callees[i].function);
		if (t.function != callees[i].function)
			whole &= join(in, shim, t.function);
		/* what it calls on the way may be anything; where it ends, or gets memory, is the allocator */
		if (!whole && (callees[i].jump ||
				      reach_source(in->s, t.function, 0, false) == SOURCE_SYSTEM))
			return false;
	}
	return true;
}

bool find_inner(const struct search *s, struct group *g)
{
	struct inner in = {.s = s, .g = g, .own_low = UINT64_MAX};
	unsigned n = g->n;
	for (unsigned k = 0; k < n; k++) {
		struct callee callees[MAX_CALLEES];
		size_t n_callees = sites_callees(&s->sites, g->claims[k].inner, callees);
		for (size_t i = 0; i < n_callees; i++) {
			if (in.n_shim_sites < MAX_OWN_SITES)
				in.shim_sites[in.n_shim_sites++] = callees[i].at;
			struct thunk t = sites_follow(&s->sites, callees[i].function);
			if (t.function && !callees[i].import)
				widen(&in, t.function);
		}
	}
	if (in.own_low <= in.own_high)
		take_in_unused(&in);
	for (unsigned k = 0; k < n; k++)
		if (!look_behind(&in, &g->claims[k]))
			return false;
	return true;
}
