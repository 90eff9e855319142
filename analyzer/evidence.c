/* SPDX-License-Identifier: MIT */
/* Buckets → groups: see evidence.h. */
#include "evidence.h"

#include <stdlib.h>
#include <string.h>

#include "evidence_internal.h"

static uint64_t at_least_0(int64_t v)
{
	return v > 0 ? (uint64_t)v : 0;
}

static void steps_add(struct steps *to, const struct ht_regrow *r)
{
	to->count += r->count;
	to->from_bytes += r->from_bytes;
	to->to_bytes += r->to_bytes;
	to->moved += r->moved;
	to->copied_bytes += r->copied_bytes;
}

static int curves_init(struct evidence *v)
{
	const struct tally *t = v->profile->tally;
	uint32_t n = 0;

	v->curves = calloc((size_t)t->n_curves * t->n_points + 1, sizeof(*v->curves));
	if (!v->curves)
		return -1;
	for (uint32_t i = 0; i < t->n_curves; i++) {
		uint32_t at = v->bucket_group[t->curves[i].bucket];
		if (at == PROFILE_NONE)
			continue;
		struct group *g = &v->groups[at];
		int64_t *sum = (int64_t *)g->curve;
		if (!sum)
			g->curve = sum = v->curves + (size_t)n++ * t->n_points;
		for (uint32_t k = 0; k < t->n_points; k++)
			sum[k] = (int64_t)((uint64_t)sum[k] + (uint64_t)t->curves[i].live_bytes[k]);
	}
	return 0;
}

static int group_compare(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	uint64_t xp = at_least_0(x->totals.peak_bytes), yp = at_least_0(y->totals.peak_bytes);
	uint64_t xb = totals_metric(&x->totals, METRIC_BYTES),
		 yb = totals_metric(&y->totals, METRIC_BYTES);

	if (xp != yp)
		return xp > yp ? -1 : 1;
	if (xb != yb)
		return xb > yb ? -1 : 1;
	return x->first_bucket < y->first_bucket ? -1 : 1; /* by key: reports are stable */
}

/* order[0 … n): the buckets with events, by key and size class. */
static int groups_init(struct evidence *v, struct placed **order, uint32_t n)
{
	double tick_ns = evidence_tick_ns(v->profile->tally);
	uint32_t n_calls = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!i || !places_equal(order[i], order[i - 1])) {
			v->n_groups++;
			n_calls += EVIDENCE_CALLS;
		}
	v->groups = calloc((size_t)v->n_groups + 1, sizeof(*v->groups));
	v->calls = malloc(((size_t)n_calls + 1) * sizeof(*v->calls));
	if (!v->groups || !v->calls)
		return -1;
	uint32_t *calls = v->calls;
	struct group *g = v->groups;
	for (uint32_t i = 0, end; i < n; i = end, g++) {
		const struct placed *x = order[i];
		uint64_t most = 0, most_peak = 0;
		bool grows_vec = false;
		for (end = i; end < n && places_equal(order[end], order[i]); end++) {
			uint32_t b = order[end]->bucket;
			uint64_t bytes =
				totals_metric(&v->profile->buckets[b].totals, METRIC_BYTES);
			v->bucket_order[end] = b;
			grows_vec |= order[end]->grows_vec;
			uint64_t peak = totals_metric(&v->profile->buckets[b].totals, METRIC_PEAK);
			if (peak > most_peak || (peak == most_peak && bytes > most)) {
				most_peak = peak;
				most = bytes;
				x = order[end];
			}
		}
		*g = (struct group){.blame = x->blame,
			.line = x->line,
			.module = x->module,
			.address = x->address,
			.method = x->method,
			.caller = x->caller,
			.clone = x->clone,
			.container = x->container,
			.element = x->element->text,
			.named = !v->profile->functions[x->blame].unnamed,
			.first_bucket = i,
			.n_buckets = end - i,
			.calls = calls,
			.n_calls = x->n_calls};
		for (uint32_t k = 0; k < x->n_calls; k++)
			*calls++ = x->calls[x->n_calls - 1 - k];
		group_fill(v, g, grows_vec, tick_ns);
	}
	qsort(v->groups, v->n_groups, sizeof(*v->groups), group_compare);
	for (uint32_t i = 0; i < v->n_groups; i++)
		for (uint32_t k = 0; k < v->groups[i].n_buckets; k++)
			v->bucket_group[v->bucket_order[v->groups[i].first_bucket + k]] = i;
	return 0;
}

