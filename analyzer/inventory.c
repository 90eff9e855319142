/* SPDX-License-Identifier: MIT */
/* Adds groups up by the catalog's rows, and by types whose size shows: see inventory.h. */
#include "inventory.h"

#include <stdlib.h>
#include <string.h>

#define ARC_HEADER     16u /* std's: two counters; triomphe has one */
#define TRIOMPHE_BYTES 8u

static const char *name_of(const struct evidence *v, uint32_t function)
{
	return function == PROFILE_NONE ? "" : v->profile->functions[function].name;
}

static bool listed(const struct catalog_globs *globs, const char *name)
{
	return !globs->n || catalog_match(globs, name);
}

bool inventory_match(const struct evidence *v, const struct group *g,
	const struct catalog_globs *types, const struct catalog_globs *functions,
	const struct catalog_globs *methods)
{
	return g->named && listed(types, g->element) && listed(functions, name_of(v, g->blame)) &&
	       listed(methods, name_of(v, g->method));
}

const struct catalog_category *inventory_category(
	const struct evidence *v, const struct catalog *c, const struct group *g)
{
	for (uint32_t i = 0; i < c->n_categories; i++) {
		const struct catalog_category *row = &c->categories[i];
		if (listed(&row->containers, container_name(g->container)) &&
			inventory_match(v, g, &row->types, &row->functions, &row->methods))
			return row;
	}
	return NULL;
}

/* Room in the blocks live at the peak. */
static uint64_t room_items(const struct group *g)
{
	return g->element_bytes && g->totals.peak_bytes > 0
		       ? (uint64_t)g->totals.peak_bytes /
				 (g->element_bytes + (g->container == CONTAINER_TABLE))
		       : 0;
}

static struct structure *structure_row(struct inventory *t, const struct catalog_category *row)
{
	for (uint32_t i = 0; i < t->n_structures; i++)
		if (!strcmp(t->structures[i].name, row->structure))
			return &t->structures[i];
	struct structure *s = &t->structures[t->n_structures++];
	*s = (struct structure){
		.name = row->structure, .category = row->name, .low_bytes = UINT64_MAX};
	return s;
}

/* What the structure's bytes are counted with; the container of the most bytes is kept beside. */
struct counted {
	double bytes;
	uint64_t most;
};

static void structure_add(struct structure *s, struct counted *sum,
	const struct catalog_category *row, const struct group *g)
{
	uint64_t bytes = totals_metric(&g->totals, METRIC_PEAK);
	uint64_t blocks = at_least_zero(g->totals.peak_count);
	const char *counts = row->counts ? row->counts : "blocks";
	uint64_t low = g->min_bytes, high = g->max_bytes, n = blocks;

	if (!bytes)
		return;
	s->n_groups++;
	s->peak_bytes += bytes;
	if (bytes > sum->most) {
		sum->most = bytes;
		s->container = g->container;
	}
	if (!strcmp(counts, "none"))
		return;
	if (!strcmp(counts, "items")) {
		n = room_items(g);
		low = high = g->element_bytes;
		if (!n)
			return;
		s->room = true;
		bytes = n * g->element_bytes;
	}
	s->count += n;
	sum->bytes += (double)bytes;
	s->item_bytes = s->count ? sum->bytes / (double)s->count : 0;
	s->low_bytes = low < s->low_bytes ? low : s->low_bytes;
	s->high_bytes = high > s->high_bytes ? high : s->high_bytes;
}

static void category_add(struct inventory *t, const char *name, const struct group *g)
{
	uint32_t i = 0;

	while (i < t->n_categories && strcmp(t->categories[i].name, name))
		i++;
	if (i == t->n_categories)
		t->categories[t->n_categories++] = (struct category){.name = name};
	t->categories[i].peak_bytes += totals_metric(&g->totals, METRIC_PEAK);
	t->categories[i].count += at_least_zero(g->totals.peak_count);
}

