/* SPDX-License-Identifier: MIT */
/* How large the buffers of a group were in the end: see struct ending. */
#include <math.h>
#include <stdlib.h>

#include "evidence_internal.h"

struct group_ending {
	uint32_t group;
	struct ending ending;
};

static void ending_add(struct ending *to, const struct ending *from)
{
	to->count += from->count;
	to->grown += from->grown;
	to->shrunk += from->shrunk;
	to->grows += from->grows;
	to->copied_bytes += from->copied_bytes;
}

static struct ending chain_ending(const struct tally *t, const struct ht_chain *c)
{
	uint16_t origin = t->buckets[c->origin].size_class;
	struct ending x = {.size_class = c->size_class, .count = c->now + c->ended};

	if (c->size_class <= origin) {
		x.shrunk = x.count;
		return x;
	}
	x.grown = x.count;
	double each = c->ended ? (double)c->regrows / (double)c->ended
			       : ceil(log2((double)ht_class_min_bytes(c->size_class) /
					   (double)(ht_class_max_bytes(origin) | 1)));
	x.grows = c->regrows + (uint64_t)((double)c->now * (each < 1 ? 1 : each) + 0.5);
	x.copied_bytes = c->copied_bytes;
	return x;
}

static int ending_compare(const void *a, const void *b)
{
	const struct group_ending *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (int)x->ending.size_class - (int)y->ending.size_class;
}

/* The greatest request in that class among the group's buckets. */
static uint64_t class_bytes(const struct evidence *v, const struct group *g, uint16_t size_class)
{
	const struct tally *t = v->profile->tally;
	uint64_t most = 0;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		if (t->buckets[b].size_class == size_class && t->counters[b].max_bytes > most)
			most = t->counters[b].max_bytes;
	}
	return most ? most : ht_class_max_bytes(size_class);
}

int endings_init(struct evidence *v)
{
	const struct tally *t = v->profile->tally;
	uint64_t *chained = calloc((size_t)t->n_buckets + 1, sizeof(*chained));
	struct group_ending *all = malloc(((size_t)t->n_chains + t->n_buckets + 1) * sizeof(*all));
	uint32_t n = 0, made = 0;

	v->endings = calloc((size_t)t->n_chains + t->n_buckets + 1, sizeof(*v->endings));
	if (!chained || !all || !v->endings) {
		free(chained);
		free(all);
		return -1;
	}
	for (uint32_t i = 0; i < t->n_chains; i++) {
		const struct ht_chain *c = &t->chains[i];
		chained[c->origin] += c->now + c->ended;
		if (v->bucket_group[c->origin] != PROFILE_NONE)
			all[n++] = (struct group_ending){
				v->bucket_group[c->origin], chain_ending(t, c)};
	}
	for (uint32_t b = 0; b < t->n_buckets; b++) {
		struct ending x = {.size_class = t->buckets[b].size_class,
			.count = evidence_less(t->counters[b].allocs, chained[b])};
		if (v->bucket_group[b] != PROFILE_NONE && x.count)
			all[n++] = (struct group_ending){v->bucket_group[b], x};
	}
	qsort(all, n, sizeof(*all), ending_compare);
	for (uint32_t i = 0; i < n; i++) {
		struct group *g = &v->groups[all[i].group];
		struct ending *to = &v->endings[made];
		if (!i || ending_compare(&all[i], &all[i - 1])) {
			*to = (struct ending){.size_class = all[i].ending.size_class,
				.bytes = class_bytes(v, g, all[i].ending.size_class)};
			if (!g->n_endings++)
				g->endings = to;
			made++;
		}
		ending_add(&v->endings[made - 1], &all[i].ending);
		ending_add(&g->all, &all[i].ending);
	}
	free(chained);
	free(all);
	return 0;
}

uint64_t group_ending_bytes(const struct group *g, double percent)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < g->n_endings; i++) {
		sum += g->endings[i].count;
		if (sum && (double)sum >= percent / 100 * (double)g->all.count)
			return g->endings[i].bytes;
	}
	return 0;
}
