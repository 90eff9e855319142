/* SPDX-License-Identifier: MIT */
/*
 * From `alloc` to one allocator's entry points: the other roles are looked for near it, in the code that the same
 * object file or the same shims were linked from.
 */
#include "find_group.h"

#include <string.h>

#include "find_flow.h"
#include "find_reach.h"

enum {
	MAX_NEAR = 4096,
	SHIMS = 512, /* Rust's four shims */
	ADJACENT = 16384,
	OBJECT = 65536, /* from entry to entry of one object file */
	MAX_DEALLOCS = 8,
	CLIENTS_MARGIN = 4096,
};

bool claim_role(struct claim *c, const struct claim *alloc)
{
	const struct find_evidence *v = &c->evidence;
	bool tested = v->result_tested >= 50,
	     unused = v->result_tested <= 10 && v->result_used <= 35;
	/* rustc emits the four shims together; code near them has more than one excuse for unclear arguments */
	bool shim = alloc->by_slot == c->by_slot &&
		    search_distance(c->function, alloc->function) <= SHIMS;
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

const struct claim *group_claim(const struct group *g, enum find_role role)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->claims[i].role == role)
			return &g->claims[i];
	return NULL;
}

/*
 * Does it copy, and free by this dealloc? Where dealloc was inlined it does what dealloc does: calls all that it calls.
 */
static bool moves(const struct search *s, const struct claim *c, const struct claim *dealloc)
{
	struct callee callees[MAX_CALLEES];
	bool copies;
	if (reach_function(s, c->inner, dealloc->inner, &copies))
		return copies;
	size_t n = copies ? sites_callees(&s->sites, dealloc->inner, callees) : 0;
	for (size_t i = 0; i < n; i++)
		if (callees[i].import || !reach_function(s, c->inner, callees[i].function, &copies))
			return false;
	return n > 1;
}

/* How well a claim goes with this alloc; 0 for not at all. */
static uint64_t fitness(const struct search *s, const struct group *g, const struct claim *c)
{
	const struct claim *alloc = &g->claims[0], *realloc = group_claim(g, FIND_REALLOC);
	const struct claim *dealloc = group_claim(g, FIND_DEALLOC);
	uint64_t outer = search_distance(c->function, alloc->function);
	uint64_t inner = search_distance(c->inner, alloc->inner);
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
	bool inside = own || (c->weak && inner <= OBJECT); /* weak ones have to move anyway */
	if (!inside && (c->weak || c->weight < FEWEST_SITES))
		return 0;
	if ((c->weak || doubtful) && (!dealloc || !moves(s, c, dealloc)))
		return 0;
	/* Of two that might be `free`, realloc calls the right one. */
	if (c->role == FIND_DEALLOC && c->shape == FIND_PTR && realloc &&
		reach_function(s, realloc->inner, c->inner, &copies))
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
	c.weight = search_look(s, function, &c.evidence, &e);
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
		c = search_inner(s, c);
	}
	if (c.role != FIND_ALLOC_ZEROED || c.weight < alloc->weight)
		near[(*n)++] = c;
}

/* Every function that is called and lies within reach, once. */
static void consider_near(const struct search *s, const struct claim *alloc, uint64_t around,
	uint64_t reach, struct claim *near, uint32_t *n)
{
	uint64_t low = around - s->view.low > reach ? around - reach : s->view.low, last = 0;
	for (uint32_t i = search_first_slot(s, low); i < s->n_slots; i++) {
		uint64_t function = search_function_of(s, s->slots[i]);
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

/* Not knowing yet which is `free`, ask realloc; realloc itself is looked at again, knowing it. */
static void take_dealloc(const struct search *s, struct group *g, struct claim *near, uint32_t n)
{
	struct group trial = *g;
	take_best(s, &trial, FIND_REALLOC, -1, near, n);
	take_best(s, &trial, FIND_DEALLOC, -1, near, n);
	const struct claim *dealloc = group_claim(&trial, FIND_DEALLOC);
	if (dealloc && g->n < MAX_CLAIMS)
		g->claims[g->n++] = *dealloc;
}

static void take_others(const struct search *s, struct group *g, struct claim *near, uint32_t n)
{
	if (g->claims[0].shape == FIND_SIZE) {
		take_best(s, g, FIND_ALLOC_ZEROED, FIND_COUNT_SIZE, near, n);
		take_best(s, g, FIND_REALLOC, FIND_PTR_NEW, near, n);
		take_best(s, g, FIND_REALLOC, FIND_PTR_NEW_FLAGS, near, n);
	} else {
		take_best(s, g, FIND_ALLOC_ZEROED, -1, near, n);
		take_best(s, g, FIND_REALLOC, -1, near, n);
	}
}

int find_group(const struct search *s, struct group *g)
{
	struct claim *alloc = &g->claims[0];
	uint32_t n = 0;
	struct claim *near = s->sites.memory->map(MAX_NEAR * sizeof(*near));
	if (!near)
		return -1;
	find_clients(s, alloc);
	consider_near(s, alloc, alloc->inner, NEAR, near, &n);
	if (search_distance(alloc->inner, alloc->function) > NEAR)
		consider_near(s, alloc, alloc->function, SHIMS, near, &n);
	for (uint32_t k = 0; k < n; k++)
		if (near[k].inner == alloc->inner)
			alloc->by_shims += near[k].weight;
	if (alloc->inner != alloc->function)
		alloc->by_shims += alloc->weight;
	if (alloc->shape == FIND_SIZE) {
		take_best(s, g, FIND_ALLOC, FIND_SIZE_FLAGS, near, n);
		take_best(s, g, FIND_DEALLOC, FIND_PTR_SIZE_FLAGS, near, n);
	}
	bool sized = group_claim(g, FIND_DEALLOC);
	unsigned kept = g->n;
	for (unsigned i = 0; i < MAX_DEALLOCS; i++) {
		g->n = kept;
		if (!sized)
			take_dealloc(s, g, near, n);
		take_others(s, g, near, n);
		const struct claim *dealloc = group_claim(g, FIND_DEALLOC);
		if (sized || !dealloc || group_claim(g, FIND_REALLOC))
			break;
		/* nothing frees by it what it moves from: what looks most like `free` is something else */
		uint64_t other = dealloc->inner;
		for (uint32_t k = 0; k < n; k++)
			if (near[k].inner == other)
				near[k].role = FIND_ROLES;
	}
	s->sites.memory->unmap(near, MAX_NEAR * sizeof(*near));
	return 0;
}
