/* SPDX-License-Identifier: MIT */
/*
 * How memory grows with the size of the input: figures of several runs as series over their sizes, a growth law for
 * each, and what it comes to at another size.
 */
#ifndef HEAPTALLY_SCALE_H
#define HEAPTALLY_SCALE_H

#include "inventory.h"

enum growth { GROWTH_CONSTANT, GROWTH_LINEAR, GROWTH_N_LOG_N, GROWTH_QUADRATIC, GROWTH_N };
const char *growth_name(enum growth g); /* "constant", "linear", "n log n", "quadratic" */

/*
 * y = a + b x + c x^2, x being n, or n log2 n for GROWTH_N_LOG_N. A law is taken over the simpler one before it only
 * if its residuals are a good deal smaller: most series have steps, as capacities double.
 */
struct fit {
	enum growth growth;
	double a, b, c;
	double error; /* root of the mean square of the residuals, as a share of the greatest value */
};
#define FIT_MIN_SIZES 3u
#define FIT_MAX_SIZES 32u
/* buffers: the values are of a few blocks that grow, whose capacities are steps. */
void fit_init(struct fit *f, const double *sizes, const double *values, unsigned n, bool buffers);

/* The fit's value at a size, and between what bounds it lies: those of fits without one of the sizes each, and twice
 * the error on either side. */
struct projection {
	struct fit fit;
	double value, low, high;
};
void projection_init(struct projection *p, const double *sizes, const double *values, unsigned n,
	bool buffers, double at);
/* For what doubles when it is full: between half of what the fullest run needed at most and twice what the emptiest
 * one had. Sizes that are doublings of each other leave all of that open. */
void projection_doubles(
	struct projection *p, const double *sizes, const double *values, unsigned n, double at);

enum scale_kind { SCALE_TOTAL, SCALE_CATEGORY, SCALE_STRUCTURE, SCALE_SITE };

struct scale_row {
	enum scale_kind kind;
	char *name, *category; /* category: of a structure, or NULL */
	double bytes[FIT_MAX_SIZES], count[FIT_MAX_SIZES], item_bytes[FIT_MAX_SIZES];
	bool room; /* the count is what there is room for */
};

struct scale {
	double sizes[FIT_MAX_SIZES], rss_bytes[FIT_MAX_SIZES], seconds[FIT_MAX_SIZES];
	unsigned n_sizes;
	struct scale_row *rows; /* row 0 is the peak of the whole heap */
	size_t n_rows;
	void *index; /* private */
};

/* Adds a run of that size: all figures are at its peak. Sizes go up. 0 or -1: out of memory. */
int scale_add(struct scale *s, double size, const struct evidence *v, const struct inventory *t,
	struct error *e);
void scale_release(struct scale *s);

#endif
