/* SPDX-License-Identifier: MIT */
/*
 * From a named tally to the model that views and patterns read. The blame frame of a site is found once, from its
 * parent's (parents come first in the table), so that the cost is one pass over sites and one over buckets, whatever
 * the depth of the stacks.
 */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#define N_PSEUDO   (HT_PSEUDO_COUNT + 1) /* enum ht_pseudo and: an address without a location */
#define NAMELESS   HT_PSEUDO_COUNT
#define BRIEF_SIZE (72 + 1)

struct crate_entry {
	uint32_t index;
	bool lost; /* no memory to add it */
	UT_hash_handle hh;
	char name[];
};

/* What a site's stack says about blame; all PROFILE_NONE (line 0) while it is nothing but plumbing. */
struct blame_view {
	uint32_t function, line, caller, inner;
};

struct vote {
	uint32_t key;
	uint64_t peak, bytes;
};

static const char *const metric_names[METRIC_N] = {"peak", "bytes", "count", "temporary", "leaked"};
static const char *const pseudo_names[N_PSEUDO] = {"[no stack]", "[jit]", "[no unwind tables]",
	"[stack truncated]", "[stack broken]", "[no name]"};

static int out_of_memory(struct error *e)
{
	return error_set(e, "out of memory for the profile");
}

/* A tally may be hostile: sums wrap, they are not undefined. */
static int64_t wrapping_add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* Base name up to ".so"; "[module]" for a module without a path. */
static char *module_crate_name(const struct tally *t, uint16_t module)
{
	const char *base = basename(tally_string(t, t->modules[module].path));
	const char *so = strstr(base, ".so");

	if (!*base)
		return strdup("[module]");
	return so && so != base ? strndup(base, (size_t)(so - base)) : strdup(base);
}

static uint32_t crate_index(struct profile *p, struct crate_entry **table, const char *name)
{
	struct crate_entry *c;
	size_t n = strlen(name);

	HASH_FIND(hh, *table, name, n, c);
	if (c)
		return c->index;
	if ((p->n_crates & (p->n_crates - 1)) == 0) {
		size_t room = p->n_crates ? 2 * (size_t)p->n_crates : 1;
		void *grown = realloc(p->crates, room * sizeof(*p->crates));
		if (!grown)
			return PROFILE_NONE;
		p->crates = grown;
	}
	c = malloc(sizeof(*c) + n + 1);
	if (!c)
		return PROFILE_NONE;
	memcpy(c->name, name, n + 1);
	c->index = p->n_crates;
	c->lost = false;
	p->crates[p->n_crates] = (struct profile_crate){.name = strdup(name), .plumbing = true};
	if (!p->crates[p->n_crates].name) {
		free(c);
		return PROFILE_NONE;
	}
	p->n_crates++;
	HASH_ADD_KEYPTR(hh, *table, c->name, n, c);
	if (c->lost) {
		free(c);
		return PROFILE_NONE;
	}
	return c->index;
}

static int function_init(struct profile *p, uint32_t i, const char *const *plumbing_crates,
	struct crate_entry **table, uint32_t *module_crate)
{
	const struct tally *t = p->tally;
	const struct ht_function *hf = &t->functions[i];
	struct profile_function *f = &p->functions[i];
	char brief[BRIEF_SIZE];
	struct rust_name name;

	f->name = tally_name(t, hf->name);
	f->module = hf->module;
	f->unnamed = hf->flags & HT_FUNCTION_UNNAMED;
	f->by_source = hf->flags & HT_FUNCTION_BY_SOURCE;
	rust_name_read(&name, f->name);
	if (hf->crate && name.rust && !name.call)
		snprintf(name.crate, sizeof(name.crate), "%s", tally_name(t, hf->crate));
	f->plumbing = rust_name_plumbing(&name, f->name, plumbing_crates);
	f->container = name.container[0];
	rust_name_short(brief, sizeof(brief), f->name);
	f->brief = strdup(brief);
	if (!f->brief)
		return -1;

