/* SPDX-License-Identifier: MIT */
/*
 * Which of a module's functions are an allocator's entry points. By name first. Without names: `alloc` gives itself
 * away by its arguments and its tested result; then the other roles are looked for near it. What only wraps another
 * allocator is told by what it calls.
 */
#include "find.h"

#include <string.h>

#include "find_describe.h"
#include "find_flow.h"
#include "find_group.h"
#include "find_inner.h"
#include "find_names.h"
#include "find_reach.h"

enum {
	MAX_TRIED = 16,
	MINOR = 20, /* a second allocator called less than a 20th of the first is none */
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

static void describe_start(const struct search *s, struct find_entry *e)
{
	static const uint8_t endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};
	const uint8_t *code = elf_at(&s->view, e->function, sizeof(endbr64));
	unsigned fixups;
	e->endbr = code && !memcmp(code, endbr64, sizeof(endbr64));
	e->movable = (uint8_t)sites_movable(&s->sites, e->function, &fixups);
	e->fixups = (uint8_t)fixups;
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
		if (search_distance(s->view.low + s->sites.sites[at].offset, e->function) > NEAR)
			return true;
	return t->calls > e->slot_calls + e->slot_tails + e->slot_loads;
}

/* around_slots: it is reached past its slots for sure. */
static struct find_entry *add_entry(struct search *s, enum find_role role, enum find_shape shape,
	uint64_t function, uint8_t group, bool around_slots)
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
	search_look(s, function, &e->evidence, e);
	e->by_slot = !around_slots && e->n_slots && e->slot_calls + e->slot_tails + e->slot_loads &&
		     !called_from_afar(s, e);
	describe_start(s, e);
	return e;
}

/* When all entries are known. */
static void find_nested(const struct search *s)
{
	struct find_result *r = s->result;
	for (uint32_t i = 0; i < r->n_entries; i++)
		r->entries[i].nested = reach_entry(s, r->entries[i].function);
}

static void add_group(struct search *s, const struct group *g)
{
	for (unsigned k = 0; k < g->n; k++) {
		const struct claim *c = &g->claims[k];
		struct find_entry *e = add_entry(s, c->role, c->inner_shape, c->inner,
			(uint8_t)s->result->n_groups, c->past_slot);
		if (!e)
			continue;
		e->shim_calls = c->by_shims;
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
	uint32_t n = search_seeds(s, seeds), tried = 0;
	bool wraps_libc = false, alone = false;
	uint64_t first = 0;
	for (uint32_t i = 0; i < n && r->n_groups < FIND_MAX_GROUPS && tried < MAX_TRIED; i++) {
		bool known = r->n_groups && seeds[i].weight < seeds[0].weight / MINOR;
		for (uint32_t k = 0; k < r->n_entries && !known; k++)
			known = r->entries[k].function == seeds[i].inner;
		if (known || reach_claim(s, seeds[i].function, seeds, n, i))
			continue;
		tried++;
		enum source source = reach_source(s, seeds[i].inner, first, !r->allocator[0]);
		wraps_libc |= source == SOURCE_LIBC;
		/* The way to the system can be long; a module that names its allocator, and all roles, will do. */
		if (source != SOURCE_SYSTEM && (source != SOURCE_UNKNOWN || !r->allocator[0]))
			continue;
		struct group g = {.claims = {seeds[i]}, .n = 1};
		if (find_group(s, &g) || !group_claim(&g, FIND_DEALLOC)) {
			alone = true;
			continue;
		}
		if (!group_claim(&g, FIND_REALLOC)) {
			alone = true; /* what it moves unseen would be counted wrong */
			continue;
		}
		if (!first)
			first = seeds[i].inner;
		if (!find_inner(s, &g)) {
			r->gone_round =
				true; /* and what else looks like alloc will be part of it */
			break;
		}
		add_group(s, &g);
	}
	if (r->n_entries)
		return;
	if (r->gone_round)
		r->unable = "calls go round the entry points that were found";
	else if (wraps_libc || r->libc_allocs >= 20)
		r->unable = "its code allocates through libc, which needs no adopting";
	else if (alone)
		r->unable = "something in it allocates, but what frees or moves was not found";
	else
		r->unable = "no allocator was found in it";
}

static void add_named(
	void *arg, const char *name, enum find_role role, enum find_shape shape, uint64_t function)
{
	struct search *s = arg;
	if (!elf_executable(&s->view, function))
		return;
	struct find_entry *e = add_entry(s, role, shape, function, 0, false);
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
		if (reach_source(s, r->entries[i].function, 0, true) != SOURCE_LIBC)
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
	if (sites_init(&s.sites, &s.view, memory) || search_index(&s)) {
		sites_release(&s.sites);
		result->unable = "there is no memory to look at it";
		return -1;
	}
	result->unable = NULL;
	find_describe(result, &s.view, &s.sites);
	search_by_name(&s);
	if (!result->n_entries)
		search_by_calls(&s);
	find_nested(&s);
	memory->unmap(s.slots, ((size_t)s.n_slots + 1) * sizeof(*s.slots));
	sites_release(&s.sites);
	return 0;
}
