/* SPDX-License-Identifier: MIT */
/* One function per measure: see claims.h. */
#include "claims.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/ranking.h"

struct judge {
	const struct evidence *v;
	const struct catalog *c;
	const struct inventory *t;
	const struct findings *fs;
	double scale;
	bool names; /* some allocation belongs to one of the catalog's structures */
	bool bad;
};

static const char *const verdict_names[VERDICT_N] = {"holds", "off", "changed", "not visible"};

const char *verdict_name(enum verdict v)
{
	return verdict_names[v];
}

__attribute__((format(printf, 4, 5))) static void say(
	struct judge *j, struct claim *r, enum verdict verdict, const char *format, ...)
{
	va_list ap;

	r->verdict = verdict;
	va_start(ap, format);
	if (vasprintf(&r->why, format, ap) < 0) {
		r->why = NULL;
		j->bad = true;
	}
	va_end(ap);
}

/* What the claim speaks of is not there. */
static void missing(struct judge *j, struct claim *r, const char *what)
{
	if (j->names)
		say(j, r, VERDICT_NOT_VISIBLE, "%s", what);
	else
		say(j, r, VERDICT_NOT_VISIBLE,
			"no allocation in the tally has a name that the catalog knows: no "
			"symbols?");
}

static void compare(struct judge *j, struct claim *r, double value, enum unit unit)
{
	double claimed = r->claim->value;

	r->measured = true;
	r->unit = unit;
	r->value = value;
	r->factor = claimed > 0 ? value / claimed : 0;
	r->verdict = !(claimed > 0) || (r->factor <= j->c->claim_tolerance &&
					       r->factor * j->c->claim_tolerance >= 1)
			     ? VERDICT_HOLDS
			     : VERDICT_OFF;
}

static void judge_structure(struct judge *j, struct claim *r, const char *measure)
{
	const struct structure *s =
		inventory_structure(j->t, r->claim->structure ? r->claim->structure : "");

	if (!s) {
		missing(j, r,
			"nothing live at the peak is called that: part of another block, or "
			"inlined");
		return;
	}
	if (!strcmp(measure, "bytes")) {
		compare(j, r, (double)s->peak_bytes * j->scale, UNIT_BYTES);
		return;
	}
	if (!s->count) {
		missing(j, r, "its blocks do not tell the size of one item");
		return;
	}
	if (!strcmp(measure, "size")) {
		compare(j, r, s->item_bytes, UNIT_BYTES);
		if (s->low_bytes != s->high_bytes)
			say(j, r, r->verdict, "mean of %llu to %llu bytes",
				(unsigned long long)s->low_bytes,
				(unsigned long long)s->high_bytes);
		else
			say(j, r, r->verdict, "%s %s",
				s->room ? "an item of its" : "each in a block of its own:",
				container_name(s->container));
		return;
	}
	compare(j, r, (double)s->count * j->scale, UNIT_COUNT);
	if (s->room)
		say(j, r, r->verdict, "room for so many in its %s; how many are there is not known",
			container_name(s->container));
}

static void judge_category(struct judge *j, struct claim *r, const char *measure)
{
	for (uint32_t i = 0; i < j->t->n_categories; i++) {
		const struct category *x = &j->t->categories[i];
		if (!r->claim->category || strcmp(x->name, r->claim->category))
			continue;
		if (!strcmp(measure, "share")) {
			compare(j, r,
				j->t->peak_bytes ? (double)x->peak_bytes / (double)j->t->peak_bytes
						 : 0,
				UNIT_SHARE);
			say(j, r, r->verdict, "of all that was live at the peak");
		} else {
			compare(j, r, (double)x->peak_bytes * j->scale, UNIT_BYTES);
		}
		return;
	}
	missing(j, r, "nothing belongs to the category");
}

static bool speaks_of(const struct judge *j, const struct claim *r, const struct group *g)
{
	const struct catalog_claim *c = r->claim;

	return inventory_match(j->v, g, &c->types, &c->functions, &c->methods);
}

/* What allocates where the claim points, with the container of most bytes. */
struct there {
	uint32_t statements, of_kind;
	uint64_t allocs, most, kind_allocs, kind_bytes;
	enum container container;
};

static struct there look(const struct judge *j, const struct claim *r, const char *container)
{
	struct there x = {0};

	for (uint32_t i = 0; i < j->v->n_groups; i++) {
		const struct group *g = &j->v->groups[i];
		uint64_t bytes = totals_metric(&g->totals, METRIC_BYTES);
		if (!speaks_of(j, r, g))
			continue;
		x.statements++;
		x.allocs += g->totals.allocs;
		if (bytes > x.most) {
			x.most = bytes;
			x.container = g->container;
		}
		if (container && !strcmp(container_name(g->container), container)) {
			x.of_kind++;
			x.kind_bytes += bytes;
			x.kind_allocs += g->totals.allocs;
		}
	}
	return x;
}