	if ((!f->unnamed || f->by_source) && name.crate[0]) {
		f->crate = crate_index(p, table, name.crate);
	} else {
		if (module_crate[f->module] == PROFILE_NONE) {
			char *base = module_crate_name(t, f->module);
			module_crate[f->module] = base ? crate_index(p, table, base) : PROFILE_NONE;
			free(base);
		}
		f->crate = module_crate[f->module];
	}
	return f->crate == PROFILE_NONE ? -1 : 0;
}

/* Functions of which nothing is known, among others that are told by source. */
static int find_nameless(struct profile *p)
{
	bool *told = calloc((size_t)p->tally->n_modules + 1, sizeof(*told));

	if (!told)
		return -1;
	for (uint32_t i = 0; i < p->tally->n_functions; i++)
		told[p->functions[i].module] |= p->functions[i].by_source;
	for (uint32_t i = 0; i < p->tally->n_functions; i++) {
		struct profile_function *f = &p->functions[i];
		f->nameless = told[f->module] && f->unnamed && !f->by_source;
	}
	free(told);
	return 0;
}

static int functions_init(struct profile *p, const char *const *plumbing_crates)
{
	const struct tally *t = p->tally;
	struct crate_entry *table = NULL, *c, *next;
	uint32_t *module_crate = malloc(((size_t)t->n_modules + 1) * sizeof(*module_crate));
	int bad = !module_crate;

	if (!bad)
		memset(module_crate, 0xff, t->n_modules * sizeof(*module_crate));
	p->n_functions = t->n_functions + N_PSEUDO;
	p->functions = calloc(p->n_functions, sizeof(*p->functions));
	bad |= !p->functions;
	for (uint32_t i = 0; !bad && i < t->n_functions; i++)
		bad |= function_init(p, i, plumbing_crates, &table, module_crate);
	bad |= !bad && find_nameless(p);
	for (uint32_t k = 0; !bad && k < N_PSEUDO; k++) {
		struct profile_function *f = &p->functions[t->n_functions + k];
		f->name = pseudo_names[k];
		f->brief = strdup(pseudo_names[k]);
		f->crate = crate_index(p, &table, pseudo_names[k]);
		bad |= !f->brief || f->crate == PROFILE_NONE;
		p->pseudo_frames[k].function = t->n_functions + k;
	}
	for (uint32_t i = 0; !bad && i < p->n_functions; i++)
		p->crates[p->functions[i].crate].plumbing &= p->functions[i].plumbing;
	HASH_ITER(hh, table, c, next)
	{
		HASH_DEL(table, c);
		free(c);
	}
	free(module_crate);
	return bad ? -1 : 0;
}

/* Sites share addresses many times over: remember the last location at each slot and search only for others. */
static int locations_init(struct profile *p, struct error *e)
{
	const struct tally *t = p->tally;
	uint32_t bits = 10;
	bool addresses = false;

	while (bits < 24 && 1u << bits < t->n_locations)
		bits++;
	const struct ht_location **seen = calloc((size_t)1 << bits, sizeof(*seen));
	p->site_location = malloc(((size_t)t->n_sites + 1) * sizeof(*p->site_location));
	if (!p->site_location || !seen) {
		free(seen);
		return out_of_memory(e);
	}
	for (uint32_t i = 0; i < t->n_sites; i++) {
		const struct ht_site *s = &t->sites[i];
		uint64_t hash = (s->offset + s->module) * 0x9e3779b97f4a7c15u;
		const struct ht_location **slot = &seen[hash >> (64 - bits)], *l = *slot;
		if (s->module && (!l || l->module != s->module || l->offset != s->offset))
			*slot = l = tally_location(t, s->module, s->offset);
		addresses |= s->module != 0;
		p->site_location[i] =
			s->module && l && l->n_frames ? (uint32_t)(l - t->locations) : PROFILE_NONE;
	}
	free(seen);
	if (addresses && !t->n_locations)
		return error_set(e, "%s: no names in it yet", t->path);
	return 0;
}