static uint64_t marked_modules(const struct tally *t)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < t->n_marks; i++) {
		const char *s = tally_string(t, t->marks[i].numbers);
		for (; s; s = strchr(s, '&')) {
			s += *s == '&';
			uint64_t n = strncmp(s, "modules=", 8) ? 0 : strtoull(s + 8, NULL, 10);
			if (n > most)
				most = n;
		}
	}
	return most;
}

int evidence_init(struct evidence *v, const struct profile *p, struct error *e)
{
	static const struct totals nothing;
	const struct tally *t = p->tally;
	struct placed *placed = NULL, **order = NULL;
	uint32_t n = 0;

	*v = (struct evidence){.profile = p};
	if (phases_init(&v->phases, p, e))
		return -1;
	v->names = calloc(1, sizeof(*v->names));
	v->bucket_order = malloc(((size_t)t->n_buckets + 1) * sizeof(*v->bucket_order));
	v->bucket_group = malloc(((size_t)t->n_buckets + 1) * sizeof(*v->bucket_group));
	placed = malloc(((size_t)t->n_buckets + 1) * sizeof(*placed));
	order = malloc(((size_t)t->n_buckets + 1) * sizeof(*order));
	if (!v->bucket_order || !v->bucket_group || !placed || !order || !v->names ||
		names_init(v->names, p))
		goto failed;
	for (uint32_t b = 0; b < t->n_buckets; b++) {
		v->bucket_group[b] = PROFILE_NONE;
		if (!memcmp(&p->buckets[b].totals, &nothing, sizeof(nothing)))
			continue;
		place(&placed[n], v->names, b);
		order[n] = &placed[n];
		n++;
	}
	places_sort(v->names, order, n);
	if (v->names->bad || groups_init(v, order, n) || endings_init(v) || curves_init(v) ||
		evidence_phases(v))
		goto failed;
	v->modules = marked_modules(t);
	for (uint32_t i = 0; i < t->n_regrows; i++) {
		const struct ht_regrow *r = &t->regrows[i];
		if (v->bucket_group[r->from] != PROFILE_NONE)
			steps_add(&v->groups[v->bucket_group[r->from]].out, r);
		if (v->bucket_group[r->to] != PROFILE_NONE)
			steps_add(&v->groups[v->bucket_group[r->to]].in, r);
	}
	free(placed);
	free(order);
	return 0;
failed:
	free(placed);
	free(order);
	evidence_release(v);
	return error_set(e, "out of memory for the evidence");
}

void evidence_release(struct evidence *v)
{
	if (v->names)
		names_release(v->names);
	free(v->names);
	phases_release(&v->phases);
	free(v->groups);
	free(v->bucket_order);
	free(v->bucket_group);
	free(v->endings);
	free(v->calls);
	free(v->curves);
	free(v->phase_ends);
	*v = (struct evidence){0};
}

const char *evidence_file(const struct evidence *v, const struct group *g)
{
	const struct tally *t = v->profile->tally;

	return g->blame < t->n_functions ? tally_name(t, t->functions[g->blame].file) : "";
}

bool group_may_be_merged(const struct group *g)
{
	return g->container == CONTAINER_VEC && g->element[0] && g->element_bytes > 1 &&
	       !names_builtin_bytes(g->element);
}

const char *evidence_crate(const struct evidence *v, const struct group *g)
{
	return v->profile->crates[v->profile->functions[g->blame].crate].name;
}
