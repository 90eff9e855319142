/* SPDX-License-Identifier: MIT */
/*
 * Payload that outlives its use: texts and byte buffers made early, all of them still live at the peak. The peak is
 * worked out anew as if they had been dropped at the end of each phase; without phases, at each point of the timeline.
 * When they are last read no allocator can see, so that is what the finding leaves to be checked. Objects of one size
 * are left out: others point to them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"

enum limit { MIN_BYTES, MIN_BLOCKS, MIN_HELD_SHARE, MIN_SAVED_SHARE };

#define MANY_SIZES 4u  /* size classes */
#define THERE      0.9 /* of its bytes at the peak: it is allocated */

/* A phase, or from one point of the timeline to the next. */
struct span {
	const char *name; /* NULL: of the timeline */
	uint64_t start_ns, end_ns;
	double peak_bytes; /* of the whole program */
	uint32_t point,
		peak_point; /* of the timeline: at its end, and the one with most live bytes in it */
	uint64_t peak_ns;   /* that one's time; 0: there is no timeline */
};

struct spans {
	struct span *all;
	uint32_t n, at_peak;
	double peak_bytes;
	uint64_t run_ns;
	bool phases, estimated;
};

/* Where on the timeline a span lies. */
static void span_points(struct span *x, const struct tally *t)
{
	uint32_t i = 0;

	while (i + 1 < t->n_points && tally_ns(t, t->points[i].ticks) < x->start_ns)
		i++;
	x->point = x->peak_point = i;
	for (; i < t->n_points && tally_ns(t, t->points[i].ticks) <= x->end_ns; i++) {
		x->point = i;
		if (t->points[i].live_bytes > t->points[x->peak_point].live_bytes)
			x->peak_point = i;
	}
	x->peak_ns = tally_ns(t, t->points[x->peak_point].ticks);
}

static int spans_init(struct spans *s, const struct evidence *v)
{
	const struct tally *t = v->profile->tally;
	const struct phases *ph = &v->phases;

	*s = (struct spans){.phases = ph->n > 2};
	s->estimated = !s->phases || ph->estimated;
	s->n = s->phases ? ph->n : t->n_points;
	s->all = calloc((size_t)s->n + 1, sizeof(*s->all));
	if (!s->all)
		return -1;
	for (uint32_t i = 0; i < s->n; i++) {
		struct span *x = &s->all[i];
		if (s->phases)
			*x = (struct span){.name = ph->all[i].name,
				.start_ns = tally_ns(t, ph->all[i].start_ticks),
				.end_ns = tally_ns(t, ph->all[i].end_ticks),
				.peak_bytes = (double)ph->all[i].peak_bytes};
		else
			*x = (struct span){.start_ns = i ? s->all[i - 1].end_ns : 0,
				.end_ns = tally_ns(t, t->points[i].ticks),
				.peak_bytes = (double)t->points[i].live_max_bytes};
		if (t->n_points)
			span_points(x, t);
		if (x->peak_bytes > s->all[s->at_peak].peak_bytes)
			s->at_peak = i;
	}
	if (s->n)
		s->peak_bytes = s->all[s->at_peak].peak_bytes;
	s->run_ns = tally_ns(t, t->header.last_ticks);
	return 0;
}

/*
 * What the group held at the end of a span. A curve leaves out what was too small to be followed; it is scaled to what
 * was there at the peak.
 */
static double held(const struct spans *s, const struct group *g, uint32_t i)
{
	if (s->phases)
		return g->phase_ends[i] > 0 ? (double)g->phase_ends[i] : 0;
	double at = (double)g->curve[s->all[i].point];
	double there = (double)g->curve[s->all[s->at_peak].peak_point];
	return at > 0 && there > 0 ? at / there * (double)g->totals.peak_bytes : 0;
}

/*
 * What the group held when span i was at its highest. Known are the ends of spans; in a phase it is taken to go evenly
 * from one to the other.
 */
static double held_at_peak(const struct spans *s, const struct group *g, uint32_t i)
{
	const struct span *x = &s->all[i];
	double before = held(s, g, i - 1), end = held(s, g, i);
	double length = (double)x->end_ns - (double)x->start_ns;
	double until = (double)x->peak_ns - (double)x->start_ns;

	if (!s->phases || !x->peak_ns || !(length > 0))
		return fmin(before, end);
	return before + (end - before) * fmin(fmax(until / length, 0), 1);
}

/* The peak if it were dropped at the end of span `after`. */
static double peak_without(const struct spans *s, const struct group *g, uint32_t after)
{
	double peak = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		double bytes = s->all[i].peak_bytes;
		if (i > after)
			bytes -= held_at_peak(s, g, i);
		if (bytes > peak)
			peak = bytes;
	}
	return peak;
}

static uint32_t sizes_of(const struct evidence *v, const struct group *g)
{
	const struct ht_bucket *buckets = v->profile->tally->buckets;
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		const uint32_t *b = &v->bucket_order[g->first_bucket + i];
		n += !i || buckets[b[0]].size_class != buckets[b[-1]].size_class;
	}
	return n;
}

/* Are all sizes of whole words? Then it is items rather than bytes. */
static bool in_words(const struct evidence *v, const struct group *g)
{
	const struct ht_counters *counters = v->profile->tally->counters;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		const struct ht_counters *c = &counters[v->bucket_order[g->first_bucket + i]];
		if (c->min_bytes <= c->max_bytes && (c->min_bytes % 4 || c->max_bytes % 4))
			return false;
	}
	return true;
}

