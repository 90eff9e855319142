/* SPDX-License-Identifier: MIT */
/* From the profile to the rows of the report: see report_model.h. */
#include "report_model.h"

#include <stdlib.h>
#include <string.h>

#include "../utf8.h"
#include "report_internal.h"

#define NAME_MAX_BYTES (64u << 10)

/* Rows to be sorted: most first, equal ones by name. */
struct ranked {
	uint64_t value;
	const char *name;
	uint32_t index;
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

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static struct report_figures figures_of(const struct report_builder *b, const struct totals *t)
{
	enum profile_metric by = b->r->by;
	struct report_figures f = {.value = totals_metric(t, by)};

	f.share = report_share(f.value, totals_metric(&b->p->total, by));
	if (by == METRIC_PEAK || by == METRIC_LEAKED) {
		f.count = at_least_zero(by == METRIC_PEAK ? t->peak_count : t->live_count);
		f.bytes = f.value;
	} else {
		f.count = totals_metric(t, METRIC_COUNT);
		f.bytes = totals_metric(t, METRIC_BYTES);
	}
	f.average_bytes = f.count ? f.bytes / f.count : 0;
	return f;
}

char *report_own(struct report_builder *b, char *text)
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

double report_share(uint64_t part, uint64_t whole)
{
	double share = whole ? (double)part / (double)whole : 0;

	return share < 1 ? share : 1;
}

char *report_clean(struct report_builder *b, const char *text)
{
	return report_own(b, utf8_clean(text, NAME_MAX_BYTES));
}

void *report_rows(struct report_builder *b, size_t n, size_t bytes)
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

static uint32_t cut_at_top(const struct report_builder *b, uint32_t n)
{
	return b->top && n > b->top ? b->top : n;
}

static void make_summary(struct report_builder *b)
{
	const struct ht_header *h = &b->t->header;
	struct report_summary *s = &b->r->summary;

	s->tally = report_clean(b, b->t->path);
	s->program = report_clean(b, tally_string(b->t, h->program));
	s->exe = report_clean(b, tally_string(b->t, h->exe));
	s->command = report_clean(b, tally_string(b->t, h->command));
	s->cwd = report_clean(b, tally_string(b->t, h->cwd));
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
	s->slack_share = report_share(s->slack_bytes, s->requested_bytes);
	s->temporary_share =
		report_share(s->total.temporary, totals_metric(&s->total, METRIC_COUNT));
	s->peak_bytes = h->peak_bytes;
	s->peak_ns = tally_ns(b->t, h->peak_ticks);
	s->peak_count = at_least_zero(s->total.peak_count);
	s->leaked_bytes = at_least_zero(s->total.live_bytes);
	s->leaked_count = at_least_zero(s->total.live_count);
	for (uint32_t i = 0; i < b->t->n_regrows; i++)
		s->copied_bytes += b->t->regrows[i].copied_bytes;
	s->zero_sizes = h->zero_sizes;
	s->walks = h->walks;
	s->slow_walks = h->slow_walks;
	s->sample_bytes = h->sample_bytes;
}

static struct report_span span_between(
	const struct report_point *from, const struct report_point *to)
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

static void make_memory(struct report_builder *b)
{
	const struct ht_header *h = &b->t->header;
	struct report_memory *m = &b->r->memory;
	uint64_t peak_ns = b->r->summary.peak_ns, nearest = UINT64_MAX;

	m->map_bytes = h->map_bytes;
	m->unmap_bytes = h->unmap_bytes;
	m->madvise_bytes = h->madvise_bytes;
	m->points = report_rows(b, b->t->n_points, sizeof(*m->points));
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

static void make_blames(struct report_builder *b)
{
	const struct profile *p = b->p;
	struct report *r = b->r;
	struct totals more = {0};
	struct ranked *order = report_rows(b, p->n_blames, sizeof(*order));
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
	r->blames = report_rows(b, r->n_blames, sizeof(*r->blames));
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
		row->name = report_clean(b, f->name);
		row->brief = report_clean(b, f->brief);
		row->crate = report_clean(b, p->crates[f->crate].name);
		row->module = report_clean(
			b, basename(tally_string(b->t, b->t->modules[f->module].path)));
		if (pb->caller != PROFILE_NONE)
			row->caller = report_clean(b, p->functions[pb->caller].name);
		if (pb->inner != PROFILE_NONE)
			row->inner = report_clean(b, p->functions[pb->inner].name);
		if (file)
			row->file = report_clean(b, tally_name(b->t, file));
		row->line = pb->line;
		row->totals = pb->totals;
		row->figures = figures_of(b, &pb->totals);
	}
	r->more_blames = figures_of(b, &more);
	if (!r->blames)
		r->n_blames = 0;
	free(order);
}

static void make_crates(struct report_builder *b)
{
	const struct profile *p = b->p;
	struct report *r = b->r;
	struct totals more = {0};
	struct ranked *order = report_rows(b, p->n_crates, sizeof(*order));
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
	r->crates = report_rows(b, r->n_crates, sizeof(*r->crates));
	for (uint32_t i = 0; r->crates && i < n; i++) {
		const struct profile_crate *c = &p->crates[order[i].index];
		if (i >= r->n_crates) {
			totals_add(&more, &c->totals);
			continue;
		}
		r->crates[i].name = report_clean(b, c->name);
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
static void make_sizes(struct report_builder *b)
{
	struct report *r = b->r;

	r->sizes = report_rows(b, 66, sizeof(*r->sizes));
	if (!r->sizes)
		return;
	for (uint32_t c = 0; c < HT_SIZE_CLASSES; c++) {
		uint64_t most = ht_class_max_bytes(c);
		uint64_t up_to = most <= 8           ? most
				 : most > 1ull << 63 ? UINT64_MAX
						     : 1ull << (64 - __builtin_clzll(most - 1));
		if (totals_empty(&b->p->by_class[c]))
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

static void make_threads(struct report_builder *b)
{
	struct report *r = b->r;
	uint64_t whole = 0;

	r->threads = report_rows(b, b->t->n_threads, sizeof(*r->threads));
	for (uint32_t i = 0; r->threads && i < b->t->n_threads; i++) {
		const struct ht_thread *t = &b->t->threads[i];
		char name[sizeof(t->name) + 1] = "", *cleaned;
		uint32_t k = 0;

		if (!t->threads)
			continue;
		memcpy(name, t->name, sizeof(t->name));
		cleaned = report_clean(b, name);
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
			report_share(r->threads[i].allocs + r->threads[i].reallocs, whole);
	if (r->n_threads)
		qsort(r->threads, r->n_threads, sizeof(*r->threads), thread_compare);
}

static void add_loss(struct report_builder *b, const char *key, const char *what, uint64_t count,
	const uint64_t *bytes)
{
	if (count)
		b->r->losses[b->r->n_losses++] =
			(struct report_loss){key, what, count, bytes ? *bytes : 0, bytes != NULL};
}

static void make_losses(struct report_builder *b)
{
	const struct ht_header *h = &b->t->header;

	b->r->losses = report_rows(b, HT_DROP_COUNT + 7, sizeof(*b->r->losses));
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

int report_init(struct report *r, const struct profile *p, enum profile_metric by, uint32_t top,
	struct error *e)
{
	struct report_builder b = {.r = r, .p = p, .t = p->tally, .top = top};

	*r = (struct report){.by = by};
	make_summary(&b);
	make_memory(&b);
	make_blames(&b);
	make_crates(&b);
	make_sizes(&b);
	make_threads(&b);
	make_losses(&b);
	report_make_modules(&b);
	b.bad |= measured_init(&r->measured, p, e) != 0;
	if (!b.bad)
		report_make_notes(&b);
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