static void judge_present(struct judge *j, struct claim *r)
{
	const char *container = r->claim->container ? r->claim->container : "";
	struct there x = look(j, r, container);

	if (x.of_kind && (double)x.kind_allocs < r->claim->per_module * (double)j->v->modules) {
		say(j, r, VERDICT_CHANGED, "%llu allocations of a %s there for %llu modules",
			(unsigned long long)x.kind_allocs, container,
			(unsigned long long)j->v->modules);
	} else if (x.of_kind) {
		r->measured = true;
		r->unit = UNIT_BYTES;
		r->value = (double)x.kind_bytes * j->scale;
		say(j, r, VERDICT_HOLDS, "requested over the run, by %u statements", x.of_kind);
	} else if (x.statements) {
		say(j, r, VERDICT_CHANGED, "no %s there: %s, the most of %u statements", container,
			container_name(x.container), x.statements);
	} else {
		missing(j, r, "nothing there allocates");
	}
}

static void judge_allocs(struct judge *j, struct claim *r)
{
	struct there x = look(j, r, r->claim->container);
	uint64_t n = r->claim->container ? x.kind_allocs : x.allocs;

	if (n)
		compare(j, r, (double)n * j->scale, UNIT_COUNT);
	else
		missing(j, r, "nothing there allocates");
}

static void judge_pattern(struct judge *j, struct claim *r)
{
	bool *speaks = calloc(j->fs->n + 1u, sizeof(*speaks));
	struct saving all = {0};
	uint32_t n = 0;

	for (uint32_t i = 0; speaks && i < j->fs->n; i++) {
		const struct finding *f = j->fs->rows[i];
		speaks[i] =
			!strcmp(f->pattern->name, r->claim->pattern) && speaks_of(j, r, f->group);
		n += speaks[i];
	}
	j->bad |= !speaks || findings_together(&all, j->fs, speaks);
	free(speaks);
	double saved = (double)all.peak_bytes, allocs = (double)all.allocs;
	if (n && r->claim->value > 0) {
		compare(j, r, saved * j->scale, UNIT_BYTES);
		say(j, r, r->verdict, "less at the peak, by %u findings", n);
	} else if (n) {
		compare(j, r, allocs > 0 ? allocs * j->scale : saved * j->scale,
			allocs > 0 ? UNIT_COUNT : UNIT_BYTES);
		say(j, r, VERDICT_HOLDS, "%s to save, by %u findings",
			allocs > 0 ? "allocations" : "bytes at the peak", n);
	} else {
		struct there x = look(j, r, NULL);
		if (x.statements)
			say(j, r, VERDICT_CHANGED,
				"no %s there: %u statements allocate %llu times, %s for the most",
				r->claim->pattern, x.statements, (unsigned long long)x.allocs,
				container_name(x.container));
		else
			missing(j, r, "nothing there allocates");
	}
}

static void judge_claim(struct judge *j, struct claim *r)
{
	const char *measure = r->claim->measure;

	if (!strcmp(measure, "peak"))
		compare(j, r, (double)j->t->peak_bytes * j->scale, UNIT_BYTES);
	else if (!strcmp(measure, "category") || !strcmp(measure, "share"))
		judge_category(j, r, measure);
	else if (!strcmp(measure, "pattern"))
		judge_pattern(j, r);
	else if (!strcmp(measure, "allocs"))
		judge_allocs(j, r);
	else if (!strcmp(measure, "present"))
		judge_present(j, r);
	else
		judge_structure(j, r, measure);
}

int claims_init(struct claims *cs, const struct evidence *v, const struct catalog *c,
	const struct inventory *t, const struct findings *fs, struct error *e)
{
	struct judge j = {v, c, t, fs, 1, false, false};

	*cs = (struct claims){.rows = calloc(c->n_claims + 1u, sizeof(*cs->rows))};
	if (!cs->rows)
		return error_set(e, "out of memory for the claims");
	cs->scale = j.scale = v->modules ? c->claim_modules / (double)v->modules : 1;
	for (uint32_t i = 0; i < t->n_structures; i++)
		j.names |= t->structures[i].peak_bytes > 0;
	for (; cs->n < c->n_claims; cs->n++) {
		struct claim *r = &cs->rows[cs->n];
		r->claim = &c->claims[cs->n];
		if (!strcmp(r->claim->measure, "pattern") &&
			!pattern_named(r->claim->pattern ? r->claim->pattern : "")) {
			error_set(e, "the catalog claims '%.60s', but there is no pattern '%.60s'",
				r->claim->says, r->claim->pattern ? r->claim->pattern : "");
			claims_release(cs);
			return -1;
		}
		judge_claim(&j, r);
		cs->verdicts[r->verdict]++;
	}
	if (!j.bad)
		return 0;
	claims_release(cs);
	return error_set(e, "out of memory for the claims");
}

void claims_release(struct claims *cs)
{
	for (uint32_t i = 0; i < cs->n; i++)
		free(cs->rows[i].why);
	free(cs->rows);
	*cs = (struct claims){0};
}
