/* SPDX-License-Identifier: MIT */
/* The list of patterns, and what is done for all of them: limits and texts. */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "pattern.h"
#include "ranking.h"

const struct pattern *const patterns[] = {
#define PATTERN_ROW(name) &pattern_##name,
	PATTERNS(PATTERN_ROW) NULL,
#undef PATTERN_ROW
};

const struct pattern *pattern_named(const char *name)
{
	for (const struct pattern *const *p = patterns; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	return NULL;
}

/* ---- for find() ---- */

struct finding *findings_add(struct findings *fs, const struct group *g)
{
	struct finding *f = calloc(1, sizeof(*f));

	if (f && (fs->n & (fs->n - 1)) == 0) {
		size_t room = fs->n ? 2 * (size_t)fs->n : 1;
		struct finding **grown = realloc(fs->rows, room * sizeof(*grown));
		if (!grown) {
			free(f);
			f = NULL;
		} else {
			fs->rows = grown;
		}
	}
	if (f) {
		fs->rows[fs->n++] = f;
	} else {
		fs->bad = true;
		f = &fs->spare;
	}
	f->pattern = fs->pattern;
	f->section = fs->pattern->section;
	f->group = g;
	return f;
}

void finding_also(struct findings *fs, struct finding *f, const struct group *g)
{
	const struct group **grown = reallocarray(f->more, (size_t)f->n_more + 1, sizeof(*grown));

	if (!grown) {
		fs->bad = true;
		return;
	}
	f->more = grown;
	f->more[f->n_more++] = g;
}

void finding_count(
	struct findings *fs, struct finding *f, const char *key, const char *label, double value)
{
	finding_figure(fs, f, key, label, UNIT_COUNT, value);
	if (fs->evidence->modules)
		finding_figure(fs, f, "per_module", "per module", UNIT_RATIO,
			value / (double)fs->evidence->modules);
}

void finding_figure(struct findings *fs, struct finding *f, const char *key, const char *label,
	enum unit unit, double value)
{
	if (f->n_figures == FINDING_FIGURES)
		fs->bad = true;
	else
		f->figures[f->n_figures++] = (struct figure){key, label, unit, value};
}

static char *say(struct findings *fs, const char *format, va_list ap)
{
	char *text;

	if (vasprintf(&text, format, ap) >= 0)
		return text;
	fs->bad = true;
	return NULL;
}

void finding_fill(struct findings *fs, struct finding *f, const char *name, const char *format, ...)
{
	va_list ap;

	if (f->n_fills == FINDING_FILLS) {
		fs->bad = true;
		return;
	}
	va_start(ap, format);
	f->fills[f->n_fills++] = (struct fill){name, say(fs, format, ap)};
	va_end(ap);
}

void finding_why(struct findings *fs, struct finding *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	free(f->why);
	f->why = say(fs, format, ap);
	va_end(ap);
}

/* ---- texts ---- */

static const char *brief_of(const struct evidence *v, uint32_t function, const char *none)
{
	return function == PROFILE_NONE ? none : v->profile->functions[function].brief;
}

static void fill_places(struct findings *fs, const struct evidence *v, struct finding *f)
{
	const struct group *g = f->group;
	char element[96] = "T";

	if (g->element[0])
		rust_type_short(element, sizeof(element), g->element);
	finding_fill(fs, f, "T", "%s", element);
	finding_fill(fs, f, "container", "%s", container_name(g->container));
	finding_fill(fs, f, "blame", "%s", brief_of(v, g->blame, ""));
	finding_fill(fs, f, "method", "%s", brief_of(v, g->method, "the allocator"));
	finding_fill(fs, f, "caller", "%s", brief_of(v, g->caller, "?"));
	finding_fill(fs, f, "crate", "%s", evidence_crate(v, g));
}

/* A name in braces, as Rust's own braces never are: {n}, {T}. Its length, or 0. */
static size_t placeholder(const char *s)
{
	size_t n = 1 + strspn(s + 1, "abcdefghijklmnopqrstuvwxyz_T");

	return s[0] == '{' && n > 1 && s[n] == '}' ? n + 1 : 0;
}

/* The template with its placeholders filled in; NULL with *e. */
static char *expand(const struct finding *f, const char *template, struct error *e)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (!out) {
		error_set(e, "out of memory for the findings");
		return NULL;
	}
	for (const char *s = template; *s;) {
		size_t n = placeholder(s);
		uint32_t i = 0;
		if (!n) {
			fputc(*s++, out);
			continue;
		}
		while (i < f->n_fills && (strlen(f->fills[i].name) != n - 2 ||
						 strncmp(f->fills[i].name, s + 1, n - 2)))
			i++;
		if (i == f->n_fills) {
			fclose(out);
			free(text);
			error_set(e, "the catalog's fix '%s' of %s: nothing fills %.*s", f->fix,
				f->pattern->name, (int)n, s);
			return NULL;
		}
		fputs(f->fills[i].text ? f->fills[i].text : "", out);
		s += n;
	}
	if (fclose(out)) {
		free(text);
		error_set(e, "out of memory for the findings");
		return NULL;
	}
	return text;
}

static bool name_matches(const struct evidence *v, const char *glob, uint32_t function)
{
	char *globs[] = {(char *)glob};
	const struct catalog_globs one = {globs, 1};

	return !glob || (function != PROFILE_NONE &&
				catalog_match(&one, v->profile->functions[function].name));
}

static void find_place(const struct evidence *v, const struct catalog *c, struct finding *f)
{
	for (uint32_t i = 0; i < c->n_places && !f->place; i++) {
		const struct catalog_place *p = &c->places[i];
		char *globs[] = {p->type};
		const struct catalog_globs type = {globs, 1};
		if (!name_matches(v, p->function, f->group->blame) ||
			!name_matches(v, p->method, f->group->method) ||
			(p->type && !catalog_match(&type, f->group->element)))
			continue;
		f->place = p->name;
		f->section = p->section ? p->section : f->section;
	}
}

