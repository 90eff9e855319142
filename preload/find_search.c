/* SPDX-License-Identifier: MIT */
/* Slots by function, evidence summed over the ways to a function, and the first claims: what looks like `alloc`. */
#include "find_search.h"

#include <string.h>

#include "find_flow.h"

enum {
	CHEAP_LOOK = 12, /* sites looked at before the full look */
	SAMPLE = 300,    /* sites looked at in full */
};

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
int search_index(struct search *s)
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
uint32_t search_first_slot(const struct search *s, uint64_t vaddr)
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

uint64_t search_function_of(const struct search *s, const struct target *t)
{
	return s->view.low + (t->function ? t->function : t->offset);
}

/* --- reading evidence --- */

/* Calls of a function, however it is reached; counts are added up in e where that is wanted. */
uint32_t search_look(const struct search *s, uint64_t function, struct find_evidence *evidence,
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
	for (uint32_t i = search_first_slot(s, function); i < s->n_slots; i++) {
		const struct target *slot = s->slots[i];
		if (search_function_of(s, slot) != function)
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
bool search_alloc_like(const struct find_evidence *v, enum find_shape *shape)
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
bool search_flags_like(const struct find_evidence *v)
{
	return v->sites && v->result_tested >= 50 && v->rdx_set <= 40 && v->rsi_small >= 50 &&
	       v->rsi_small >= v->rsi_alignment + 20;
}

struct claim search_inner(const struct search *s, struct claim c)
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
		if (search_look(s, t.function, &v, NULL) < FEWEST_SITES || v.sites < FEWEST_SITES ||
			(c.role == FIND_ALLOC && !search_alloc_like(&v, &own)))
			return c;
	}
	c.past_slot = !t.slot;
	c.inner = t.function;
	c.inner_shape = shape;
	return c;
}

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
uint32_t search_seeds(const struct search *s, struct claim seeds[MAX_SEEDS])
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
		c.function = search_function_of(s, t);
		bool known = false;
		for (uint32_t k = 0; k < n && !known; k++)
			known = seeds[k].function == c.function;
		struct evidence_counts counts = {0};
		evidence_add(&counts, &s->sites, t, SAMPLE);
		c.evidence = evidence_close(&counts);
		if (known || !search_alloc_like(&c.evidence, &c.shape))
			continue;
		struct find_entry e = {0};
		c.weight = search_look(s, c.function, &c.evidence, &e);
		c.by_slot = e.n_slots && e.slot_calls + e.slot_tails + e.slot_loads >= e.calls;
		if (!search_alloc_like(&c.evidence, &c.shape))
			continue;
		c = search_inner(s, c);
		seed_add(seeds, &n, &c);
	}
	return n;
}

uint64_t search_distance(uint64_t a, uint64_t b)
{
	return a < b ? b - a : a - b;
}
