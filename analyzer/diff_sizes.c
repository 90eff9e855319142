/* SPDX-License-Identifier: MIT */
/*
 * Modules without names. Between two builds every address moves, and a call-site is told only by what it asks for. So
 * the rows are size classes of the whole module, which no moving of code can change; a class that did change is then
 * explained by its call-sites, aligned in address order as diff aligns lines: by size, count, alignment and lifetime,
 * since linkers keep most of the order. Classes explained by the same place are one row; classes that changed too
 * little by themselves are tried once more by doublings.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff_internal.h"
#include "utf8.h"
#include "views/figures.h"

#define ALIGN_MAX_CELLS (1u << 20)
#define ALIKE           0.5 /* counts of call-sites that may be one: smaller by greater, in order */
#define ALIKE_ANYWHERE  0.8 /* out of order */
#define FEW                                                                                        \
	16 /* blocks of a class over the run, on both sides: tables, whose sizes follow the moment */
#define TABLE_BYTES 4096
#define RESIZED     0.5  /* smaller by greater size of blocks that may be one type */
#define SAME_COUNT  0.95 /* smaller by greater change of their counts */
#define EXPLAINS    0.6  /* of a class's change: a place that is worth naming */

/* A call-site (function) of one side in one size class. */
struct item {
	uint32_t module;
	uint16_t size_class;
	uint8_t side;
	uint8_t align;
	uint32_t function;
	int64_t address; /* within the module; -1: it has a name */
	uint64_t min_bytes, max_bytes;
	struct diff_part part;
	int64_t partner; /* index of the other side's item, or -1 */
};

struct place {
	uint32_t function[SIDES]; /* or PROFILE_NONE */
};

struct sizer {
	struct diff *d;
	const struct diff_modules *m;
	const struct profile *const *sides;
	struct item *items;
	uint32_t n_items;
	/* of the module at hand: its rows, and the places they were explained by */
	uint32_t first_row;
	struct place *places; /* PROFILE_NONE twice: of no place */
};

static int by_place(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	if (x->size_class != y->size_class)
		return x->size_class < y->size_class ? -1 : 1;
	if (x->side != y->side)
		return x->side < y->side ? -1 : 1;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->function > y->function) - (x->function < y->function);
}

static int64_t address_of(const struct profile *p, uint32_t f)
{
	const char *at = p->functions[f].unnamed ? strstr(p->functions[f].name, "+0x") : NULL;

	return at ? (int64_t)(strtoull(at + 1, NULL, 16) & INT64_MAX) : -1;
}

static int collect(struct sizer *z)
{
	size_t most = (size_t)z->sides[0]->tally->n_buckets + z->sides[1]->tally->n_buckets;
	uint32_t n = 0;

	z->items = malloc((most + 1) * sizeof(*z->items));
	if (!z->items)
		return -1;
	for (int s = 0; s < SIDES; s++) {
		const struct profile *p = z->sides[s];
		for (uint32_t b = 0; b < p->tally->n_buckets; b++) {
			const struct profile_bucket *pb = &p->buckets[b];
			const struct ht_counters *c = &p->tally->counters[b];
			if (totals_empty(&pb->totals) || !diff_by_sizes(z->m, p, s, pb->blame))
				continue;
			struct item *i = &z->items[n++];
			*i = (struct item){.module = z->m->of[s][p->functions[pb->blame].module],
				.size_class = p->tally->buckets[b].size_class,
				.side = (uint8_t)s,
				.align = p->tally->buckets[b].align,
				.function = pb->blame,
				.address = address_of(p, pb->blame),
				.min_bytes = c->min_bytes,
				.max_bytes = c->max_bytes,
				.partner = -1};
			if (i->min_bytes > i->max_bytes) {
				i->min_bytes = ht_class_min_bytes(i->size_class);
				i->max_bytes = ht_class_max_bytes(i->size_class);
			}
			diff_part_add(&i->part, &pb->totals);
		}
	}
	qsort(z->items, n, sizeof(*z->items), by_place);
	for (uint32_t i = 0; i < n; i++) {
		struct item *last = z->n_items ? &z->items[z->n_items - 1] : NULL;
		if (!last || by_place(last, &z->items[i])) {
			z->items[z->n_items++] = z->items[i];
			continue;
		}
		diff_part_merge(&last->part, &z->items[i].part);
		if (z->items[i].min_bytes < last->min_bytes)
			last->min_bytes = z->items[i].min_bytes;
		if (z->items[i].max_bytes > last->max_bytes)
			last->max_bytes = z->items[i].max_bytes;
	}
	return 0;
}