static int finish(struct findings *fs, const struct evidence *v, const struct catalog *c,
	struct finding *f, struct error *e)
{
	const struct catalog_pattern *cp = catalog_pattern(c, f->pattern->name);
	const struct catalog_fix *fix = f->fix ? catalog_fix(cp, f->fix) : NULL;

	if (!fix)
		return error_set(e, "the catalog has no fix '%s' for %s", f->fix ? f->fix : "",
			f->pattern->name);
	fill_places(fs, v, f);
	find_place(v, c, f);
	f->fix_line = expand(f, fix->line, e);
	f->fix_code = f->fix_line ? expand(f, fix->code, e) : NULL;
	f->assumption = f->fix_code ? expand(f, fix->assumption, e) : NULL;
	if (!f->assumption)
		return -1;
	if (!f->group->named && f->pattern->naming) {
		f->naming = strdup(f->pattern->naming);
		fs->bad |= !f->naming;
	}
	finding_time(f, v, c);
	return 0;
}

/* ---- all ---- */

static void finding_empty(struct finding *f)
{
	for (uint32_t i = 0; i < f->n_fills; i++)
		free(f->fills[i].text);
	free(f->why);
	free(f->fix_line);
	free(f->fix_code);
	free(f->assumption);
	free(f->naming);
	free(f->shared);
	free(f->more);
}

void finding_release(struct finding *f)
{
	finding_empty(f);
	free(f);
}

/* The values of a pattern's limits, by its own list; both sides must have the same. */
static int limits_of(
	double *limits, const struct pattern *p, const struct catalog_pattern *cp, struct error *e)
{
	uint32_t n = 0;

	for (; p->limits[n]; n++) {
		const struct catalog_limit *l = cp ? catalog_limit(cp, p->limits[n]) : NULL;
		if (!l)
			return error_set(
				e, "the catalog has no limit '%s' for %s", p->limits[n], p->name);
		limits[n] = l->value;
	}
	if (!cp || cp->n_limits != n)
		return error_set(e, "the catalog has limits for %s that it does not know", p->name);
	return 0;
}

static double unnamed_share(const struct evidence *v)
{
	double all = (double)totals_metric(&v->profile->total, METRIC_BYTES), unnamed = 0;

	for (uint32_t i = 0; i < v->n_groups; i++)
		if (!v->groups[i].named)
			unnamed += (double)totals_metric(&v->groups[i].totals, METRIC_BYTES);
	return all > 0 ? unnamed / all : 0;
}

int patterns_find(struct findings *out, const struct evidence *v, const struct catalog *c,
	const struct pattern *only, double min_score, struct error *e)
{
	double limits[PATTERN_LIMITS];

	*out = (struct findings){.evidence = v, .only = only, .unnamed_share = unnamed_share(v)};
	for (const struct pattern *const *p = patterns; *p; p++) {
		if (only && only != *p)
			continue;
		if (limits_of(limits, *p, catalog_pattern(c, (*p)->name), e))
			goto failed;
		out->pattern = *p;
		(*p)->find(v, limits, out);
	}
	for (uint32_t i = 0; i < out->n; i++)
		if (finish(out, v, c, out->rows[i], e))
			goto failed;
	if (!out->bad)
		findings_rank(out, min_score);
	if (out->bad) {
		error_set(e, "out of memory for the findings");
		goto failed;
	}
	return 0;
failed:
	findings_release(out);
	return -1;
}

/* Of the group's fresh allocations, those in phases of this name. */
static double phase_share(const struct evidence *v, const struct group *g, const char *name)
{
	double there = 0, all = (double)g->totals.allocs;

	for (uint32_t i = 0; i < v->phases.n; i++) {
		if (strcmp(v->phases.all[i].name, name))
			continue;
		for (uint32_t k = 0; k < g->n_buckets; k++) {
			struct totals x;
			phases_bucket(&v->phases, i, v->bucket_order[g->first_bucket + k], &x);
			there += (double)x.allocs;
		}
	}
	return all > 0 ? (there < all ? there / all : 1) : 0;
}

int findings_of_phase(struct findings *fs, const struct evidence *v, const char *name,
	double min_score, struct error *e)
{
	if (phases_find(&v->phases, name, e) < 0)
		return -1;
	fs->phase = name;
	for (uint32_t i = 0; i < fs->n; i++) {
		struct finding *f = fs->rows[i];
		struct saving *s = &f->saving;
		double share = phase_share(v, f->group, name);
		s->peak_bytes = (uint64_t)((double)s->peak_bytes * share + 0.5);
		s->allocs = (uint64_t)((double)s->allocs * share + 0.5);
		s->calls = (uint64_t)((double)s->calls * share + 0.5);
		s->copied_bytes = (uint64_t)((double)s->copied_bytes * share + 0.5);
		s->time_ns = (uint64_t)((double)s->time_ns * share + 0.5);
		finding_figure(fs, f, "phase_share",
			"of its allocations in this phase, and so of the saving", UNIT_SHARE,
			share);
	}
	findings_rank(fs, fmax(min_score, DBL_MIN)); /* without those that save nothing there */
	return fs->bad ? error_set(e, "out of memory for the findings") : 0;
}

void findings_release(struct findings *fs)
{
	for (uint32_t i = 0; i < fs->n; i++) {
		finding_release(fs->rows[i]);
	}
	finding_empty(&fs->spare);
	free(fs->rows);
	*fs = (struct findings){0};
}
