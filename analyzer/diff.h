/* SPDX-License-Identifier: MIT */
/*
 * What changed between two tallies, of different builds, versions or bindings. Made once from two profiles; owns all its
 * memory, so that both may go before it. Strings are clean (utf8_clean).
 *
 * A row is a function by its blame frame, matched by name (diff_names.h), or, in a module whose functions have no names
 * on one side at least, a range of request sizes: the addresses of two builds have nothing in common, their sizes have.
 * A row is shown when it changed by more than two runs of one build differ (diff_noise.c).
 */
#ifndef HEAPTALLY_DIFF_H
#define HEAPTALLY_DIFF_H

#include "profile.h"

#define DIFF_BY_ANY METRIC_N /* rank by the metric that changed most of peak, bytes and count */

enum diff_change { DIFF_GREW, DIFF_SHRANK, DIFF_APPEARED, DIFF_VANISHED };
const char *diff_change_name(enum diff_change c); /* "grew" … */

/* One side of a row, and what its noise is told from. */
struct diff_part {
	struct totals totals;
	/* Sum of the squares of the blocks' sizes: what varies by a few large blocks varies much. */
	double squares[METRIC_N];
};

/* Where in a module without names most of a row's change is; -1: nowhere on that side. */
struct diff_place {
	int64_t before, after;
	uint64_t count_before, count_after; /* allocations and reallocs there */
};

struct diff_row {
	char *name; /* function, after's where there is one; "53,248 B" or "33 to 64 B" of a range of sizes */
	char *brief;                   /* for people */
	char *was;                     /* the name before, where it moved; else NULL */
	char *crate;                   /* of a function; else NULL */
	char *module;                  /* file name */
	bool sizes;                    /* a range of sizes */
	uint64_t min_bytes, max_bytes; /* of that range */
	struct diff_place place;
	struct diff_part before, after;
	bool engine;     /* the JavaScript engine's */
	double unsteady; /* share of itself that varies in any case: see diff_unsteady */
	double significance[METRIC_N]; /* change by what noise explains: above 1 it is real */
	enum diff_change change;       /* in the metric it is ranked by */
	enum profile_metric metric;    /* that one */
	double share; /* change by before's total (after's where that is greater) */
};

/* One of the lines on top: a figure of the whole process. */
struct diff_line {
	const char *key, *what;
	uint64_t before, after;
	bool known;   /* false: was not recorded on one side */
	bool changed; /* beyond what two runs of one build differ */
};
enum diff_line_index { DIFF_RSS, DIFF_HEAP, DIFF_OVERHEAD, DIFF_SLACK, DIFF_LINES };

struct diff {
	char *before, *after;   /* paths of the tallies */
	enum profile_metric by; /* or DIFF_BY_ANY */
	double threshold;
	struct diff_line lines[DIFF_LINES];
	char *verdict; /* one sentence on RSS, heap and allocator, or NULL where the lines need none */
	char **notes; /* what makes the two hard to compare, a sentence each */
	uint32_t n_notes;
	struct totals total_before, total_after;

	struct diff_row
		*rows; /* greatest change first, those of the JavaScript engine after all others */
	uint32_t n_rows;
	/* What is not in the rows: rows that changed less than noise explains, and their sums. */
	uint32_t n_below;
	struct totals below_before, below_after;
	/* Rows that hold another amount at the peak but allocate what they did, where the peak was at another moment. */
	uint32_t n_elsewhere;
	uint64_t
		elsewhere_bytes; /* half of what their peaks differ by: what one moment has and the other has not */
	uint32_t n_matched, n_moved; /* functions */

	double peak_more, peak_less; /* see diff_moment_add */
};

/*
 * by: a metric or DIFF_BY_ANY. threshold: how many times the difference of two runs of one build a change must be; 0
 * shows all. 0 or -1 (out of memory); *d needs no release then.
 */
int diff_init(struct diff *d, const struct profile *before, const struct profile *after,
	enum profile_metric by, double threshold, struct error *e);
void diff_release(struct diff *d);

/* ---- diff_noise.c ---- */

/* Adds a bucket's figures to a part. */
void diff_part_add(struct diff_part *to, const struct totals *bucket);
void diff_part_merge(struct diff_part *to, const struct diff_part *from);
/* Fills row->significance. */
void diff_row_judge(struct diff_row *row, const struct totals *total_before,
	const struct totals *total_after, double threshold);
/*
 * Adds what a function, or a size class of a module without names, holds more or less at the peak although it allocates
 * and leaves the same. Which of several high moments is the peak can differ from run to run: then it is an exchange, and
 * what some hold less there others hold more.
 */
void diff_moment_add(struct diff *d, const struct totals *before, const struct totals *after);
/* Such a row, where there is such an exchange. */
bool diff_row_elsewhere(const struct diff *d, const struct diff_row *row);
/* Fills line->changed of RSS, heap, overhead and slack. */
void diff_line_judge(struct diff_line *line, enum diff_line_index which, double threshold);

/* diff_row.unsteady of a function of this crate ("": any), in the JavaScript engine's module or not. */
double diff_unsteady(const char *crate, bool engine);

/* ---- diff_match.c ---- */

/*
 * All rows of two profiles, judged neither nor sorted, in d->rows; each bucket with events is in exactly one. 0 or -1
 * (out of memory); d->rows is to be released either way.
 */
int diff_match(struct diff *d, const struct profile *before, const struct profile *after);

/*
 * What two functions of the two profiles are to each other: `group_of[s][f]` is the number of function f of side s;
 * equal numbers are one function. n_groups of them. For the flame graph.
 */
struct diff_groups {
	uint32_t *group_of[2];
	uint32_t n_groups;
};
int diff_groups_init(
	struct diff_groups *g, const struct profile *before, const struct profile *after);
void diff_groups_release(struct diff_groups *g);

#endif
