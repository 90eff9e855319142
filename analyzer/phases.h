/* SPDX-License-Identifier: MIT */
/*
 * The run in phases: as the host marked them or, where it made no marks but names are there, as the bundler's passes
 * tell them by their own frames. Marked phases are exact. Told phases are estimates: a pass begins with the first
 * bucket whose stack runs through it; a bucket belongs to the innermost pass on its stack or, without one, to the pass
 * during which it was first seen, with all that it ever allocated.
 */
#ifndef HEAPTALLY_PHASES_H
#define HEAPTALLY_PHASES_H

#include "profile.h"

struct phase {
	const char *name;    /* as in the tally; not unique: watch mode repeats */
	const char *numbers; /* "modules=5&chunks=2", or "" */
	uint64_t start_ticks, end_ticks;
	uint64_t live_bytes; /* at the start */
	uint64_t end_bytes;  /* live at the end */
	uint64_t peak_bytes; /* highest in between */
	uint64_t rss_bytes;  /* at the start; 0: unknown */
	uint64_t allocs, alloc_bytes,
		frees; /* fresh allocations and frees in it, over all buckets */
};

struct phases {
	bool estimated;
	struct phase *all; /* in order of time; at least one */
	uint32_t n;

	/* private */
	const struct tally *tally;
	char **names;           /* what told phases are called */
	uint32_t *bucket_phase; /* told phases: where a bucket belongs */
	uint32_t *bucket_curve; /* likewise: 1 + index of its curve */
};

/* The profile may go when it is done; the tally must stay. 0 or -1: out of memory. */
int phases_init(struct phases *ph, const struct profile *p, struct error *e);
void phases_release(struct phases *ph);

/* The last phase of that name, or -1 with a sentence that lists those there are. */
int phases_find(const struct phases *ph, const char *name, struct error *e);

/*
 * What a bucket did in one phase: allocs, alloc_bytes and frees in it, live_count and live_bytes at its end; all other
 * fields are 0, reallocs too. Damaged or racing figures that go down read as 0.
 */
void phases_bucket(const struct phases *ph, uint32_t phase, uint32_t bucket, struct totals *totals);

/* A profile of one phase: figures as phases_bucket has them, added up over phases of that name (live: of the last);
 * p->phase is the name. -1 also for a name that is not there. */
int phases_profile(struct profile *p, const struct phases *ph, const char *name,
	const char *const *plumbing_crates, struct error *e);

#endif
