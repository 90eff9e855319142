/* SPDX-License-Identifier: MIT */
/*
 * For tests: adds up the buckets of tallies whose stacks pass through a function, and prints the sums as
 * `key value` lines. It reads with the analyzer's own reader but does its own arithmetic.
 *   dump [--adopted | --through GLOB [--not GLOB]] FILE…  sums, and the headers' figures (added up) as header.*, threads as thread.NAME.*
 *   dump --buckets …                 one line per bucket: size class, alignment, allocs, alloc_bytes, min, max
 *   dump --stacks | --raw-stacks …   one line per site with buckets: names, or MODULE+0xOFFSET; innermost first
 *   dump --unnamed MODULE_GLOB …     addresses in such modules, and how many of them have no name
 *   dump --header …                  without names and buckets: quick enough to watch a running process
 * GLOB is matched with the function's name up to its parameter list.
 */
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../analyzer/symbols.h"
#include "../analyzer/tally.h"

enum mode { SUMS, BUCKETS, STACKS, RAW_STACKS, UNNAMED, HEADER, MARKS };

struct options {
	enum mode mode;
	const char *glob;   /* NULL: every stack */
	const char *except; /* NULL: none */
	bool adopted;	    /* only what came through adopted allocators */
};

struct sums {
	uint64_t buckets, allocs, alloc_bytes, frees, freed_bytes, usable_bytes, temporary,
		foreign_frees;
	int64_t live_count, live_bytes, peak_count, peak_bytes;
	uint64_t min_bytes, max_bytes;
	uint64_t reallocs, realloc_from_bytes, realloc_to_bytes, moved, copied_bytes;
	uint64_t chains_now, chains_ended, chain_regrows, chain_copied_bytes;
	uint64_t lifetimes, lifetime_ticks;
	uint64_t timed_calls, timed_ticks, filled_bytes, unwritten_bytes;
	uint64_t contents, content_frees; /* kept hashes, and frees that had any content sampled */
	/* as sampled: pages, blocks and their bytes on those, and one page in how many that was */
	uint64_t seen_pages, seen_blocks, seen_bytes, page_every, snapshot_bytes;
};

static const char *const pseudo_names[] = {
	"[root]", "[jit]", "[no tables]", "[truncated]", "[broken]"};

