/* SPDX-License-Identifier: MIT */
/* From the profile to the rows of the report: see report_model.h. */
#include "report_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"
#include "utf8.h"

#define NAME_MAX_BYTES   (64u << 10)
#define UNSEEN_MIN_BYTES 4000000u
#define UNSEEN_MAX_COUNT 10000u

/* Rows to be sorted: most first, equal ones by name. */
struct ranked {
	uint64_t value;
	const char *name;
	uint32_t index;
};

struct builder {
	struct report *r;
	const struct profile *p;
	const struct tally *t;
	uint32_t top;
	bool bad; /* out of memory: keep going, fail at the end */
};

static const struct {
	const char *key, *what;
} drops[HT_DROP_COUNT] = {
	[HT_DROP_REENTERED] = {"reentered",
		"a signal handler allocated while its thread was recording"},
	[HT_DROP_NO_THREAD] = {"no_thread", "no memory for a thread's state"},
	[HT_DROP_SITES_FULL] = {"sites_full", "site table full: tallied at the caller's stack"},
	[HT_DROP_BUCKETS_FULL] = {"buckets_full", "bucket table full: tallied without a stack"},
	[HT_DROP_LEDGER_FULL] = {"ledger_full",
		"no memory for the ledger: counted, its free is unknown"},
	[HT_DROP_NO_SPACE] = {"no_space", "the tally could not grow: disk full"},
	[HT_DROP_CHAINS_FULL] = {"chains_full", "realloc tables full: the realloc is missing"},
	[HT_DROP_PHASES_FULL] = {"phases_full", "phase table full: told in an earlier phase"},
};

static double share_of(uint64_t part, uint64_t whole)
{
	double share = whole ? (double)part / (double)whole : 0;

	return share < 1 ? share : 1;
}