/* ---- call-sites of one class ---- */

static double count_of(const struct item *i)
{
	return (double)totals_metric(&i->part.totals, METRIC_COUNT);
}

static double ratio(double a, double b)
{
	return a > 0 && b > 0 ? fmin(a, b) / fmax(a, b) : a == b;
}

/* 0: not the same call-site. */
static double likeness(const struct item *a, const struct item *b)
{
	bool fixed_a = a->min_bytes == a->max_bytes, fixed_b = b->min_bytes == b->max_bytes;
	double counts = ratio(count_of(a), count_of(b));

	if (counts < ALIKE || (fixed_a && fixed_b && a->min_bytes != b->min_bytes))
		return 0;
	return counts + 0.2 * (fixed_a == fixed_b) + 0.1 * (a->align == b->align) +
	       0.2 * ratio(totals_life_ticks(&a->part.totals), totals_life_ticks(&b->part.totals));
}

/* The best order-preserving pairs of b[0 … n) and a[0 … m), as item indices. */
static void align_in_order(struct sizer *z, uint32_t first, uint32_t n, uint32_t m)
{
	struct item *b = &z->items[first], *a = b + n;
	size_t width = (size_t)m + 1;
	double *best =
		(n + 1) * width <= ALIGN_MAX_CELLS ? calloc((n + 1) * width, sizeof(*best)) : NULL;

	if (!best)
		return; /* the round without order has to do */
	for (uint32_t i = n; i-- > 0;)
		for (uint32_t j = m; j-- > 0;) {
			double like = likeness(&b[i], &a[j]);
			double skip = fmax(best[(i + 1) * width + j], best[i * width + j + 1]);
			best[i * width + j] =
				like > 0 ? fmax(skip, like + best[(i + 1) * width + j + 1]) : skip;
		}
	for (uint32_t i = 0, j = 0; i < n && j < m;) {
		double here = best[i * width + j];
		if (here == best[(i + 1) * width + j]) {
			i++;
		} else if (here == best[i * width + j + 1]) {
			j++;
		} else {
			b[i].partner = first + n + j;
			a[j].partner = first + i;
			i++;
			j++;
		}
	}
	free(best);
}

static void align_anywhere(struct sizer *z, uint32_t first, uint32_t n, uint32_t m)
{
	for (uint32_t i = first; i < first + n; i++) {
		double most = 0;
		int64_t partner = -1;
		if (z->items[i].partner >= 0)
			continue;
		for (uint32_t j = first + n; j < first + n + m; j++) {
			double like = z->items[j].partner < 0 && ratio(count_of(&z->items[i]),
									 count_of(&z->items[j])) >=
									 ALIKE_ANYWHERE
					      ? likeness(&z->items[i], &z->items[j])
					      : 0;
			if (like > most) {
				most = like;
				partner = j;
			}
		}
		z->items[i].partner = partner;
		if (partner >= 0)
			z->items[partner].partner = i;
	}
}

static double change_in(const struct diff_part *b, const struct diff_part *a, enum profile_metric m)
{
	return (a ? (double)totals_metric(&a->totals, m) : 0) -
	       (b ? (double)totals_metric(&b->totals, m) : 0);
}

/*
 * The items, one of each side or one alone, that are most of a class's change by the metric. -1 in both: it is spread
 * over several.
 */