static void view_site(const struct profile *p, struct blame_view *views, uint32_t site)
{
	const struct blame_view *up = &views[p->tally->sites[site].parent];
	struct blame_view *v = &views[site];
	uint32_t n, i = 0;
	const struct ht_frame *f = profile_site_frames(p, site, &n);

	while (i < n && p->functions[f[i].function].plumbing)
		i++;
	if (i == n || (up->function != PROFILE_NONE &&
			      profile_told_by(&p->functions[f[i].function],
				      &p->functions[up->function]))) {
		*v = *up;
		if (v->function != PROFILE_NONE && v->inner == PROFILE_NONE)
			v->inner = f[n - 1].function;
		return;
	}
	v->function = f[i].function;
	v->line = f[i].line;
	v->inner = i ? f[i - 1].function : PROFILE_NONE;
	do
		i++;
	while (i < n && (p->functions[f[i].function].plumbing || f[i].function == v->function));
	v->caller = i < n ? f[i].function : up->function != v->function ? up->function : up->caller;
}

static void bucket_init(struct profile *p, uint32_t b, const struct blame_view *views)
{
	const struct ht_bucket *hb = &p->tally->buckets[b];
	const struct ht_counters *c = &p->tally->counters[b];
	struct profile_bucket *pb = &p->buckets[b];
	uint32_t n;

	pb->site = hb->site;
	pb->blame = views[hb->site].function;
	if (pb->blame == PROFILE_NONE) {
		const struct ht_frame *f = profile_site_frames(p, hb->site, &n);
		pb->blame = (n ? f : &p->pseudo_frames[HT_PSEUDO_ROOT])->function;
	}
	pb->totals.allocs = c->allocs;
	pb->totals.alloc_bytes = c->alloc_bytes;
	pb->totals.frees = c->frees;
	pb->totals.temporary = c->temporary;
	pb->totals.foreign_frees = c->foreign_frees;
	pb->totals.peak_count = c->peak_count;
	pb->totals.peak_bytes = c->peak_bytes;
	pb->totals.live_count = c->live_count;
	pb->totals.live_bytes = c->live_bytes;
	pb->totals.usable_bytes = c->usable_bytes;
	pb->totals.lifetime_ticks = c->lifetime_ticks;
	pb->totals.lives = ht_lives(c);
	pb->totals.timed_calls = c->timed_calls;
	pb->totals.timed_ticks = c->timed_ticks;
	pb->totals.timed_squares = (double)c->timed_squares;
}

static int vote_by_key(const void *a, const void *b)
{
	const struct vote *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* The key with most of the peak, then of the bytes; the smallest of equals, so that reports are stable. */
static uint32_t votes_winner(struct vote *votes, uint32_t n)
{
	struct vote best = {0}, sum = {0};

	qsort(votes, n, sizeof(*votes), vote_by_key);
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || votes[i].key != sum.key)
			sum = (struct vote){.key = votes[i].key};
		sum.peak += votes[i].peak;
		sum.bytes += votes[i].bytes;
		if (i == 0 || sum.peak > best.peak ||
			(sum.peak == best.peak && sum.bytes > best.bytes))
			best = sum;
	}
	return best.key;
}

/* buckets[0 … n) are those of blame *b. */
static void blame_context(struct profile *p, struct profile_blame *b, const uint32_t *buckets,
	uint32_t n, const struct blame_view *views, struct vote *votes)
{
	for (int kind = 0; kind < 3; kind++) {
		for (uint32_t i = 0; i < n; i++) {
			const struct profile_bucket *pb = &p->buckets[buckets[i]];
			const struct blame_view *v = &views[pb->site];
			votes[i] = (struct vote){kind == 0   ? v->caller
						 : kind == 1 ? v->inner
							     : v->line,
				at_least_zero(pb->totals.peak_bytes),
				pb->totals.alloc_bytes + pb->totals.realloc_bytes};
		}
		uint32_t winner = votes_winner(votes, n);
		*(kind == 0 ? &b->caller : kind == 1 ? &b->inner : &b->line) = winner;
	}
}

