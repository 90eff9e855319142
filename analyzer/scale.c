/* SPDX-License-Identifier: MIT */
/* Series over the sizes of runs: of the whole heap, of categories, data structures and sites. */
#include "scale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

struct entry {
	size_t row;
	bool lost;
	UT_hash_handle hh;
	char key[];
};

/* The row of a kind and name, made when there is none; NULL: out of memory. Valid until the next call. */
static struct scale_row *row_of(
	struct scale *s, enum scale_kind kind, const char *name, const char *category)
{
	struct entry *table = s->index, *entry;
	char *key;
	int n = asprintf(&key, "%d %s", (int)kind, name);

	if (n < 0)
		return NULL;
	HASH_FIND(hh, table, key, (size_t)n, entry);
	if (entry) {
		free(key);
		return &s->rows[entry->row];
	}
	if ((s->n_rows & (s->n_rows - 1)) == 0) {
		size_t room = s->n_rows ? 2 * s->n_rows : 1;
		struct scale_row *grown = realloc(s->rows, room * sizeof(*grown));
		if (!grown)
			goto failed;
		s->rows = grown;
	}
	entry = malloc(sizeof(*entry) + (size_t)n + 1);
	if (!entry)
		goto failed;
	memcpy(entry->key, key, (size_t)n + 1);
	entry->row = s->n_rows;
	entry->lost = false;
	struct scale_row *row = &s->rows[s->n_rows];
	*row = (struct scale_row){
		.kind = kind, .name = strdup(name), .category = category ? strdup(category) : NULL};
	if (!row->name || (category && !row->category)) {
		free(row->name);
		free(row->category);
		free(entry);
		goto failed;
	}
	HASH_ADD_KEYPTR(hh, table, entry->key, (size_t)n, entry);
	if (entry->lost) {
		free(row->name);
		free(row->category);
		free(entry);
		goto failed;
	}
	s->index = table;
	s->n_rows++;
	free(key);
	return row;
failed:
	free(key);
	return NULL;
}

/* Sites of two runs are one when their names are: function, what it called, what it holds. */
static int add_site(struct scale *s, unsigned at, const struct evidence *v, const struct group *g)
{
	const struct profile *p = v->profile;
	struct scale_row *row;
	char *name;

	if (g->totals.peak_bytes <= 0)
		return 0;
	const char *element = g->element, *function = p->functions[g->blame].name;
	if ((*element ? asprintf(&name, "%s (%s of %s)", function, container_name(g->container),
				element)
		      : asprintf(&name, "%s", function)) < 0)
		return -1;
	row = row_of(s, SCALE_SITE, name, NULL);
	free(name);
	if (!row)
		return -1;
	row->bytes[at] += (double)g->totals.peak_bytes;
	row->count[at] += (double)at_least_zero(g->totals.peak_count);
	return 0;
}

int scale_add(struct scale *s, double size, const struct evidence *v, const struct inventory *t,
	struct error *e)
{
	const struct tally *tally = v->profile->tally;
	unsigned at = s->n_sizes;
	struct scale_row *row = row_of(s, SCALE_TOTAL, "", NULL);
	int bad = !row;

	if (row) {
		row->bytes[at] = (double)tally->header.peak_bytes;
		row->count[at] = (double)v->profile->total.peak_count;
	}
	for (uint32_t i = 0; i < t->n_categories && !bad; i++) {
		row = row_of(s, SCALE_CATEGORY, t->categories[i].name, NULL);
		bad = !row;
		if (row) {
			row->bytes[at] += (double)t->categories[i].peak_bytes;
			row->count[at] += (double)t->categories[i].count;
		}
	}
	for (uint32_t i = 0; i < t->n_structures && !bad; i++) {
		const struct structure *one = &t->structures[i];
		row = row_of(s, SCALE_STRUCTURE, one->name, one->category);
		bad = !row;
		if (row) {
			row->bytes[at] += (double)one->peak_bytes;
			row->count[at] += (double)one->count;
			row->item_bytes[at] = one->item_bytes;
			row->room |= one->room;
		}
	}
	for (uint32_t i = 0; i < v->n_groups && !bad; i++)
		bad = add_site(s, at, v, &v->groups[i]);
	if (bad)
		return error_set(e, "out of memory for the series");
	s->sizes[at] = size;
	for (uint32_t i = 0; i < tally->n_points; i++)
		if ((double)tally->points[i].rss_bytes > s->rss_bytes[at])
			s->rss_bytes[at] = (double)tally->points[i].rss_bytes;
	s->seconds[at] = (double)tally_ns(tally, tally->header.last_ticks) / 1e9;
	s->n_sizes++;
	return 0;
}

void scale_release(struct scale *s)
{
	struct entry *table = s->index, *entry, *next;

	HASH_ITER(hh, table, entry, next)
	{
		HASH_DEL(table, entry);
		free(entry);
	}
	for (size_t i = 0; i < s->n_rows; i++) {
		free(s->rows[i].name);
		free(s->rows[i].category);
	}
	free(s->rows);
	*s = (struct scale){0};
}
