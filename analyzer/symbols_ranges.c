/* SPDX-License-Identifier: MIT */
/* Ranges of code that may nest: the innermost one around an address. */
#include "symbols_internal.h"

#define NESTED_RANGES_MAX 1024u

bool ranges_add(struct ranges *r, uint64_t low, uint64_t high, uint32_t item)
{
	if (low >= high)
		return true;
	if (!grow(&r->v, r->n, &r->cap, sizeof(*r->v)))
		return false;
	r->v[r->n++] = (struct range){.low = low, .high = high, .item = item};
	return true;
}

static int range_compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	if (x->high != y->high) /* outer first */
		return x->high > y->high ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

void ranges_sort(struct ranges *r)
{
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), range_compare);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t before = i ? r->v[i - 1].reach : 0;
		r->v[i].reach = r->v[i].high > before ? r->v[i].high : before;
	}
}

const struct range *ranges_find(const struct ranges *r, uint64_t address)
{
	size_t low = 0, high = r->n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (r->v[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i-- > 0 && low - i <= NESTED_RANGES_MAX && r->v[i].reach > address;)
		if (address < r->v[i].high)
			return &r->v[i];
	return NULL;
}
