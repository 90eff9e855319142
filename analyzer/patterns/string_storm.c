/* SPDX-License-Identifier: MIT */
/*
 * Texts by the ten thousand: a String for every identifier, request, specifier. Where contents were sampled, how many
 * of them are equal says what an interner saves; those short enough for an inline string need no block at all. Clones
 * of Strings are clone-storm's.
 */
#include "../evidence_samples.h"
#include "blocks.h"
#include "list.h"

enum limit { MIN_TEXTS, MIN_SAMPLES, MIN_SHARE, INTERNED_BYTES, INLINE_BYTES };

/* What a fix would do. */
struct plan {
	double share; /* of the texts that it helps */
	double peak_bytes, allocs;
};

static struct plan plan_intern(
	const struct group *g, const struct duplicates *d, const double *limits)
{
	struct plan p = {0};

	if (d->sampled < limits[MIN_SAMPLES] || !(d->blocks > 0))
		return p;
	p.share = d->spare / d->blocks;
	p.allocs = p.share * (double)(g->totals.allocs + g->totals.reallocs);
	p.peak_bytes = d->peak_bytes;
	/* one of each is left, and costs more than before */
	if (g->totals.peak_count > 0)
		p.peak_bytes -= limits[INTERNED_BYTES] * (d->blocks - d->spare);
	p.peak_bytes = p.peak_bytes > 0 ? p.peak_bytes : 0;
	return p;
}

static struct plan plan_inline(
	const struct evidence *v, const struct group *g, const double *limits)
{
	struct plan p = {0};
	double texts = 0;

	for (uint32_t i = 0; i < g->n_endings; i++) {
		const struct ending *x = &g->endings[i];
		if ((double)x->bytes > limits[INLINE_BYTES])
			break;
		texts += (double)x->count;
		p.allocs += (double)x->count + (double)x->grows;
	}
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		const struct totals *x = &v->profile->buckets[b].totals;
		if ((double)v->profile->tally->counters[b].max_bytes <= limits[INLINE_BYTES] &&
			x->peak_bytes > 0)
			p.peak_bytes += (double)x->peak_bytes;
	}
	p.share = g->all.count ? texts / (double)g->all.count : 0;
	return p;
}

static void put_figures(struct findings *out, struct finding *f, const struct group *g,
	const struct duplicates *d, const struct plan *small)
{
	double texts = (double)g->totals.allocs;

	finding_count(out, f, "strings", "texts", texts);
	finding_figure(
		out, f, "text_bytes", "bytes in all", UNIT_BYTES, (double)g->totals.alloc_bytes);
	finding_figure(out, f, "p50_bytes", "size, median", UNIT_BYTES, (double)g->p50_bytes);
	finding_figure(out, f, "p99_bytes", "99%", UNIT_BYTES, (double)g->p99_bytes);
	finding_figure(out, f, "alive", "alive at the peak", UNIT_COUNT,
		g->totals.peak_count > 0 ? (double)g->totals.peak_count : 0);
	finding_figure(
		out, f, "temporary", "freed at once", UNIT_COUNT, (double)g->totals.temporary);
	finding_figure(
		out, f, "inline_share", "short enough to be inline", UNIT_SHARE, small->share);
	if (!d->sampled)
		return;
	finding_figure(out, f, "sampled", "contents sampled", UNIT_COUNT, (double)d->sampled);
	if (d->blocks > 0)
		finding_figure(out, f, "duplicate_share", "equal to another", UNIT_SHARE,
			d->spare / d->blocks);
	finding_figure(
		out, f, "different", "different, estimated", UNIT_COUNT, d->blocks - d->spare);
}

static void report(
	struct findings *out, const struct evidence *v, const struct group *g, const double *limits)
{
	struct duplicates d;
	group_duplicates(v, g, &d);
	struct plan intern = plan_intern(g, &d, limits), small = plan_inline(v, g, limits);
	bool sampled = (double)d.sampled >= limits[MIN_SAMPLES];
	bool interns = intern.share >= limits[MIN_SHARE],
	     inlines = small.share >= limits[MIN_SHARE];

	if (sampled && !interns && !inlines)
		return;
	struct finding *f = findings_add(out, g);
	const struct plan *p = &intern;
	put_figures(out, f, g, &d, &small);
	finding_fill(out, f, "inline_bytes", "%.0f", limits[INLINE_BYTES]);
	finding_fill(out, f, "interned_bytes", "%.0f", limits[INTERNED_BYTES]);
	finding_fill(out, f, "duplicate_percent", "%.0f", 100 * intern.share);
	finding_fill(out, f, "inline_percent", "%.0f", 100 * small.share);
	if (interns && (!inlines || intern.allocs >= small.allocs)) {
		f->fix = "intern";
		f->confidence = CONFIDENCE_HIGH;
		finding_why(out, f, "%llu freed texts were compared, by size and beginning",
			(unsigned long long)d.sampled);
	} else if (inlines) {
		f->fix = "inline";
		p = &small;
		f->confidence = g->named ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
		finding_why(out, f, "sizes are exact; a buffer of few bytes need not be a text");
	} else {
		f->fix = "compare";
		f->confidence = CONFIDENCE_LOW;
		finding_why(
			out, f, "no contents were sampled here: how many are equal is not known");
		return;
	}
	f->saving.allocs = (uint64_t)p->allocs;
	f->saving.peak_bytes = (uint64_t)p->peak_bytes;
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		if (g->container == CONTAINER_STRING && g->clone == PROFILE_NONE &&
			(double)g->totals.allocs >= limits[MIN_TEXTS] && group_is_rust(v, g))
			report(out, v, g, limits);
	}
}

const struct pattern pattern_string_storm = {
	.name = "string-storm",
	.title = "a text in a heap block of its own, over and over",
	.section = "Hot path 2",
	.naming = "which text it is, and who could borrow it",
	.limits = {[MIN_TEXTS] = "min_texts",
		[MIN_SAMPLES] = "min_samples",
		[MIN_SHARE] = "min_share",
		[INTERNED_BYTES] = "interned_bytes",
		[INLINE_BYTES] = "inline_bytes"},
	.find = find,
};
