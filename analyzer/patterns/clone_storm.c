/* SPDX-License-Identifier: MIT */
/*
 * Clones that stay what they were cloned from. Rests on Clone::clone in the stack, and on sampled contents: where many of
 * the freed blocks were equal, one thing was cloned again and again and nobody changed it. Blocks that hold pointers
 * differ whatever they are clones of, so that they are judged by the texts that were cloned with them.
 */
#include <stdlib.h>

#include "../evidence_samples.h"
#include "blocks.h"
#include "list.h"

enum limit { MIN_CLONES, MIN_CLONED_BYTES, MIN_SAMPLES, MIN_SHARE, SHARED_BYTES };

/* What one Clone::clone of the program's own allocates, in all its statements; or one statement that clones a String. */
struct storm {
	const struct group *group; /* of them the one with most bytes */
	uint64_t clones;           /* the most that one statement made */
	uint64_t allocs, bytes, temporary;
	double peak_bytes;
	uint64_t sampled, texts_sampled;
	struct duplicates equal; /* of what can be compared: text, and blocks that turn out equal */
};

static bool is_text(const struct group *g)
{
	return g->container == CONTAINER_STRING;
}

/* The program's own Clone::clone: one storm with all that it allocates. */
static bool is_own(const struct evidence *v, const struct group *g)
{
	return !v->profile->functions[g->clone].plumbing;
}

static void storm_add(
	struct storm *s, const struct evidence *v, const struct group *g, const double *limits)
{
	struct duplicates d;

	if (!s->group || g->totals.alloc_bytes > s->group->totals.alloc_bytes)
		s->group = g;
	s->clones = g->totals.allocs > s->clones ? g->totals.allocs : s->clones;
	s->allocs += g->totals.allocs;
	s->bytes += g->totals.alloc_bytes;
	s->temporary += g->totals.temporary;
	s->peak_bytes += g->totals.peak_bytes > 0 ? (double)g->totals.peak_bytes : 0;
	group_duplicates(v, g, &d);
	s->sampled += d.sampled;
	if (is_text(g))
		s->texts_sampled += d.sampled;
	else if (!((double)d.sampled >= limits[MIN_SAMPLES] &&
			 d.spare >= limits[MIN_SHARE] * d.blocks))
		return;
	s->equal.sampled += d.sampled;
	s->equal.blocks += d.blocks;
	s->equal.spare += d.spare;
}

static void put_figures(struct findings *out, struct finding *f, const struct storm *s)
{
	double clones = (double)s->clones;

	finding_count(out, f, "clones", "clones", clones);
	finding_figure(out, f, "cloned_bytes", "bytes cloned", UNIT_BYTES, (double)s->bytes);
	finding_figure(
		out, f, "allocs_per_clone", "blocks each", UNIT_RATIO, (double)s->allocs / clones);
	finding_figure(out, f, "mean_bytes", "bytes each", UNIT_BYTES, (double)s->bytes / clones);
	finding_figure(out, f, "peak_bytes", "alive at the peak", UNIT_BYTES, s->peak_bytes);
	finding_figure(out, f, "temporary", "freed at once", UNIT_COUNT, (double)s->temporary);
	if (!s->equal.sampled || !(s->equal.blocks > 0))
		return;
	finding_figure(out, f, "sampled", "contents sampled", UNIT_COUNT, (double)s->equal.sampled);
	finding_figure(out, f, "duplicate_share", "equal to another", UNIT_SHARE,
		s->equal.spare / s->equal.blocks);
	finding_figure(out, f, "different", "different, estimated", UNIT_COUNT,
		s->equal.blocks - s->equal.spare);
}

static void report_equal(struct findings *out, struct finding *f, const struct storm *s,
	double share, double shared_bytes)
{
	/* each original is put behind an Arc once */
	double peak = s->peak_bytes - shared_bytes * (1 - share) * (double)s->clones;

	f->saving.peak_bytes = peak > 0 ? (uint64_t)peak : 0;
	f->saving.allocs = (uint64_t)(share * (double)s->allocs + 0.5);
	f->fix = is_text(s->group) ? "share-text" : "share";
	bool most = s->equal.blocks >= 0.5 * (double)s->allocs;
	f->confidence = most ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	finding_why(out, f,
		"Clone::clone is in the stack, and of %llu freed blocks%s most were equal",
		(unsigned long long)s->equal.sampled, most ? "" : " that can be compared");
}

static void report(
	struct findings *out, const struct evidence *v, const struct storm *s, const double *limits)
{
	bool sampled = (double)s->equal.sampled >= limits[MIN_SAMPLES] && s->equal.blocks > 0;
	double share = sampled ? s->equal.spare / s->equal.blocks : 0;
	bool equal = share >= limits[MIN_SHARE];

	if ((double)s->clones < limits[MIN_CLONES] && (double)s->bytes < limits[MIN_CLONED_BYTES])
		return;
	if (!equal && (double)s->texts_sampled >= limits[MIN_SAMPLES])
		return;
	struct finding *f = findings_add(out, s->group);
	for (uint32_t i = 0; is_own(v, s->group) && i < v->n_groups; i++)
		if (&v->groups[i] != s->group && v->groups[i].clone == s->group->clone)
			finding_also(out, f, &v->groups[i]);
	put_figures(out, f, s);
	finding_fill(out, f, "clone", "%s", v->profile->functions[s->group->clone].brief);
	finding_fill(out, f, "duplicate_percent", "%.0f", 100 * share);
	finding_fill(out, f, "shared_bytes", "%.0f", limits[SHARED_BYTES]);
	f->saving.copied_bytes = s->bytes;
	if (equal) {
		report_equal(out, f, s, share, limits[SHARED_BYTES]);
		return;
	}
	f->saving.allocs = s->allocs;
	f->fix = "look";
	f->confidence = CONFIDENCE_LOW;
	finding_why(out, f, "Clone::clone is in the stack; %s",
		(double)s->sampled >= limits[MIN_SAMPLES]
			? "the sampled clones differ, as they do where they hold pointers"
			: "no contents were sampled: it is not known whether the clones stay "
			  "equal");
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	const struct profile *p = v->profile;
	/* by Clone::clone, of those that are the program's own */
	struct storm *own = calloc((size_t)p->n_functions + 1, sizeof(*own));

	if (!own) {
		out->bad = true;
		return;
	}
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		struct storm one = {0};
		if (g->clone == PROFILE_NONE || !g->totals.allocs)
			continue;
		if (is_own(v, g)) {
			storm_add(&own[g->clone], v, g, limits);
			continue;
		}
		storm_add(&one, v, g, limits);
		report(out, v, &one, limits);
	}
	for (uint32_t i = 0; i < p->n_functions; i++)
		if (own[i].group)
			report(out, v, &own[i], limits);
	free(own);
}

const struct pattern pattern_clone_storm = {
	.name = "clone-storm",
	.title = "cloned again and again",
	.section = "not in the document",
	.needs = "Clone::clone in the stack",
	.limits = {[MIN_CLONES] = "min_clones",
		[MIN_CLONED_BYTES] = "min_cloned_bytes",
		[MIN_SAMPLES] = "min_samples",
		[MIN_SHARE] = "min_share",
		[SHARED_BYTES] = "shared_bytes"},
	.find = find,
};