static void explain(struct sizer *z, uint32_t first, uint32_t n, uint32_t m,
	const struct diff_row *row, enum profile_metric by, int64_t found[SIDES])
{
	double change = change_in(&row->before, &row->after, by), most = 0;

	found[BEFORE] = found[AFTER] = -1;
	align_in_order(z, first, n, m);
	align_anywhere(z, first, n, m);
	for (uint32_t i = first; i < first + n + m; i++) {
		const struct item *it = &z->items[i];
		int64_t at[SIDES] = {it->side == BEFORE ? (int64_t)i : it->partner,
			it->side == AFTER ? (int64_t)i : it->partner};
		if (it->side == AFTER && it->partner >= 0)
			continue; /* seen from before's side */
		double c = change_in(at[0] < 0 ? NULL : &z->items[at[0]].part,
			at[1] < 0 ? NULL : &z->items[at[1]].part, by);
		if (c * change > 0 && fabs(c) >= EXPLAINS * fabs(change) && fabs(c) > most) {
			most = fabs(c);
			memcpy(found, at, sizeof(at));
		}
	}
}

/* ---- rows ---- */

static enum profile_metric strongest(const struct diff *d, const struct diff_row *r)
{
	int best = d->by == DIFF_BY_ANY ? METRIC_PEAK : (int)d->by;

	for (int m = 0; d->by == DIFF_BY_ANY && m <= METRIC_COUNT; m++)
		if (r->significance[m] > r->significance[best])
			best = m;
	return (enum profile_metric)best;
}

static bool stands_out(const struct diff *d, const struct diff_row *r)
{
	for (int m = 0; m < METRIC_N; m++)
		if (r->significance[m] > 1 &&
			(m != METRIC_PEAK || d->threshold == 0 || !diff_row_elsewhere(d, r)))
			return true;
	return false;
}

static void widen(struct diff_row *r, const struct item *i)
{
	if (!r->max_bytes || i->min_bytes < r->min_bytes)
		r->min_bytes = i->min_bytes;
	if (i->max_bytes > r->max_bytes)
		r->max_bytes = i->max_bytes;
}

static void add_items(struct diff_row *r, const struct item *items, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		diff_part_merge(items[i].side == BEFORE ? &r->before : &r->after, &items[i].part);
}

static void put_place(struct sizer *z, struct diff_row *r, const int64_t found[SIDES])
{
	for (int s = 0; s < SIDES; s++) {
		const struct item *i = found[s] < 0 ? NULL : &z->items[found[s]];
		if (!i)
			continue;
		widen(r, i);
		*(s == BEFORE ? &r->place.before : &r->place.after) = i->address;
		*(s == BEFORE ? &r->place.count_before : &r->place.count_after) +=
			totals_metric(&i->part.totals, METRIC_COUNT);
	}
}

/* The row of this module that the same place explains, or a new one. NULL: out of memory. */
static struct diff_row *row_of_place(struct sizer *z, const int64_t found[SIDES], bool fixed)
{
	struct place at;

	for (int s = 0; s < SIDES; s++)
		at.function[s] = found[s] < 0 ? PROFILE_NONE : z->items[found[s]].function;
	for (uint32_t i = z->first_row;
		i < z->d->n_rows && (found[0] >= 0 || found[1] >= 0) && !fixed; i++)
		if (!memcmp(&z->places[i - z->first_row], &at, sizeof(at)))
			return &z->d->rows[i];
	struct diff_row *r = diff_row_new(z->d);
	if (r)
		z->places[z->d->n_rows - 1 - z->first_row] = at;
	return r;
}

/* The one size of the blocks at a place, 0 when they are of several. */
static uint64_t fixed_bytes(const struct sizer *z, const int64_t found[SIDES])
{
	uint64_t bytes = 0;

	for (int s = 0; s < SIDES; s++) {
		const struct item *i = found[s] < 0 ? NULL : &z->items[found[s]];
		if (i && (i->min_bytes != i->max_bytes || (bytes && bytes != i->min_bytes)))
			return 0;
		bytes = i ? i->min_bytes : bytes;
	}
	return bytes;
}

/*
 * One class that changed by itself. Where blocks of one size explain it the row is of that size, and the rest of the
 * class goes to the row `rest`.
 */