static uint64_t at_least_0(int64_t v)
{
	return v > 0 ? (uint64_t)v : 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static struct report_figures figures_of(const struct builder *b, const struct totals *t)
{
	enum profile_metric by = b->r->by;
	struct report_figures f = {.value = totals_metric(t, by)};

	f.share = share_of(f.value, totals_metric(&b->p->total, by));
	if (by == METRIC_PEAK || by == METRIC_LEAKED) {
		f.count = at_least_0(by == METRIC_PEAK ? t->peak_count : t->live_count);
		f.bytes = f.value;
	} else {
		f.count = totals_metric(t, METRIC_COUNT);
		f.bytes = totals_metric(t, METRIC_BYTES);
	}
	f.average_bytes = f.count ? f.bytes / f.count : 0;
	return f;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Takes a fresh string into the report; NULL is out of memory. */
static char *own(struct builder *b, char *text)
{
	struct report *r = b->r;

	if (text && (r->n_strings & (r->n_strings - 1)) == 0) {
		size_t room = r->n_strings ? 2 * (size_t)r->n_strings : 1;
		char **grown = realloc(r->strings, room * sizeof(*grown));
		if (!grown) {
			free(text);
			text = NULL;
		} else {
			r->strings = grown;
		}
	}
	if (text)
		r->strings[r->n_strings++] = text;
	else
		b->bad = true;
	return text;
}

static char *clean(struct builder *b, const char *text)
{
	return own(b, utf8_clean(text, NAME_MAX_BYTES));
}

static void *rows(struct builder *b, size_t n, size_t bytes)
{
	void *made = calloc(n + 1, bytes);

	b->bad |= !made;
	return made;
}

static int ranked_compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return strcmp(x->name, y->name);
}

static uint32_t cut_at_top(const struct builder *b, uint32_t n)
{
	return b->top && n > b->top ? b->top : n;
}

static const char *brief_of(const struct builder *b, uint32_t function)
{
	return b->p->functions[function].brief;
}

__attribute__((format(printf, 3, 4))) static void note(
	struct builder *b, const char *key, const char *format, ...)
{
	struct report_note *grown =
		realloc(b->r->notes, (b->r->n_notes + 1) * sizeof(*b->r->notes));
	char *text;
	va_list ap;

	if (!grown) {
		b->bad = true;
		return;
	}
	b->r->notes = grown;
	va_start(ap, format);
	int n = vasprintf(&text, format, ap);
	va_end(ap);
	grown[b->r->n_notes].key = key;
	grown[b->r->n_notes].text = own(b, n < 0 ? NULL : text);
	b->r->n_notes++;
}

static void make_summary(struct builder *b)
{
	const struct ht_header *h = &b->t->header;
	struct report_summary *s = &b->r->summary;

	s->tally = clean(b, b->t->path);
	s->program = clean(b, tally_string(b->t, h->program));
	s->exe = clean(b, tally_string(b->t, h->exe));
	s->command = clean(b, tally_string(b->t, h->command));
	s->cwd = clean(b, tally_string(b->t, h->cwd));
	s->pid = h->pid;
	s->parent_pid = h->parent_pid;
	s->generation = h->generation;
	s->end = h->state & HT_STATE_EXITED ? REPORT_EXITED : REPORT_CUT;
	s->start_unix_ns = h->start_unix_ns;
	s->wall_ns = tally_ns(b->t, h->last_ticks);
	s->cpu_ns = h->cpu_ns;
	for (uint32_t i = 0; i < b->t->n_threads; i++)
		s->threads += b->t->threads[i].threads;
	s->total = b->p->total;
	s->requested_bytes = totals_metric(&s->total, METRIC_BYTES);
	s->slack_bytes = less(s->total.usable_bytes, s->requested_bytes);
	s->slack_share = share_of(s->slack_bytes, s->requested_bytes);
	s->temporary_share = share_of(s->total.temporary, totals_metric(&s->total, METRIC_COUNT));
	s->peak_bytes = h->peak_bytes;
	s->peak_ns = tally_ns(b->t, h->peak_ticks);
	s->peak_count = at_least_0(s->total.peak_count);
	s->leaked_bytes = at_least_0(s->total.live_bytes);
	s->leaked_count = at_least_0(s->total.live_count);
	for (uint32_t i = 0; i < b->t->n_regrows; i++)
		s->copied_bytes += b->t->regrows[i].copied_bytes;
	s->zero_sizes = h->zero_sizes;
	s->walks = h->walks;
	s->slow_walks = h->slow_walks;
	s->sample_bytes = h->sample_bytes;
}

static struct report_span span_between(const struct report_point *from, const struct report_point *to)
{
	return (struct report_span){
		.until_ns = to->ns,
		.ns = less(to->ns, from->ns),
		.cpu_ns = less(to->cpu_ns, from->cpu_ns),
		.sys_ns = less(to->sys_ns, from->sys_ns),
		.minor_faults = less(to->minor_faults, from->minor_faults),
		.major_faults = less(to->major_faults, from->major_faults),
		.purged_bytes = less(to->purged_bytes, from->purged_bytes),
		.unmapped_bytes = less(to->unmapped_bytes, from->unmapped_bytes),
	};
}

/* Each span ends with the last point in its equal share of the time; one without a point falls to the next. */
static void make_spans(struct report_memory *m)
{
	struct report_point start = {0}, *before = &start;
	uint64_t end_ns = m->points[m->n_points - 1].ns;
	uint32_t i = 0;

	m->run = span_between(&start, &m->points[m->n_points - 1]);
	for (unsigned k = 1; k <= REPORT_SPANS; k++) {
		uint64_t until = (uint64_t)((double)end_ns * k / REPORT_SPANS);
		uint32_t first = i;
		while (i < m->n_points && (m->points[i].ns <= until || k == REPORT_SPANS))
			i++;
		if (i == first)
			continue;
		m->spans[m->n_spans++] = span_between(before, &m->points[i - 1]);
		before = &m->points[i - 1];
	}
}

static void make_memory(struct builder *b)
{
	const struct ht_header *h = &b->t->header;
	struct report_memory *m = &b->r->memory;
	uint64_t peak_ns = b->r->summary.peak_ns, nearest = UINT64_MAX;

	m->map_bytes = h->map_bytes;
	m->unmap_bytes = h->unmap_bytes;
	m->madvise_bytes = h->madvise_bytes;
	m->points = rows(b, b->t->n_points, sizeof(*m->points));
	if (!m->points)
		return;
	m->n_points = b->t->n_points;
	for (uint32_t i = 0; i < m->n_points; i++) {
		const struct ht_point *p = &b->t->points[i];
		struct report_point *to = &m->points[i];
		to->ns = tally_ns(b->t, p->ticks);
		to->live_bytes = p->live_bytes;
		to->live_max_bytes = p->live_max_bytes;
		to->rss_bytes = p->rss_bytes;
		to->vm_bytes = p->vm_bytes;
		to->data_bytes = p->data_bytes;
		to->mapped_bytes = less(p->map_bytes, p->unmap_bytes);
		to->cpu_ns = p->cpu_ns;
		to->sys_ns = p->sys_ns;
		to->minor_faults = p->minor_faults;
		to->major_faults = p->major_faults;
		to->purged_bytes = p->madvise_bytes;
		to->unmapped_bytes = p->unmap_bytes;
		if (to->rss_bytes > m->max_rss_bytes)
			m->max_rss_bytes = to->rss_bytes;
		uint64_t away = to->ns > peak_ns ? to->ns - peak_ns : peak_ns - to->ns;
		if (away < nearest) {
			nearest = away;
			m->at_peak = *to;
		}
	}
	m->beyond_heap_bytes = less(m->at_peak.rss_bytes, m->at_peak.live_bytes);
	if (m->n_points)
		make_spans(m);
}

static void make_blames(struct builder *b)
{
	const struct profile *p = b->p;
	struct report *r = b->r;
	struct totals more = {0};
	struct ranked *order = rows(b, p->n_blames, sizeof(*order));
	uint32_t n = 0;

	for (uint32_t i = 0; order && i < p->n_blames; i++) {
		uint64_t value = totals_metric(&p->blames[i].totals, r->by);
		if (value)
			order[n++] =
				(struct ranked){value, p->functions[p->blames[i].function].name, i};
	}
	if (n)
		qsort(order, n, sizeof(*order), ranked_compare);
	r->n_blames = cut_at_top(b, n);
	r->n_more_blames = n - r->n_blames;
	r->blames = rows(b, r->n_blames, sizeof(*r->blames));
	for (uint32_t i = 0; r->blames && i < n; i++) {
		const struct profile_blame *pb = &p->blames[order[i].index];
		const struct profile_function *f = &p->functions[pb->function];
		struct report_blame *row = &r->blames[i];
		uint32_t file =
			pb->function < b->t->n_functions ? b->t->functions[pb->function].file : 0;

		if (i >= r->n_blames) {
			totals_add(&more, &pb->totals);
			continue;
		}
		row->name = clean(b, f->name);
		row->brief = clean(b, f->brief);
		row->crate = clean(b, p->crates[f->crate].name);
		row->module =
			clean(b, base_name(tally_string(b->t, b->t->modules[f->module].path)));
		if (pb->caller != PROFILE_NONE)
			row->caller = clean(b, p->functions[pb->caller].name);
		if (pb->inner != PROFILE_NONE)
			row->inner = clean(b, p->functions[pb->inner].name);
		if (file)
			row->file = clean(b, tally_name(b->t, file));
		row->line = pb->line;
		row->totals = pb->totals;
		row->figures = figures_of(b, &pb->totals);
	}
	r->more_blames = figures_of(b, &more);
	if (!r->blames)
		r->n_blames = 0;
	free(order);
}

static void make_crates(struct builder *b)
{
	const struct profile *p = b->p;
	struct report *r = b->r;
	struct totals more = {0};
	struct ranked *order = rows(b, p->n_crates, sizeof(*order));
	uint32_t n = 0;

	for (uint32_t i = 0; order && i < p->n_crates; i++) {
		uint64_t value = totals_metric(&p->crates[i].totals, r->by);
		if (value)
			order[n++] = (struct ranked){value, p->crates[i].name, i};
	}
	if (n)
		qsort(order, n, sizeof(*order), ranked_compare);
	r->n_crates = cut_at_top(b, n);
	r->n_more_crates = n - r->n_crates;
	r->crates = rows(b, r->n_crates, sizeof(*r->crates));
	for (uint32_t i = 0; r->crates && i < n; i++) {
		const struct profile_crate *c = &p->crates[order[i].index];
		if (i >= r->n_crates) {
			totals_add(&more, &c->totals);
			continue;
		}
		r->crates[i].name = clean(b, c->name);
		r->crates[i].plumbing = c->plumbing;
		r->crates[i].figures = figures_of(b, &c->totals);
		r->crates[i].totals = c->totals;
	}
	r->more_crates = figures_of(b, &more);
	if (!r->crates)
		r->n_crates = 0;
	free(order);
}

/* Classes of one doubling are neighbours, and their largest sizes end in a power of two. */
static void make_sizes(struct builder *b)
{
	static const struct totals nothing;
	struct report *r = b->r;

	r->sizes = rows(b, 66, sizeof(*r->sizes));
	if (!r->sizes)
		return;
	for (uint32_t c = 0; c < HT_SIZE_CLASSES; c++) {
		uint64_t most = ht_class_max_bytes(c);
		uint64_t up_to = most <= 8           ? most
				 : most > 1ull << 63 ? UINT64_MAX
						     : 1ull << (64 - __builtin_clzll(most - 1));
		if (!memcmp(&b->p->by_class[c], &nothing, sizeof(nothing)))
			continue;
		if (!r->n_sizes || r->sizes[r->n_sizes - 1].up_to_bytes != up_to)
			r->sizes[r->n_sizes++].up_to_bytes = up_to;
		totals_add(&r->sizes[r->n_sizes - 1].totals, &b->p->by_class[c]);
	}
	for (uint32_t i = 0; i < r->n_sizes; i++)
		r->sizes[i].figures = figures_of(b, &r->sizes[i].totals);
}

static int thread_compare(const void *a, const void *b)
{
	const struct report_thread *x = a, *y = b;
	uint64_t n = x->allocs + x->reallocs, m = y->allocs + y->reallocs;

	return n != m ? (n > m ? -1 : 1) : strcmp(x->name, y->name);
}

static void make_threads(struct builder *b)
{
	struct report *r = b->r;
	uint64_t whole = 0;

	r->threads = rows(b, b->t->n_threads, sizeof(*r->threads));
	for (uint32_t i = 0; r->threads && i < b->t->n_threads; i++) {
		const struct ht_thread *t = &b->t->threads[i];
		char name[sizeof(t->name) + 1] = "", *cleaned;
		uint32_t k = 0;

		if (!t->threads)
			continue;
		memcpy(name, t->name, sizeof(t->name));
		cleaned = clean(b, name);
		if (!cleaned)
			return;
		while (k < r->n_threads && strcmp(r->threads[k].name, cleaned))
			k++;
		struct report_thread *row = &r->threads[k];
		row->name = cleaned;
		r->n_threads += k == r->n_threads;
		row->threads += t->threads;
		row->allocs += t->allocs;
		row->reallocs += t->reallocs;
		row->frees += t->frees;
		row->alloc_bytes += t->alloc_bytes;
		row->freed_bytes += t->freed_bytes;
		row->temporary += t->temporary;
		whole += t->allocs + t->reallocs;
	}
	for (uint32_t i = 0; i < r->n_threads; i++)
		r->threads[i].share =
			share_of(r->threads[i].allocs + r->threads[i].reallocs, whole);
	if (r->n_threads)
		qsort(r->threads, r->n_threads, sizeof(*r->threads), thread_compare);
}

static void add_loss(
	struct builder *b, const char *key, const char *what, uint64_t count, const uint64_t *bytes)
{
	if (count)
		b->r->losses[b->r->n_losses++] =
			(struct report_loss){key, what, count, bytes ? *bytes : 0, bytes != NULL};
}

static void make_losses(struct builder *b)
{
	const struct ht_header *h = &b->t->header;

	b->r->losses = rows(b, HT_DROP_COUNT + 7, sizeof(*b->r->losses));
	if (!b->r->losses)
		return;
	for (unsigned i = 0; i < HT_DROP_COUNT; i++)
		add_loss(b, drops[i].key, drops[i].what, h->dropped[i], NULL);
	add_loss(b, "unknown_frees", "frees of pointers whose allocation was not seen",
		h->unknown_frees, NULL);
	add_loss(b, "inherited_frees", "the same after fork: maybe the parent's",
		h->inherited_frees, NULL);
	add_loss(b, "lost_frees", "addresses handed out again, their free not seen", h->lost_frees,
		NULL);
	add_loss(b, "failures", "requests that the allocator refused", h->failures,
		&h->failed_bytes);
	add_loss(b, "bootstrap", "served before the allocator was known", h->bootstrap_allocs,
		&h->bootstrap_bytes);
	add_loss(b, "cut_stacks", "stacks that end early: no unwind data", h->cut_stacks, NULL);
	add_loss(b, "deep_stacks", "stacks deeper than was kept", h->deep_stacks, NULL);
}

/* The C library, the loader and allocators: they allocate for their callers. */
static bool is_base_library(const struct tally *t, uint32_t module)
{
	static const char *const bases[] = {"libc.so", "libc-2", "libc.musl", "ld-linux", "ld-musl",
		"ld-2", "libm.so", "libdl.so", "libpthread", "libstdc++.so", "libc++.so",
		"libgcc_s.so", "libjemalloc", "libmimalloc", "libtcmalloc", "linux-vdso", "[vdso]"};
	const char *base = base_name(tally_string(t, t->modules[module].path));

	if (t->modules[module].flags & HT_MODULE_SHIM)
		return true;
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++)
		if (!strncmp(base, bases[i], strlen(bases[i])))
			return true;
	return false;
}