static int blames_init(struct profile *p, const struct blame_view *views)
{
	uint32_t n_buckets = p->tally->n_buckets, widest = 0;
	/* bucket numbers grouped by blame function: a counting sort, first[f] … first[f + 1) */
	uint32_t *first = calloc((size_t)p->n_functions + 2, sizeof(*first));
	uint32_t *order = malloc(((size_t)n_buckets + 1) * sizeof(*order));
	struct vote *votes = NULL;
	int ret = -1;

	if (!first || !order)
		goto out;
	/* empty: bucket 0 most of the time, and what a killed process had no time to count in */
	for (uint32_t b = 0; b < n_buckets; b++)
		first[p->buckets[b].blame + 2] += !totals_empty(&p->buckets[b].totals);
	for (uint32_t f = 0; f < p->n_functions; f++) {
		p->n_blames += first[f + 2] != 0;
		widest = first[f + 2] > widest ? first[f + 2] : widest;
		first[f + 2] += first[f + 1];
	}
	for (uint32_t b = 0; b < n_buckets; b++)
		if (!totals_empty(&p->buckets[b].totals))
			order[first[p->buckets[b].blame + 1]++] = b;

	p->blames = calloc((size_t)p->n_blames + 1, sizeof(*p->blames));
	votes = malloc(((size_t)widest + 1) * sizeof(*votes));
	if (!p->blames || !votes)
		goto out;
	struct profile_blame *b = p->blames;
	for (uint32_t f = 0; f < p->n_functions; f++) {
		uint32_t n = first[f + 1] - first[f];
		if (!n)
			continue;
		b->function = f;
		for (uint32_t i = first[f]; i < first[f + 1]; i++)
			totals_add(&b->totals, &p->buckets[order[i]].totals);
		blame_context(p, b, order + first[f], n, views, votes);
		b++;
	}
	ret = 0;
out:
	free(first);
	free(order);
	free(votes);
	return ret;
}

const char *profile_metric_name(enum profile_metric m)
{
	return (unsigned)m < METRIC_N ? metric_names[m] : NULL;
}

int profile_metric_parse(const char *word)
{
	for (int m = 0; m < METRIC_N; m++)
		if (!strcmp(word, metric_names[m]))
			return m;
	return -1;
}

bool profile_metric_is_bytes(enum profile_metric m)
{
	return m == METRIC_PEAK || m == METRIC_BYTES || m == METRIC_LEAKED;
}

void totals_add(struct totals *to, const struct totals *from)
{
	to->allocs += from->allocs;
	to->reallocs += from->reallocs;
	to->frees += from->frees;
	to->alloc_bytes += from->alloc_bytes;
	to->realloc_bytes += from->realloc_bytes;
	to->temporary += from->temporary;
	to->foreign_frees += from->foreign_frees;
	to->peak_count = wrapping_add(to->peak_count, from->peak_count);
	to->peak_bytes = wrapping_add(to->peak_bytes, from->peak_bytes);
	to->live_count = wrapping_add(to->live_count, from->live_count);
	to->live_bytes = wrapping_add(to->live_bytes, from->live_bytes);
	to->usable_bytes += from->usable_bytes;
	to->lifetime_ticks += from->lifetime_ticks;
	to->lives += from->lives;
	to->timed_calls += from->timed_calls;
	to->timed_ticks += from->timed_ticks;
	to->timed_squares += from->timed_squares;
}

bool totals_empty(const struct totals *t)
{
	static const struct totals nothing;

	return !memcmp(t, &nothing, sizeof(nothing));
}