static int class_row(struct sizer *z, uint32_t first, uint32_t n, uint32_t m,
	const struct diff_row *judged, uint32_t rest)
{
	int64_t found[SIDES];

	explain(z, first, n, m, judged, strongest(z->d, judged), found);
	uint64_t fixed = fixed_bytes(z, found);
	struct diff_row *r = row_of_place(z, found, fixed);
	if (!r)
		return -1;
	put_place(z, r, found);
	for (uint32_t i = first; i < first + n + m; i++) {
		const struct item *it = &z->items[i];
		bool mine = !fixed || (it->min_bytes == fixed && it->max_bytes == fixed);
		add_items(mine ? r : &z->d->rows[rest], it, 1);
		if (!mine)
			widen(&z->d->rows[rest], it);
		else if (found[0] < 0 && found[1] < 0)
			widen(r, it);
	}
	return 0;
}

static void sizes_text(char out[64], uint64_t min_bytes, uint64_t max_bytes)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE];

	figure_exact(a, min_bytes);
	figure_exact(b, max_bytes);
	snprintf(out, 64, min_bytes == max_bytes ? "%s B" : "%s to %s B", a, b);
}

static char *sizes_name(const struct diff_row *r, const struct diff_row *resized)
{
	char was[64], now[64], *name;

	sizes_text(was, r->min_bytes, r->max_bytes);
	if (resized)
		sizes_text(now, resized->min_bytes, resized->max_bytes);
	if (asprintf(&name, resized ? "blocks of %s, now %s" : "blocks of %s", was, now) < 0)
		return NULL;
	return name;
}

static double count_change(const struct diff_row *r)
{
	return change_in(&r->before, &r->after, METRIC_COUNT);
}

/*
 * The row whose blocks these may have become: as many more, at less than twice the size, as r has fewer. A type that
 * grew or shrank is one change, and a path that is a letter longer none.
 */
static struct diff_row *resized_to(struct sizer *z, const struct diff_row *r)
{
	struct diff_row *best = NULL;
	double nearest = RESIZED;

	for (uint32_t i = z->first_row; i < z->d->n_rows; i++) {
		struct diff_row *o = &z->d->rows[i];
		double sizes = ratio((double)(r->min_bytes + r->max_bytes),
			(double)(o->min_bytes + o->max_bytes));
		if (o == r || o->name || count_change(r) >= 0 || count_change(o) <= 0 ||
			!stands_out(z->d, o) ||
			ratio(-count_change(r), count_change(o)) < SAME_COUNT || sizes < nearest)
			continue;
		best = o;
		nearest = sizes;
	}
	return best;
}

static void join_resized(struct diff_row *r, struct diff_row *o)
{
	diff_part_merge(&r->before, &o->before);
	diff_part_merge(&r->after, &o->after);
	if (r->place.after < 0) {
		r->place.after = o->place.after;
		r->place.count_after = o->place.count_after;
	}
	if (o->min_bytes < r->min_bytes)
		r->min_bytes = o->min_bytes;
	if (o->max_bytes > r->max_bytes)
		r->max_bytes = o->max_bytes;
	o->before = o->after = (struct diff_part){0};
	memset(o->significance, 0, sizeof(o->significance));
}

static int finish_rows(struct sizer *z, uint32_t module)
{
	const struct diff_module *x = &z->m->all[module];
	int s = x->index[AFTER] != PROFILE_NONE ? AFTER : BEFORE;
	const struct tally *t = z->sides[s]->tally;
	const char *path = module ? tally_string(t, t->modules[x->index[s]].path) : "[no module]";

	for (uint32_t i = z->first_row; i < z->d->n_rows; i++) {
		struct diff_row *r = &z->d->rows[i];
		r->sizes = true;
		r->engine = x->host;
		r->unsteady = diff_unsteady("", x->host);
		diff_row_judge(r, &z->d->total_before, &z->d->total_after, z->d->threshold);
	}
	for (uint32_t i = z->first_row; i < z->d->n_rows; i++) {
		struct diff_row *r = &z->d->rows[i];
		struct diff_row *o =
			z->d->threshold > 0 && stands_out(z->d, r) ? resized_to(z, r) : NULL;
		if (!o)
			continue;
		r->name = sizes_name(r, o);
		if (!r->name)
			return -1;
		join_resized(r, o);
	}
	for (uint32_t i = z->first_row; i < z->d->n_rows; i++) {
		struct diff_row *r = &z->d->rows[i];
		r->name = r->name ? r->name : sizes_name(r, NULL);
		r->brief = r->name ? strdup(r->name) : NULL;
		r->module = utf8_clean(basename(path), 4096);
		if (!r->module || !r->brief)
			return -1;
	}
	return 0;
}