static int module_compare(const void *a, const void *b)
{
	const struct report_module *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->map_bytes != y->map_bytes)
		return x->map_bytes > y->map_bytes ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Adds up count and bytes per module. owner: scratch, the module that a site's stack answers to, 0 if none. */
static void count_modules(
	struct builder *b, struct report_module *all, uint16_t *owner, const bool *base)
{
	const struct tally *t = b->t;

	owner[0] = 0;
	for (uint32_t s = 1; s < t->n_sites; s++) {
		uint16_t m = t->sites[s].module;
		owner[s] = base[m] ? owner[t->sites[s].parent] : m;
	}
	for (uint32_t i = 0; i < t->n_buckets; i++) {
		const struct profile_bucket *pb = &b->p->buckets[i];
		uint16_t m = owner[pb->site] ? owner[pb->site] : t->sites[pb->site].module;
		all[m].count += totals_metric(&pb->totals, METRIC_COUNT);
		all[m].bytes += totals_metric(&pb->totals, METRIC_BYTES);
	}
}

static const char *refusal(const struct ht_module *m)
{
	switch (m->refused) {
	case HT_REFUSED_ROUND:
		return "calls go round its entry points";
	case HT_REFUSED_UNPROVEN:
		return "an entry point did not behave as its role says";
	case HT_REFUSED_SHORT:
		return "an entry point is too short to be hooked";
	case HT_REFUSED_PARTLY:
		return "not all of it could be hooked";
	default:
		return NULL;
	}
}

