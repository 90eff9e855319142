/* SPDX-License-Identifier: MIT */
/*
 * Buckets → places: each bucket's stack is walked from the inside to its blame frame; what it says makes a key, equal
 * keys make a group.
 */
#include <stdlib.h>
#include <string.h>

#include "evidence_internal.h"

#define CLONE_LOOK 24u /* frames beyond the blame frame that may lead to a Clone::clone */

/* The innermost container decides; the element is the first that one of its kind names. */
static void place_container(struct placed *to, const struct function_facts *f)
{
	if (f->container == CONTAINER_UNKNOWN)
		return;
	to->grows_vec |= f->grows_vec;
	if (to->container <= CONTAINER_OTHER ||
		(f->container == CONTAINER_SHARDED && to->container != CONTAINER_SHARDED)) {
		to->container = f->container;
		to->element = f->element;
	} else if (!to->element->text[0] && f->container == to->container) {
		to->element = f->element;
	} else if (to->container == CONTAINER_VEC && f->container == CONTAINER_STRING) {
		to->container = CONTAINER_STRING;
	}
}

/* One frame, from the inside out. False: enough seen. */
static bool place_frame(struct placed *to, struct evidence_names *names, uint32_t site,
	const struct ht_frame *frame, uint32_t *beyond)
{
	const struct profile *p = names->profile;
	const struct ht_site *s = &p->tally->sites[site];
	const struct function_facts *f = names_facts(names, frame->function);
	uint32_t blame = p->buckets[to->bucket].blame; /* plumbing itself, if the whole stack is */
	bool plumbing = p->functions[frame->function].plumbing;

	if (to->blame == PROFILE_NONE && (plumbing || frame->function != blame)) {
		place_container(to, f);
		if (f->clone)
			to->clone = frame->function;
		/* the first is the innermost, and the last ones matter most: keep the outermost */
		if (to->n_calls == EVIDENCE_CALLS)
			memmove(to->calls, to->calls + 1, --to->n_calls * sizeof(*to->calls));
		to->calls[to->n_calls++] = frame->function;
		return true;
	}
	if (to->blame == PROFILE_NONE) {
		to->blame = frame->function;
		to->line = frame->line;
		to->module = frame->line ? 0 : s->module;
		to->address = frame->line ? 0 : s->offset;
		to->method = to->n_calls ? to->calls[to->n_calls - 1] : PROFILE_NONE;
		if (f->clone)
			to->clone = frame->function;
		return true;
	}
	if (to->caller == PROFILE_NONE && !plumbing && frame->function != to->blame &&
		frame->function < p->tally->n_functions)
		to->caller = frame->function;
	if (f->clone && *beyond < CLONE_LOOK)
		to->clone = frame->function;
	else if (!plumbing)
		*beyond = CLONE_LOOK;
	return to->caller == PROFILE_NONE || ++*beyond < CLONE_LOOK;
}

void place(struct placed *to, struct evidence_names *names, uint32_t bucket)
{
	const struct profile *p = names->profile;
	const struct tally *t = p->tally;
	uint32_t site = p->buckets[bucket].site, first = site, beyond = 0, n;
	bool more = true;

	*to = (struct placed){.blame = PROFILE_NONE,
		.method = PROFILE_NONE,
		.clone = PROFILE_NONE,
		.caller = PROFILE_NONE,
		.element = names->none,
		.bucket = bucket,
		.size_class = t->buckets[bucket].size_class};
	for (; site && more; site = t->sites[site].parent) {
		const struct ht_frame *f = profile_site_frames(p, site, &n);
		for (uint32_t i = 0; i < n && more; i++)
			more = place_frame(to, names, site, &f[i], &beyond);
	}
	if (to->blame == PROFILE_NONE) { /* all plumbing, or no stack: as the profile has it */
		to->blame = p->buckets[bucket].blame;
		to->module = t->sites[first].module;
		to->address = t->sites[first].offset;
		to->n_calls = 0;
	}
	if (t->buckets[bucket].align == 1 &&
		(to->container == CONTAINER_UNKNOWN || to->container == CONTAINER_VEC))
		to->container = CONTAINER_STRING;
	if (to->container == CONTAINER_UNKNOWN && !p->functions[to->blame].unnamed)
		to->container = CONTAINER_OTHER;
	to->blame_root = names_root(names, to->blame);
	to->method_root = names_root(names, to->method);
	to->clone_root = names_root(names, to->clone);
	to->statement = to->line ? to->line : to->address;
}

#define BY(field)                                                                                  \
	if (x->field != y->field)                                                                  \
	return x->field < y->field ? -1 : 1

/* Calls of one kind in one function, by address. */
static int call_compare(const void *a, const void *b)
{
	const struct placed *x = *(const struct placed *const *)a,
			    *y = *(const struct placed *const *)b;

	BY(blame);
	BY(method_root);
	BY(container);
	BY(module);
	BY(line);
	BY(address);
	return 0;
}

static int key_compare(const struct placed *x, const struct placed *y)
{
	BY(blame_root);
	BY(module);
	BY(method_root);
	BY(container);
	BY(statement);
	BY(element->id);
	BY(clone_root);
	return 0;
}

static int placed_compare(const void *a, const void *b)
{
	const struct placed *x = *(const struct placed *const *)a,
			    *y = *(const struct placed *const *)b;
	int order = key_compare(x, y);

	if (order)
		return order;
	BY(size_class);
	BY(bucket);
	return 0;
}
#undef BY

/*
 * Without lines the monomorphisations of a function are matched by the order of their calls: the third call of
 * String::push_str in f::<A> is the third one in f::<B>.
 */
static void calls_number(struct evidence_names *names, struct placed **order, uint32_t n)
{
	const struct profile *p = names->profile;
	uint64_t number = 0;

	qsort(order, n, sizeof(*order), call_compare);
	for (uint32_t i = 0; i < n; i++) {
		struct placed *x = order[i];
		const struct placed *y = i ? order[i - 1] : x;
		if (x->blame != y->blame || x->method_root != y->method_root ||
			x->container != y->container || x->module != y->module ||
			x->line != y->line)
			number = 0;
		else if (x->address != y->address)
			number++;
		if (!x->line && !p->functions[x->blame].unnamed && x->blame < p->tally->n_functions)
			x->statement = number;
	}
}

void places_sort(struct evidence_names *names, struct placed **order, uint32_t n)
{
	if (!n)
		return;
	calls_number(names, order, n);
	qsort(order, n, sizeof(*order), placed_compare);
}

bool places_equal(const struct placed *x, const struct placed *y)
{
	return !key_compare(x, y);
}
