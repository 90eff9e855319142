/* SPDX-License-Identifier: MIT */
/*
 * Hash tables that start empty: each step allocates one twice as large, hashes and moves all entries and frees the
 * smaller one. There is no realloc to follow; that tables of one entry type were made in sizes of hashbrown's layout, each
 * no more often than the next smaller one, is the evidence.
 */
#include <string.h>

#include "list.h"
#include "table_layout.h"

enum limit { MIN_STEPS, MIN_COPIED_BYTES, MIN_STEPS_PER_TABLE, MAX_WASTE };

struct growth {
	struct table_family tables;
	uint64_t step[TABLE_SIZES_MAX];  /* tables that outgrew this size */
	uint64_t ended[TABLE_SIZES_MAX]; /* tables that did not */
	uint64_t steps, copied_bytes, made, final_bytes;
};

struct plan {
	double percentile;
	uint32_t size; /* to start with */
	uint64_t allocs, copied_bytes, waste_bytes;
};

static uint64_t copied(const struct growth *w, uint32_t i)
{
	return w->step[i] * table_entries(w->tables.sizes[i].buckets) * w->tables.entry_bytes;
}

/*
 * Where every table began as the smallest there are no more of them at the peak than were begun, and of each size no
 * more than of the one before. Where that does not hold, some were reserved at their size: then those that stood at the
 * peak count as ended there.
 */
static bool all_begin_small(const struct table_family *t)
{
	uint64_t made = t->sizes[0].made, at_peak = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		at_peak += t->sizes[i].at_peak;
		if (i && t->sizes[i].made > t->sizes[i - 1].made)
			return false;
	}
	return at_peak <= made + made / 100 + 4; /* both tables live while one grows */
}

static void growth_fill(struct growth *w)
{
	const struct table_family *t = &w->tables;
	bool small = all_begin_small(t);

	for (uint32_t i = 0; i < t->n; i++) {
		const struct table_size *x = &t->sizes[i], *next = x + 1;
		uint64_t stay = small ? 0 : x->at_peak;
		uint64_t may = x->made > stay ? x->made - stay : 0;
		if (i + 1 < t->n && next->buckets == 2 * x->buckets)
			w->step[i] = may < next->made ? may : next->made;
		w->ended[i] = x->made - w->step[i];
		w->steps += w->step[i];
		w->copied_bytes += copied(w, i);
		w->made += w->ended[i];
		w->final_bytes += w->ended[i] * x->bytes;
	}
}

static struct plan plan_make(const struct growth *w, double percentile)
{
	struct plan p = {.percentile = percentile};
	uint64_t sum = w->ended[0];

	while (p.size + 1 < w->tables.n && (double)sum < percentile / 100 * (double)w->made)
		sum += w->ended[++p.size];
	for (uint32_t i = 0; i < p.size; i++) {
		p.allocs += w->step[i];
		p.copied_bytes += copied(w, i);
		p.waste_bytes +=
			w->ended[i] * (w->tables.sizes[p.size].bytes - w->tables.sizes[i].bytes);
	}
	return p;
}

/* The most that can be reserved without wasting too much; the median when all do. */
static struct plan plan_best(const struct growth *w, double max_waste)
{
	struct plan p = plan_make(w, 99);

	if ((double)p.waste_bytes > max_waste * (double)w->final_bytes)
		p = plan_make(w, 90);
	if ((double)p.waste_bytes > max_waste * (double)w->final_bytes)
		p = plan_make(w, 50);
	return p;
}

static void report(const struct evidence *v, struct findings *out, const struct group *g,
	const struct growth *w, const struct plan *p)
{
	struct finding *f = findings_add(out, g);
	uint64_t n = table_entries(w->tables.sizes[p->size].buckets);
	struct map_names names;

	finding_count(out, f, "tables", "tables", (double)w->made);
	finding_figure(out, f, "steps", "times grown", UNIT_COUNT, (double)w->steps);
	finding_figure(
		out, f, "copied_bytes", "entries moved", UNIT_BYTES, (double)w->copied_bytes);
	finding_figure(out, f, "entry_bytes", "size of an entry", UNIT_BYTES,
		(double)w->tables.entry_bytes);
	finding_figure(out, f, "largest_bytes", "largest table", UNIT_BYTES,
		(double)w->tables.sizes[w->tables.n - 1].bytes);
	finding_figure(out, f, "capacity", "entries to reserve", UNIT_COUNT, (double)n);
	finding_figure(
		out, f, "waste_bytes", "of that in vain", UNIT_BYTES, (double)p->waste_bytes);

	f->fix = w->made == 1                        ? "exact"
		 : g->container == CONTAINER_SHARDED ? "sharded"
						     : "percentile";
	map_names_read(&names, v, g);
	finding_fill(out, f, "map", "%s", names.map);
	finding_fill(out, f, "arguments", "%s", names.arguments);
	finding_fill(out, f, "n", "%llu", (unsigned long long)n);
	finding_fill(out, f, "percentile", "%.0f", p->percentile);
	finding_fill(out, f, "waste", "%llu bytes", (unsigned long long)p->waste_bytes);
	f->saving.allocs = p->allocs;
	f->saving.copied_bytes = p->copied_bytes;
	f->confidence = g->named ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	finding_why(out, f, "%s",
		g->named
			? "the names say it is a table being rehashed, and all sizes fit the layout"
			: "alignment and sizes fit hashbrown's layout, what is in it has no name");
}

/* Made with the capacity it needs, for as long as the names tell. */
static bool is_reserved(const struct evidence *v, const struct group *g)
{
	return g->named && (!group_calls(v, g, "reserve_rehash") || g->clone != PROFILE_NONE);
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		struct growth w = {0};
		if (!tables_read(&w.tables, v, g) || is_reserved(v, g))
			continue;
		growth_fill(&w);
		if ((double)w.steps < limits[MIN_STEPS_PER_TABLE] * (double)w.made)
			continue;
		struct plan p = plan_best(&w, limits[MAX_WASTE]);
		if ((double)p.allocs >= limits[MIN_STEPS] ||
			(double)p.copied_bytes >= limits[MIN_COPIED_BYTES])
			report(v, out, g, &w, &p);
	}
}

const struct pattern pattern_map_regrowth = {
	.name = "map-regrowth",
	.title = "hash table grown step by step",
	.section = "Hot path 4; opportunity 3",
	.naming = "which map it is, K and V, and who fills it",
	.limits = {[MIN_STEPS] = "min_steps",
		[MIN_COPIED_BYTES] = "min_copied_bytes",
		[MIN_STEPS_PER_TABLE] = "min_steps_per_table",
		[MAX_WASTE] = "max_waste"},
	.find = find,
};