static void make_modules(struct builder *b)
{
	const struct tally *t = b->t;
	struct report *r = b->r;
	uint16_t *owner = rows(b, t->n_sites, sizeof(*owner));
	bool *base = rows(b, t->n_modules, sizeof(*base));

	r->modules = rows(b, t->n_modules, sizeof(*r->modules));
	for (uint32_t m = 0; base && m < t->n_modules; m++)
		base[m] = m == 0 || is_base_library(t, m);
	if (owner && base && r->modules)
		count_modules(b, r->modules, owner, base);
	for (uint32_t m = 0; !b->bad && m < t->n_modules; m++) {
		const struct ht_module *hm = &t->modules[m];
		struct report_module row = r->modules[m];

		row.map_bytes = hm->map_bytes;
		row.unmap_bytes = hm->unmap_bytes;
		row.flags = hm->flags;
		row.adopted = hm->adopted;
		row.refused = refusal(hm);
		if (!row.count && !row.map_bytes && !(row.flags & HT_MODULE_ADOPTED)) {
			r->n_quiet_modules += m != 0 && !(row.flags & HT_MODULE_SHIM);
			continue;
		}
		row.path = m ? clean(b, tally_string(t, hm->path)) : clean(b, "[no module]");
		if (!row.path)
			break;
		row.name = clean(b, base_name(row.path));
		row.unseen = !base[m] && !(row.flags & HT_MODULE_ADOPTED) &&
			     row.map_bytes >= UNSEEN_MIN_BYTES && row.bytes < row.map_bytes / 100 &&
			     row.count < UNSEEN_MAX_COUNT;
		r->modules[r->n_modules++] = row;
	}
	if (!b->bad && r->n_modules)
		qsort(r->modules, r->n_modules, sizeof(*r->modules), module_compare);
	free(owner);
	free(base);
}