/* Smallest power of two that holds the class. */
static unsigned doubling(uint16_t size_class)
{
	uint64_t most = ht_class_max_bytes(size_class);

	return most < 2 ? 0 : 64 - (unsigned)__builtin_clzll(most - 1);
}

/* A growing table meets a class once, and another one when threads split the work otherwise: all such are one row. */
static bool is_tables(const struct diff_row *r, uint16_t size_class)
{
	return ht_class_min_bytes(size_class) >= TABLE_BYTES &&
	       totals_metric(&r->before.totals, METRIC_COUNT) <= FEW &&
	       totals_metric(&r->after.totals, METRIC_COUNT) <= FEW;
}

static int64_t rest_row(struct sizer *z, int64_t row)
{
	if (row >= 0)
		return row;
	if (!diff_row_new(z->d))
		return -1;
	z->places[z->d->n_rows - 1 - z->first_row] = (struct place){{PROFILE_NONE, PROFILE_NONE}};
	return z->d->n_rows - 1;
}

/* Items [first, end) are those of one module. */
static int module_rows(struct sizer *z, uint32_t first, uint32_t end)
{
	uint32_t module = z->items[first].module;
	int64_t doubled = -1, tables = -1; /* rows */
	unsigned last = 0;

	z->first_row = z->d->n_rows;
	for (uint32_t i = first, next; i < end; i = next) {
		struct diff_row judged = {.unsteady = diff_unsteady("", z->m->all[module].host)};
		uint32_t n = 0;
		for (next = i; next < end && z->items[next].size_class == z->items[i].size_class;
			next++)
			n += z->items[next].side == BEFORE;
		add_items(&judged, &z->items[i], next - i);
		diff_row_judge(&judged, &z->d->total_before, &z->d->total_after, z->d->threshold);
		bool table = is_tables(&judged, z->items[i].size_class);
		if (!table && doubling(z->items[i].size_class) != last) {
			doubled = -1;
			last = doubling(z->items[i].size_class);
		}
		int64_t *to = table ? &tables : &doubled;
		*to = rest_row(z, *to);
		if (*to < 0)
			return -1;
		if (!table && stands_out(z->d, &judged)) {
			if (class_row(z, i, n, next - i - n, &judged, (uint32_t)*to))
				return -1;
			continue;
		}
		add_items(&z->d->rows[*to], &z->items[i], next - i);
		for (uint32_t k = i; k < next; k++)
			widen(&z->d->rows[*to], &z->items[k]);
	}
	return finish_rows(z, module);
}

/* The rows so far are those of functions. */
static void judge_moment(const struct sizer *z)
{
	for (uint32_t i = 0; i < z->d->n_rows; i++)
		diff_moment_add(z->d, &z->d->rows[i].before.totals, &z->d->rows[i].after.totals);
	for (uint32_t i = 0, next; i < z->n_items; i = next) {
		const struct item *first = &z->items[i];
		struct diff_row sums = {0};
		for (next = i; next < z->n_items && z->items[next].module == first->module &&
			       z->items[next].size_class == first->size_class;
			next++)
			;
		add_items(&sums, first, next - i);
		diff_moment_add(z->d, &sums.before.totals, &sums.after.totals);
	}
}

int diff_match_sizes(
	struct diff *d, const struct diff_modules *m, const struct profile *const sides[SIDES])
{
	struct sizer z = {.d = d, .m = m, .sides = sides};
	int ret = collect(&z);

	z.places = malloc(2 * HT_SIZE_CLASSES * sizeof(*z.places));
	if (!z.places)
		ret = -1;
	judge_moment(&z);
	for (uint32_t i = 0, next; i < z.n_items && !ret; i = next) {
		for (next = i; next < z.n_items && z.items[next].module == z.items[i].module;
			next++)
			;
		ret = module_rows(&z, i, next);
	}
	free(z.items);
	free(z.places);
	return ret;
}
