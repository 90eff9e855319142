/* SPDX-License-Identifier: MIT */
/*
 * What a tally measured of few events or pages only, as estimates with their standard errors: the time that the
 * allocator took, and how far blocks are scattered over pages. Owns its names; tally and profile may go before it.
 *
 * Time: of n timed calls out of N with mean m and variance s², the estimate is N m, and its standard error
 * N sqrt(s²/n (1 - n/N)): simple random sampling (Cochran, Sampling Techniques, 2.8). N counts allocations, reallocs
 * and frees.
 *
 * Scatter: pages with a function's blocks on them over the pages that the same bytes would fill, a ratio of two sums over
 * the sampled pages; its standard error is the usual one of a ratio (Cochran, 2.11). Blocks of a page and more are in
 * neither.
 */
#ifndef HEAPTALLY_VIEWS_MEASURED_H
#define HEAPTALLY_VIEWS_MEASURED_H

#include "../profile.h"

struct measured_time {
	char *name;          /* crate or function in full; NULL in the sum */
	uint64_t calls;      /* of the allocator, by those that the blocks were allocated by */
	uint64_t timed;      /* of them, measured */
	double ns, error_ns; /* of all the calls; standard error */
	double share;        /* of CPU time */
};

struct measured_scatter {
	char *name;
	uint64_t sampled_pages;        /* what the estimates rest on */
	uint64_t pages, blocks, bytes; /* estimates */
	double scatter, error;         /* 1: as few pages as can be */
};

struct measured {
	struct measured_time time; /* timed 0: nothing was measured */
	struct measured_time *crates,
		*functions; /* most first; of those with MEASURED_TIMED or more timed calls */
	uint32_t n_crates, n_functions;

	struct ht_snapshot snapshot; /* number 0: there was none */
	uint64_t snapshot_ns;
	uint64_t peak_bytes;           /* of the tally, for comparison */
	struct measured_scatter whole; /* all blocks smaller than a page */
	/* Most scattered first; of those that have a hundredth of the snapshot's live bytes or more. */
	struct measured_scatter *scatters;
	uint32_t n_scatters;
};

#define MEASURED_TIMED 30u

/* 0 or -1: out of memory. */
int measured_init(struct measured *m, const struct profile *p, struct error *e);
void measured_release(struct measured *m);

#endif