static uint32_t most_temporary(const struct profile *p)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < p->n_blames; i++)
		if (p->blames[i].totals.temporary > p->blames[best].totals.temporary)
			best = i;
	return best;
}

static void note_copies(struct builder *b)
{
	const struct profile *p = b->p;
	const struct report_summary *s = &b->r->summary;
	uint64_t *copied = rows(b, p->n_functions, sizeof(*copied));
	uint32_t best = 0;
	char x[FIGURE_SIZE], y[FIGURE_SIZE], z[FIGURE_SIZE];

	for (uint32_t i = 0; copied && i < b->t->n_regrows; i++) {
		uint32_t f = p->buckets[b->t->regrows[i].to].blame;
		copied[f] += b->t->regrows[i].copied_bytes;
		if (copied[f] > copied[best])
			best = f;
	}
	if (copied)
		note(b, "copies", "Growing buffers copied %s in %s reallocs; most, %s, in %s.",
			figure_bytes(x, s->copied_bytes), figure_count(y, s->total.reallocs),
			figure_bytes(z, copied[best]), clean(b, brief_of(b, best)));
	free(copied);
}

static uint64_t unnamed_peak(const struct profile *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->n_blames; i++)
		if (p->functions[p->blames[i].function].unnamed)
			sum += totals_metric(&p->blames[i].totals, METRIC_PEAK);
	return sum;
}