uint64_t totals_metric(const struct totals *t, enum profile_metric m)
{
	switch (m) {
	case METRIC_PEAK:
		return at_least_zero(t->peak_bytes);
	case METRIC_BYTES:
		return t->alloc_bytes + t->realloc_bytes;
	case METRIC_COUNT:
		return t->allocs + t->reallocs;
	case METRIC_TEMPORARY:
		return t->temporary;
	case METRIC_LEAKED:
		return at_least_zero(t->live_bytes);
	default:
		return 0;
	}
}

const struct ht_frame *profile_site_frames(const struct profile *p, uint32_t site, uint32_t *n)
{
	const struct ht_site *s = &p->tally->sites[site];
	uint32_t l = p->site_location[site];
	bool pseudo = s->module == 0 && s->offset != HT_PSEUDO_ROOT && s->offset < HT_PSEUDO_COUNT;

	if (l != PROFILE_NONE) {
		*n = p->tally->locations[l].n_frames;
		return &p->tally->frames[p->tally->locations[l].first_frame];
	}
	*n = site != 0;
	return &p->pseudo_frames[pseudo ? s->offset : NAMELESS];
}

uint32_t profile_stack(
	const struct profile *p, uint32_t site, struct profile_frame *frames, uint32_t max)
{
	uint32_t depth = 0, n;

	for (; site; site = p->tally->sites[site].parent) {
		const struct ht_frame *f = profile_site_frames(p, site, &n);
		for (uint32_t i = 0; i < n; i++, depth++)
			if (depth < max)
				frames[depth] = (struct profile_frame){f[i].function, f[i].line};
	}
	return depth;
}

int profile_init(struct profile *p, const struct tally *t, const char *const *plumbing_crates,
	struct error *e)
{
	return profile_init_with(p, t, plumbing_crates, NULL, NULL, e);
}

int profile_init_with(struct profile *p, const struct tally *t, const char *const *plumbing_crates,
	void (*fill)(void *arg, uint32_t bucket, struct totals *totals), void *arg, struct error *e)
{
	struct blame_view *views = NULL;

	*p = (struct profile){.tally = t};
	if (locations_init(p, e))
		goto failed;
	views = malloc(((size_t)t->n_sites + 1) * sizeof(*views));
	p->buckets = calloc((size_t)t->n_buckets + 1, sizeof(*p->buckets));
	if (!views || !p->buckets || functions_init(p, plumbing_crates))
		goto no_memory;

	views[0] = (struct blame_view){PROFILE_NONE, 0, PROFILE_NONE, PROFILE_NONE};
	for (uint32_t s = 1; s < t->n_sites; s++)
		view_site(p, views, s);
	for (uint32_t b = 0; b < t->n_buckets; b++)
		bucket_init(p, b, views);
	for (uint32_t b = 0; fill && b < t->n_buckets; b++)
		fill(arg, b, &p->buckets[b].totals);
	for (uint32_t i = 0; !fill && i < t->n_regrows; i++) {
		p->buckets[t->regrows[i].to].totals.reallocs += t->regrows[i].count;
		p->buckets[t->regrows[i].to].totals.realloc_bytes += t->regrows[i].to_bytes;
	}
	for (uint32_t b = 0; b < t->n_buckets; b++) {
		const struct profile_bucket *pb = &p->buckets[b];
		totals_add(&p->total, &pb->totals);
		totals_add(&p->by_class[t->buckets[b].size_class], &pb->totals);
		totals_add(&p->crates[p->functions[pb->blame].crate].totals, &pb->totals);
	}
	if (blames_init(p, views))
		goto no_memory;
	free(views);
	return 0;

no_memory:
	out_of_memory(e);
failed:
	free(views);
	profile_release(p);
	return -1;
}

void profile_release(struct profile *p)
{
	for (uint32_t i = 0; p->functions && i < p->n_functions; i++)
		free(p->functions[i].brief);
	for (uint32_t i = 0; i < p->n_crates; i++)
		free(p->crates[i].name);
	free(p->functions);
	free(p->crates);
	free(p->buckets);
	free(p->blames);
	free(p->site_location);
	free(p->phase);
	*p = (struct profile){0};
}