static const char *module_name(const struct tally *t, uint16_t module)
{
	const char *path = tally_string(t, t->modules[module].path), *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool name_matches(const char *glob, const char *name)
{
	char brief[4096];
	size_t n = strcspn(name, "(");

	/* Rust has names like "(anonymous)" and <(A, B) as …>: cut only a list at the end */
	if (name[strlen(name) ? strlen(name) - 1 : 0] != ')' || n >= sizeof(brief))
		return fnmatch(glob, name, 0) == 0;
	memcpy(brief, name, n);
	brief[n] = 0;
	return fnmatch(glob, brief, 0) == 0;
}

/* For each site whether its stack passes through the function, or pseudo frame. Parents come first. */
static bool *match_sites(const struct tally *t, const char *glob)
{
	bool *match = calloc(t->n_sites + 1, 1);

	for (uint32_t i = 0; i < t->n_sites && match; i++) {
		const struct ht_site *s = &t->sites[i];
		const struct ht_location *l;

		match[i] = !glob || (i > 0 && match[s->parent]);
		if (match[i] || i == 0)
			continue;
		if (s->module == 0) {
			match[i] = s->offset < HT_PSEUDO_COUNT &&
				   fnmatch(glob, pseudo_names[s->offset], 0) == 0;
			continue;
		}
		l = tally_location(t, s->module, s->offset);
		for (uint32_t f = 0; l && f < l->n_frames && !match[i]; f++) {
			uint32_t function = t->frames[l->first_frame + f].function;
			match[i] = name_matches(glob, tally_name(t, t->functions[function].name));
		}
	}
	return match;
}

static void print_stack(const struct tally *t, uint32_t site, bool raw)
{
	const char *gap = "";

	for (; site != 0; site = t->sites[site].parent, gap = " ") {
		const struct ht_site *s = &t->sites[site];
		const struct ht_location *l;

		if (s->module == 0) {
			printf("%s%s", gap,
				s->offset < HT_PSEUDO_COUNT ? pseudo_names[s->offset] : "[?]");
			continue;
		}
		l = tally_location(t, s->module, s->offset);
		if (raw || !l)
			printf("%s%s+0x%llx", gap, module_name(t, s->module),
				(unsigned long long)s->offset);
		for (uint32_t f = 0; !raw && l && f < l->n_frames; f++, gap = " ")
			printf("%s%s", gap,
				tally_name(t,
					t->functions[t->frames[l->first_frame + f].function].name));
	}
	printf("\n");
}

static void print_stacks(const struct tally *t, const bool *match, bool raw)
{
	bool *seen = calloc(t->n_sites + 1, 1);

	for (uint32_t i = 1; i < t->n_buckets && seen; i++) {
		uint32_t site = t->buckets[i].site;
		if (!match[site] || seen[site])
			continue;
		seen[site] = true;
		print_stack(t, site, raw);
	}
	free(seen);
}

static void print_buckets(const struct tally *t, const bool *match)
{
	for (uint32_t i = 0; i < t->n_buckets; i++) {
		const struct ht_bucket *b = &t->buckets[i];
		const struct ht_counters *c = &t->counters[i];

		if (match[b->site] && c->min_bytes <= c->max_bytes)
			printf("bucket class %u align %llu allocs %llu alloc_bytes %llu min %llu "
			       "max %llu\n",
				b->size_class, b->align ? 1ull << (b->align - 1) : 0,
				(unsigned long long)c->allocs, (unsigned long long)c->alloc_bytes,
				(unsigned long long)c->min_bytes, (unsigned long long)c->max_bytes);
	}
}

/* Each mark, and what the stacks held at it; the last line of figures is the end. */
static void print_marks(const struct tally *t, const bool *match)
{
	for (uint32_t k = 0; k <= t->n_marks; k++) {
		struct ht_phase sum = {0};

		for (uint32_t i = 0; i < t->n_buckets; i++) {
			struct ht_phase at;
			if (!match[t->buckets[i].site])
				continue;
			tally_at_mark(t, i, k, &at);
			sum.allocs += at.allocs;
			sum.alloc_bytes += at.alloc_bytes;
			sum.frees += at.frees;
			sum.live_count += at.live_count;
			sum.live_bytes += at.live_bytes;
		}
		printf("%u.allocs %llu\n%u.alloc_bytes %llu\n%u.frees %llu\n", k,
			(unsigned long long)sum.allocs, k, (unsigned long long)sum.alloc_bytes, k,
			(unsigned long long)sum.frees);
		printf("%u.live_count %lld\n%u.live_bytes %lld\n", k, (long long)sum.live_count, k,
			(long long)sum.live_bytes);
		if (k == t->n_marks)
			break;
		const struct ht_mark *m = &t->marks[k];
		printf("mark.%u.name %s\nmark.%u.numbers %s\n", k, tally_string(t, m->name), k,
			tally_string(t, m->numbers));
		printf("mark.%u.live_bytes %llu\nmark.%u.peak_bytes %llu\nmark.%u.rss_bytes %llu\n", k,
			(unsigned long long)m->live_bytes, k, (unsigned long long)m->peak_bytes, k,
			(unsigned long long)m->rss_bytes);
		printf("mark.%u.ticks %llu\nmark.%u.cpu_ns %llu\n", k, (unsigned long long)m->ticks, k,
			(unsigned long long)m->cpu_ns);
	}
	printf("marks %u\nlost_marks %u\nphases %u\n", t->n_marks, t->header.lost_marks, t->n_phases);
}

static void print_unnamed(const struct tally *t, const char *glob)
{
	unsigned long addresses = 0, unnamed = 0;

	for (uint32_t i = 1; i < t->n_sites; i++) {
		const struct ht_site *s = &t->sites[i];
		const struct ht_location *l;

		if (s->module == 0 || fnmatch(glob, module_name(t, s->module), 0) != 0)
			continue;
		addresses++;
		l = tally_location(t, s->module, s->offset);
		bool named = l && l->n_frames > 0;
		for (uint32_t f = 0; named && f < l->n_frames; f++)
			named = !(t->functions[t->frames[l->first_frame + f].function].flags &
				  HT_FUNCTION_UNNAMED);
		unnamed += !named;
	}
	printf("addresses %lu\nunnamed %lu\n", addresses, unnamed);
}

static void add(struct sums *to, const struct tally *t, const bool *match)
{
	for (uint32_t i = 0; i < t->n_buckets; i++) {
		const struct ht_counters *c = &t->counters[i];

		if (!match[t->buckets[i].site])
			continue;
		to->buckets++;
		to->allocs += c->allocs;
		to->alloc_bytes += c->alloc_bytes;
		to->frees += c->frees;
		to->usable_bytes += c->usable_bytes;
		to->temporary += c->temporary;
		to->foreign_frees += c->foreign_frees;
		to->live_count += c->live_count;
		to->live_bytes += c->live_bytes;
		/* what came and is not there any more, reallocs below included, was freed */
		to->freed_bytes += c->alloc_bytes - (uint64_t)c->live_bytes;
		to->peak_count += c->peak_count;
		to->peak_bytes += c->peak_bytes;
		for (int b = 0; b < (int)HT_LIFETIME_BINS; b++)
			to->lifetimes += c->lifetimes[b];
		to->lifetime_ticks += c->lifetime_ticks;
		to->timed_calls += c->timed_calls;
		to->timed_ticks += c->timed_ticks;
		to->filled_bytes += c->filled_bytes;
		to->unwritten_bytes += c->unwritten_bytes;
		if (c->min_bytes > c->max_bytes)
			continue;
		if (c->min_bytes < to->min_bytes)
			to->min_bytes = c->min_bytes;
		if (c->max_bytes > to->max_bytes)
			to->max_bytes = c->max_bytes;
	}
	for (uint32_t i = 0; i < t->n_regrows; i++) {
		const struct ht_regrow *r = &t->regrows[i];

		if (match[t->buckets[r->from].site])
			to->freed_bytes -= r->from_bytes;
		if (!match[t->buckets[r->to].site])
			continue;
		to->freed_bytes += r->to_bytes;
		to->reallocs += r->count;
		to->realloc_from_bytes += r->from_bytes;
		to->realloc_to_bytes += r->to_bytes;
		to->moved += r->moved;
		to->copied_bytes += r->copied_bytes;
	}
	for (uint32_t i = 0; i < t->n_contents; i++) {
		const struct ht_content *c = &t->contents[i];

		if (!match[t->buckets[c->bucket].site] || !c->count)
			continue;
		to->contents += c->hash != 0;
		to->content_frees += c->count;
	}
	to->page_every = t->snapshot.every;
	to->snapshot_bytes = t->snapshot.live_bytes;
	for (uint32_t i = 0, page = UINT32_MAX; i < t->n_locality; i++) {
		const struct ht_locality *l = &t->locality[i];

		if (!match[t->buckets[l->bucket].site])
			continue;
		to->seen_pages += l->page != page;
		page = l->page;
		to->seen_blocks += l->blocks;
		to->seen_bytes += l->bytes;
	}
	for (uint32_t i = 0; i < t->n_chains; i++) {
		const struct ht_chain *c = &t->chains[i];

		if (!match[t->buckets[c->origin].site])
			continue;
		to->chains_now += c->now;
		to->chains_ended += c->ended;
		to->chain_regrows += c->regrows;
		to->chain_copied_bytes += c->copied_bytes;
	}
}

static void print_sums(const struct sums *s)
{
#define LINE(field) printf(#field " %lld\n", (long long)s->field)
	LINE(buckets);
	LINE(allocs);
	LINE(alloc_bytes);
	LINE(frees);
	LINE(freed_bytes);
	LINE(reallocs);
	LINE(realloc_from_bytes);
	LINE(realloc_to_bytes);
	LINE(moved);
	LINE(copied_bytes);
	LINE(live_count);
	LINE(live_bytes);
	LINE(peak_count);
	LINE(peak_bytes);
	LINE(usable_bytes);
	LINE(temporary);
	LINE(foreign_frees);
	LINE(min_bytes);
	LINE(max_bytes);
	LINE(chains_now);
	LINE(chains_ended);
	LINE(chain_regrows);
	LINE(chain_copied_bytes);
	LINE(timed_calls);
	LINE(timed_ticks);
	LINE(filled_bytes);
	LINE(unwritten_bytes);
	LINE(contents);
	LINE(content_frees);
	LINE(seen_pages);
	LINE(seen_blocks);
	LINE(seen_bytes);
	LINE(page_every);
	LINE(snapshot_bytes);
	LINE(lifetimes);
	LINE(lifetime_ticks);
#undef LINE
}

static void add_header(struct ht_header *to, const struct ht_header *h)
{
	to->pid = h->pid;
	to->parent_pid = h->parent_pid;
	to->state = h->state;
	to->generation = h->generation;
	to->stack_depth = h->stack_depth;
#define ADD(field) to->field += h->field
	ADD(peak_bytes);
	ADD(live_bytes);
	ADD(unknown_frees);
	ADD(inherited_frees);
	ADD(zero_sizes);
	ADD(failures);
	ADD(failed_bytes);
	ADD(lost_frees);
	ADD(bootstrap_allocs);
	ADD(bootstrap_bytes);
	ADD(walks);
	ADD(slow_walks);
	ADD(cut_stacks);
	ADD(n_points);
	ADD(deep_stacks);
	ADD(map_calls);
	ADD(map_bytes);
	ADD(unmap_calls);
	ADD(unmap_bytes);
	ADD(madvise_calls);
	ADD(madvise_bytes);
	ADD(sample_bytes);
#undef ADD
	for (int i = 0; i < HT_DROP_COUNT; i++)
		to->dropped[i] += h->dropped[i];
}

static void print_header(const struct ht_header *h)
{
	static const char *const drops[HT_DROP_COUNT] = {"reentered", "no_thread", "sites_full",
		"buckets_full", "ledger_full", "no_space", "chains_full", "phases_full"};
	uint64_t dropped = 0;

#define LINE(field) printf("header." #field " %llu\n", (unsigned long long)h->field)
	LINE(pid);
	LINE(parent_pid);
	LINE(state);
	LINE(generation);
	LINE(stack_depth);
	LINE(peak_bytes);
	LINE(live_bytes);
	LINE(unknown_frees);
	LINE(inherited_frees);
	LINE(zero_sizes);
	LINE(failures);
	LINE(failed_bytes);
	LINE(lost_frees);
	LINE(bootstrap_allocs);
	LINE(bootstrap_bytes);
	LINE(walks);
	LINE(slow_walks);
	LINE(cut_stacks);
	LINE(n_points);
	LINE(deep_stacks);
	LINE(map_calls);
	LINE(map_bytes);
	LINE(unmap_calls);
	LINE(unmap_bytes);
	LINE(madvise_calls);
	LINE(madvise_bytes);
	LINE(sample_bytes);
#undef LINE
	for (int i = 0; i < HT_DROP_COUNT; i++) {
		printf("header.dropped.%s %llu\n", drops[i], (unsigned long long)h->dropped[i]);
		dropped += h->dropped[i];
	}
	printf("header.dropped %llu\n", (unsigned long long)dropped);
}

static void print_threads(const struct tally *t)
{
	for (uint32_t i = 0; i < t->n_threads; i++) {
		const struct ht_thread *r = &t->threads[i];

		if (r->threads == 0)
			continue;
#define LINE(field) printf("thread.%.16s." #field " %llu\n", r->name, (unsigned long long)r->field)
		LINE(threads);
		LINE(allocs);
		LINE(alloc_bytes);
		LINE(frees);
		LINE(freed_bytes);
		LINE(reallocs);
#undef LINE
	}
}

static int show(const struct options *o, const char *path, struct sums *through, struct sums *all,
	struct ht_header *header)
{
	struct tally t;
	struct error e;
	char *warnings = NULL;
	bool *match = NULL;
	int result = -1;

	if (tally_read(&t, path, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	add_header(header, &t.header);
	if (o->mode != HEADER && (o->glob || o->mode == STACKS || o->mode == UNNAMED) &&
		symbols_resolve(&t, &(struct symbols_options){0}, &warnings, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		goto out;
	}
	if (warnings)
		fputs(warnings, stderr);
	match = match_sites(&t, NULL);
	if (!match)
		goto out;
	add(all, &t, match);
	if (o->glob && o->mode != UNNAMED) {
		free(match);
		match = match_sites(&t, o->glob);
		if (!match)
			goto out;
		if (o->except) {
			bool *without = match_sites(&t, o->except);
			for (uint32_t i = 0; without && i < t.n_sites; i++)
				match[i] = match[i] && !without[i];
			free(without);
		}
		add(through, &t, match);
	}
	if (o->adopted) {
		memset(match, 0, t.n_sites);
		for (uint32_t i = 0; i < t.n_buckets; i++)
			if (t.buckets[i].source == HT_SOURCE_ADOPTED)
				match[t.buckets[i].site] = true;
		add(through, &t, match);
	}
	if (o->mode == STACKS || o->mode == RAW_STACKS)
		print_stacks(&t, match, o->mode == RAW_STACKS);
	if (o->mode == MARKS)
		print_marks(&t, match);
	if (o->mode == BUCKETS)
		print_buckets(&t, match);
	if (o->mode == UNNAMED)
		print_unnamed(&t, o->glob);
	if (o->mode == SUMS)
		print_threads(&t);
	result = 0;
out:
	free(warnings);
	free(match);
	tally_release(&t);
	return result;
}

int main(int argc, char **argv)
{
	struct options o = {.mode = SUMS};
	struct sums through = {.min_bytes = UINT64_MAX}, all = through;
	struct ht_header header = {0};
	int i;

	for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--buckets") == 0)
			o.mode = BUCKETS;
		else if (strcmp(argv[i], "--marks") == 0)
			o.mode = MARKS;
		else if (strcmp(argv[i], "--stacks") == 0)
			o.mode = STACKS;
		else if (strcmp(argv[i], "--raw-stacks") == 0)
			o.mode = RAW_STACKS;
		else if (strcmp(argv[i], "--header") == 0)
			o.mode = HEADER;
		else if (strcmp(argv[i], "--unnamed") == 0 && i + 1 < argc)
			o.mode = UNNAMED, o.glob = argv[++i];
		else if (strcmp(argv[i], "--adopted") == 0)
			o.adopted = true;
		else if (strcmp(argv[i], "--through") == 0 && i + 1 < argc)
			o.glob = argv[++i];
		else if (strcmp(argv[i], "--not") == 0 && i + 1 < argc)
			o.except = argv[++i];
		else
			break;
	}
	if (i == argc || strncmp(argv[i], "--", 2) == 0) {
		fprintf(stderr, "usage: dump [--adopted | --through GLOB [--not GLOB]] [--buckets | --stacks | "
				"--raw-stacks |"
				" --header | --marks | --unnamed MODULE_GLOB] FILE...\n");
		return 2;
	}
	int files = argc - i;
	for (; i < argc; i++)
		if (show(&o, argv[i], &through, &all, &header) < 0)
			return 2;
	if (o.mode == SUMS || o.mode == HEADER) {
		printf("files %d\n", files);
		print_sums(o.glob || o.adopted ? &through : &all);
		printf("total.allocs %llu\ntotal.reallocs %llu\ntotal.frees %llu\n",
			(unsigned long long)all.allocs, (unsigned long long)all.reallocs,
			(unsigned long long)all.frees);
		printf("total.live_bytes %lld\ntotal.peak_bytes %lld\n", (long long)all.live_bytes,
			(long long)all.peak_bytes);
		print_header(&header);
	}
	return 0;
}