/* What a reader should know before the tables. Thresholds only decide what is said here: the tables have all. */
static void make_notes(struct builder *b)
{
	const struct ht_header *h = &b->t->header;
	const struct report *r = b->r;
	const struct report_summary *s = &r->summary;
	uint64_t events = s->total.allocs + s->total.reallocs + s->total.frees, dropped = 0;
	uint64_t peak = totals_metric(&s->total, METRIC_PEAK), unnamed = unnamed_peak(b->p);
	bool unseen = false;
	char x[FIGURE_SIZE], y[FIGURE_SIZE], z[FIGURE_SIZE];

	if (s->sample_bytes)
		note(b, "sampled", "Sampled, one event in %s on average: figures are estimates.",
			figure_bytes(x, s->sample_bytes));
	for (uint32_t i = 0; i < r->n_modules; i++) {
		if (!r->modules[i].unseen)
			continue;
		unseen = true;
		note(b, "unseen_module",
			"%s mapped %s itself and allocated next to nothing through malloc: it "
			"likely has a "
			"static allocator, and its memory is not in this report.",
			r->modules[i].name, figure_bytes(x, r->modules[i].map_bytes));
	}
	for (int i = 0; i < HT_DROP_COUNT; i++)
		dropped += h->dropped[i];
	if (dropped > events / 1000)
		note(b, "dropped", "%s of %s events were dropped: see the end.",
			figure_count(x, dropped), figure_count(y, events));
	if (unnamed > peak / 5)
		note(b, "unnamed",
			"%s of the peak is in functions without a name; --debug-file takes a file "
			"with symbols.",
			figure_share(x, share_of(unnamed, peak)));
	if (h->cut_stacks > h->walks / 10)
		note(b, "cut_stacks", "%s of the stacks end early, for want of unwind data.",
			figure_share(x, share_of(h->cut_stacks, h->walks)));
	if (h->failures)
		note(b, "failures", "The allocator refused %s requests, %s in all.",
			figure_count(x, h->failures), figure_bytes(y, h->failed_bytes));
	if (s->total.temporary >= 10000 && s->temporary_share >= 0.1) {
		const struct profile_blame *most = &b->p->blames[most_temporary(b->p)];
		note(b, "temporary", "%s of the allocations are temporary (%s); most, %s, in %s.",
			figure_share(x, s->temporary_share), figure_count(y, s->total.temporary),
			figure_count(z, most->totals.temporary),
			clean(b, brief_of(b, most->function)));
	}
	if (s->copied_bytes >= 1000000 && s->copied_bytes > s->requested_bytes / 20)
		note_copies(b);
	if (!unseen && r->memory.beyond_heap_bytes >= 32000000 &&
		r->memory.at_peak.rss_bytes / 2 >= r->memory.at_peak.live_bytes)
		note(b, "rss",
			"RSS is far above the heap: %s against %s live at the peak; see Memory.",
			figure_bytes(x, r->memory.at_peak.rss_bytes),
			figure_bytes(y, r->memory.at_peak.live_bytes));
	uint64_t off = peak > s->peak_bytes ? peak - s->peak_bytes : s->peak_bytes - peak;
	if (off > s->peak_bytes / 50 && off > 100000)
		note(b, "peak_bound",
			"The buckets hold %s at the peak of %s: off by more than 2%%.",
			figure_bytes(x, peak), figure_bytes(y, s->peak_bytes));
}

int report_init(struct report *r, const struct profile *p, enum profile_metric by, uint32_t top,
	struct error *e)
{
	struct builder b = {.r = r, .p = p, .t = p->tally, .top = top};

	*r = (struct report){.by = by};
	make_summary(&b);
	make_memory(&b);
	make_blames(&b);
	make_crates(&b);
	make_sizes(&b);
	make_threads(&b);
	make_losses(&b);
	make_modules(&b);
	b.bad |= measured_init(&r->measured, p, e) != 0;
	if (!b.bad)
		make_notes(&b);
	if (!b.bad)
		return 0;
	report_release(r);
	return error_set(e, "out of memory for the report");
}

void report_release(struct report *r)
{
	for (uint32_t i = 0; i < r->n_strings; i++)
		free(r->strings[i]);
	free(r->strings);
	free(r->notes);
	free(r->memory.points);
	free(r->blames);
	free(r->crates);
	free(r->sizes);
	free(r->threads);
	free(r->losses);
	free(r->modules);
	measured_release(&r->measured);
	*r = (struct report){0};
}
