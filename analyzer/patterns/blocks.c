/* SPDX-License-Identifier: MIT */
/* See blocks.h. */
#include "blocks.h"

#define SCATTER_PAGES 10u /* fewer say nothing */

bool group_is_fixed(const struct evidence *v, const struct group *g)
{
	const struct tally *t = v->profile->tally;

	if (g->totals.reallocs || g->out.count || !g->totals.allocs)
		return false;
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		const struct ht_counters *c = &t->counters[v->bucket_order[g->first_bucket + i]];
		if (c->allocs && c->min_bytes != c->max_bytes)
			return false;
	}
	return true;
}

bool group_is_rust(const struct evidence *v, const struct group *g)
{
	struct rust_name name;

	if (!g->named)
		return true;
	if (g->blame >= v->profile->tally->n_functions)
		return false;
	rust_name_read(&name, v->profile->functions[g->blame].name);
	return name.rust;
}

struct overhead group_overhead(const struct evidence *v, const struct group *g)
{
	const struct tally *t = v->profile->tally;
	struct overhead sum = {0};

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		const struct totals *x = &v->profile->buckets[b].totals;
		double requests = (double)(x->allocs + x->reallocs);
		uint64_t bytes = totals_metric(x, METRIC_BYTES);
		if (x->peak_count <= 0 || !(requests > 0))
			continue;
		if (x->usable_bytes > bytes)
			sum.slack_bytes += (double)(x->usable_bytes - bytes) / requests *
					   (double)x->peak_count;
		if (t->buckets[b].source == HT_SOURCE_LIBC)
			sum.header_bytes += (double)BLOCK_HEADER_BYTES * (double)x->peak_count;
	}
	return sum;
}

double group_scatter(const struct evidence *v, const struct group *g)
{
	const struct tally *t = v->profile->tally;
	uint32_t self = (uint32_t)(g - v->groups);
	uint64_t pages = 0, bytes = 0;

	/* rows are in order of pages */
	for (uint32_t i = 0, page = UINT32_MAX; i < t->n_locality; i++) {
		const struct ht_locality *row = &t->locality[i];
		if (v->bucket_group[row->bucket] != self)
			continue;
		pages += row->page != page;
		page = row->page;
		bytes += row->bytes;
	}
	return pages >= SCATTER_PAGES && bytes ? (double)pages * HT_PAGE_BYTES / (double)bytes : 0;
}