/* False: the group's blocks do not tell a type's size. */
static bool type_size_of(const struct evidence *v, const struct group *g, struct type_size *to)
{
	bool fixed = g->min_bytes == g->max_bytes;

	*to = (struct type_size){.type = g->element,
		.container = g->container,
		.count = at_least_zero(g->totals.peak_count),
		.peak_bytes = totals_metric(&g->totals, METRIC_PEAK)};
	if (!g->element[0] || !to->peak_bytes)
		return false;
	switch (g->container) {
	case CONTAINER_BOX:
		to->bytes = fixed ? g->max_bytes : 0;
		break;
	case CONTAINER_ARC: {
		uint32_t header =
			strstr(name_of(v, g->method), "triomphe") ? TRIOMPHE_BYTES : ARC_HEADER;
		to->bytes = fixed && g->max_bytes > header ? g->max_bytes - header : 0;
		break;
	}
	case CONTAINER_VEC:
	case CONTAINER_TABLE:
	case CONTAINER_BTREE:
		to->bytes = g->element_bytes;
		to->count = room_items(g);
		to->room = true;
		break;
	default:
		break;
	}
	return to->bytes > 0;
}

static int by_type(const void *a, const void *b)
{
	const struct type_size *x = a, *y = b;
	int order = strcmp(x->type, y->type);

	if (!order)
		order = (int)x->container - (int)y->container;
	return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int types_most(const void *a, const void *b)
{
	const struct type_size *x = a, *y = b;

	return x->peak_bytes != y->peak_bytes ? (x->peak_bytes < y->peak_bytes ? 1 : -1)
					      : by_type(a, b);
}

static int structures_most(const void *a, const void *b)
{
	const struct structure *x = a, *y = b;

	return x->peak_bytes != y->peak_bytes ? (x->peak_bytes < y->peak_bytes ? 1 : -1)
					      : strcmp(x->name, y->name);
}

static int categories_most(const void *a, const void *b)
{
	const struct category *x = a, *y = b;
	int other = !strcmp(x->name, INVENTORY_OTHER) - !strcmp(y->name, INVENTORY_OTHER);

	if (other)
		return other;
	return x->peak_bytes != y->peak_bytes ? (x->peak_bytes < y->peak_bytes ? 1 : -1)
					      : strcmp(x->name, y->name);
}

static void types_merge(struct inventory *t)
{
	uint32_t kept = 0;

	qsort(t->types, t->n_types, sizeof(*t->types), by_type);
	for (uint32_t i = 0; i < t->n_types; i++) {
		struct type_size *x = kept ? &t->types[kept - 1] : NULL;
		if (x && !by_type(x, &t->types[i])) {
			x->count += t->types[i].count;
			x->peak_bytes += t->types[i].peak_bytes;
		} else {
			t->types[kept++] = t->types[i];
		}
	}
	t->n_types = kept;
	qsort(t->types, t->n_types, sizeof(*t->types), types_most);
}

int inventory_init(
	struct inventory *t, const struct evidence *v, const struct catalog *c, struct error *e)
{
	struct counted *sums = calloc((size_t)c->n_categories + 1, sizeof(*sums));

	*t = (struct inventory){0};
	t->structures = calloc((size_t)c->n_categories + 1, sizeof(*t->structures));
	t->categories = calloc((size_t)c->n_categories + 2, sizeof(*t->categories));
	t->types = calloc((size_t)v->n_groups + 1, sizeof(*t->types));
	if (!sums || !t->structures || !t->categories || !t->types) {
		free(sums);
		inventory_release(t);
		return error_set(e, "out of memory for the inventory");
	}
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		const struct catalog_category *row = inventory_category(v, c, g);
		t->peak_bytes += totals_metric(&g->totals, METRIC_PEAK);
		category_add(t, row ? row->name : INVENTORY_OTHER, g);
		if (row && row->structure) {
			struct structure *s = structure_row(t, row);
			structure_add(s, &sums[s - t->structures], row, g);
		}
		t->n_types += type_size_of(v, g, &t->types[t->n_types]);
	}
	free(sums);
	qsort(t->structures, t->n_structures, sizeof(*t->structures), structures_most);
	qsort(t->categories, t->n_categories, sizeof(*t->categories), categories_most);
	types_merge(t);
	return 0;
}

void inventory_release(struct inventory *t)
{
	for (uint32_t i = 0; i < t->n_types; i++) {
		struct layout *l = &t->types[i].layout;
		for (uint32_t k = 0; k < l->n_members; k++)
			free(l->members[k].name);
		free(l->members);
	}
	free(t->structures);
	free(t->categories);
	free(t->types);
	*t = (struct inventory){0};
}

const struct structure *inventory_structure(const struct inventory *t, const char *name)
{
	for (uint32_t i = 0; i < t->n_structures; i++)
		if (!strcmp(t->structures[i].name, name))
			return t->structures[i].peak_bytes ? &t->structures[i] : NULL;
	return NULL;
}
