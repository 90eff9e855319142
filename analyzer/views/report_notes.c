/* SPDX-License-Identifier: MIT */
/* Notes for the report: the sentences worth reading before its tables. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "figures.h"
#include "report_internal.h"

__attribute__((format(printf, 3, 4))) static void note(
	struct report_builder *b, const char *key, const char *format, ...)
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
	grown[b->r->n_notes].text = report_own(b, n < 0 ? NULL : text);
	b->r->n_notes++;
}

static const char *brief_of(const struct report_builder *b, uint32_t function)
{
	return b->p->functions[function].brief;
}

static uint32_t most_temporary(const struct profile *p)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < p->n_blames; i++)
		if (p->blames[i].totals.temporary > p->blames[best].totals.temporary)
			best = i;
	return best;
}

static void note_copies(struct report_builder *b)
{
	const struct profile *p = b->p;
	const struct report_summary *s = &b->r->summary;
	uint64_t *copied = report_rows(b, p->n_functions, sizeof(*copied));
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
			figure_bytes(z, copied[best]), report_clean(b, brief_of(b, best)));
	free(copied);
}

/* Held at the peak by functions without a symbol: those that are told by source, or those that are not. */
static uint64_t unnamed_peak(const struct profile *p, bool by_source)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->n_blames; i++) {
		const struct profile_function *f = &p->functions[p->blames[i].function];
		if (f->unnamed && f->by_source == by_source)
			sum += totals_metric(&p->blames[i].totals, METRIC_PEAK);
	}
	return sum;
}

/* What a reader should know before the tables. Thresholds only decide what is said here: the tables have all. */
void report_make_notes(struct report_builder *b)
{
	const struct ht_header *h = &b->t->header;
	const struct report *r = b->r;
	const struct report_summary *s = &r->summary;
	uint64_t events = s->total.allocs + s->total.reallocs + s->total.frees, dropped = 0;
	uint64_t peak = totals_metric(&s->total, METRIC_PEAK);
	uint64_t unnamed = unnamed_peak(b->p, false), by_source = unnamed_peak(b->p, true);
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
	if (by_source)
		note(b, "by_source",
			"%s of the peak is in functions without a symbol that are told by a source "
			"file: "
			"a::b:7 has code that may panic at line 7 of b.rs in a, its own or "
			"inlined. "
			"--debug-file takes a file with symbols.",
			figure_share(x, report_share(by_source, peak)));
	if (unnamed > peak / 5)
		note(b, "unnamed",
			"%s of the peak is in functions without a name; --debug-file takes a file "
			"with symbols.",
			figure_share(x, report_share(unnamed, peak)));
	if (h->cut_stacks > h->walks / 10)
		note(b, "cut_stacks", "%s of the stacks end early, for want of unwind data.",
			figure_share(x, report_share(h->cut_stacks, h->walks)));
	if (h->failures)
		note(b, "failures", "The allocator refused %s requests, %s in all.",
			figure_count(x, h->failures), figure_bytes(y, h->failed_bytes));
	if (s->total.temporary >= 10000 && s->temporary_share >= 0.1) {
		const struct profile_blame *most = &b->p->blames[most_temporary(b->p)];
		note(b, "temporary", "%s of the allocations are temporary (%s); most, %s, in %s.",
			figure_share(x, s->temporary_share), figure_count(y, s->total.temporary),
			figure_count(z, most->totals.temporary),
			report_clean(b, brief_of(b, most->function)));
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