/* Bytes of many sizes, of no type that is known to be larger. */
static bool is_payload(const struct evidence *v, const struct group *g)
{
	bool buffer = g->container == CONTAINER_VEC || g->container == CONTAINER_BOX ||
		      g->container == CONTAINER_ARC || g->container == CONTAINER_OTHER ||
		      g->container == CONTAINER_UNKNOWN;
	bool bytes = g->element_bytes <= 1 && (!g->element[0] || strstr(g->element, "u8"));

	return sizes_of(v, g) >= MANY_SIZES &&
	       (g->container == CONTAINER_STRING || (buffer && bytes && !in_words(v, g)));
}

/*
 * Is it known what the group held over time? Along the timeline only large buckets were followed; from a curve of a small
 * part nothing is concluded.
 */
static bool is_followed(const struct spans *s, const struct group *g)
{
	if (s->phases)
		return g->phase_ends;
	return g->curve &&
	       2 * (double)g->curve[s->all[s->at_peak].peak_point] >= (double)g->totals.peak_bytes;
}

static void report(struct findings *out, const struct spans *s, const struct group *g,
	uint32_t allocated, uint32_t after, double saved)
{
	struct finding *f = findings_add(out, g);
	static const char *const keys[] = {"saved_1_bytes", "saved_2_bytes", "saved_3_bytes",
		"saved_4_bytes", "saved_5_bytes", "saved_6_bytes"};
	uint32_t n = s->phases ? sizeof(keys) / sizeof(*keys) : 0;

	finding_count(out, f, "blocks", "blocks", (double)g->totals.peak_count);
	finding_figure(out, f, "late_bytes", "still live at the peak", UNIT_BYTES,
		(double)g->totals.peak_bytes);
	finding_figure(out, f, "end_bytes", "and when the last phase ended", UNIT_BYTES,
		held(s, g, s->n - 1));
	finding_figure(out, f, "held_ns", "from made to peak", UNIT_NS,
		(double)(s->all[s->at_peak].start_ns - s->all[allocated].end_ns));
	finding_figure(
		out, f, "new_peak_bytes", "peak without them", UNIT_BYTES, s->peak_bytes - saved);
	/* the last phases in which dropping them still helps, latest last */
	uint32_t first = after + 1 > n ? after + 1 - n : 0;
	for (uint32_t i = first > allocated ? first : allocated, k = 0; k < n && i <= after; i++)
		finding_figure(out, f, keys[k++], s->all[i].name, UNIT_BYTES,
			s->peak_bytes - peak_without(s, g, i));

	f->fix = "drop";
	if (s->phases) {
		finding_fill(out, f, "when", "when %s is done", s->all[after].name);
		finding_fill(out, f, "until", "in %s, where the peak is", s->all[s->at_peak].name);
	} else {
		finding_fill(
			out, f, "when", "%.2f s into the run", (double)s->all[after].end_ns / 1e9);
		finding_fill(out, f, "until", "until the peak, at %.2f s",
			(double)s->all[s->at_peak].end_ns / 1e9);
	}
	f->saving.peak_bytes = (uint64_t)(saved + 0.5);
	f->confidence = !s->estimated && g->named ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	finding_why(out, f,
		"what it holds and since when is %s; when it is last read is not to be seen",
		!s->estimated ? "exact" : "estimated along the timeline");
}

static void look(
	struct findings *out, const struct spans *s, const struct group *g, const double *limits)
{
	uint32_t allocated = 0, after;
	double best = 0;

	while (allocated < s->at_peak &&
		held(s, g, allocated) < THERE * (double)g->totals.peak_bytes)
		allocated++;
	if (allocated >= s->at_peak ||
		held(s, g, s->at_peak) < THERE * (double)g->totals.peak_bytes ||
		(double)(s->all[s->at_peak].start_ns - s->all[allocated].end_ns) <
			limits[MIN_HELD_SHARE] * (double)s->run_ns)
		return;
	/* the later it may be dropped, the less is asked of the program */
	for (uint32_t i = allocated; i < s->at_peak; i++) {
		double saved = s->peak_bytes - peak_without(s, g, i);
		best = saved > best ? saved : best;
	}
	if (best < limits[MIN_SAVED_SHARE] * (double)g->totals.peak_bytes || !(best > 0))
		return;
	for (after = s->at_peak - 1; after > allocated; after--)
		if (s->peak_bytes - peak_without(s, g, after) >= THERE * best)
			break;
	best = s->peak_bytes - peak_without(s, g, after);
	if (best > (double)g->totals.peak_bytes)
		best = (double)g->totals.peak_bytes;
	report(out, s, g, allocated, after, best);
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	struct spans s;

	if (spans_init(&s, v)) {
		out->bad = true;
		return;
	}
	for (uint32_t i = 0; i < v->n_groups && s.n; i++) {
		const struct group *g = &v->groups[i];
		if (is_followed(&s, g) && (double)g->totals.peak_bytes >= limits[MIN_BYTES] &&
			(double)g->totals.peak_count >= limits[MIN_BLOCKS] && is_payload(v, g))
			look(out, &s, g, limits);
	}
	free(s.all);
}

const struct pattern pattern_late_release = {
	.name = "late-release",
	.title = "kept past its use",
	.section = "Opportunity 7",
	.naming = "what it is, and the phases of the build in place of times",
	.limits = {[MIN_BYTES] = "min_bytes",
		[MIN_BLOCKS] = "min_blocks",
		[MIN_HELD_SHARE] = "min_held_share",
		[MIN_SAVED_SHARE] = "min_saved_share"},
	.find = find,
};
