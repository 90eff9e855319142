/* SPDX-License-Identifier: MIT */
/* What the parts of diff share and nobody else needs. */
#ifndef HEAPTALLY_DIFF_INTERNAL_H
#define HEAPTALLY_DIFF_INTERNAL_H

#include "diff.h"

enum { BEFORE, AFTER, SIDES };

/* A module as both sides have it; several of one name on one side are one. */
struct diff_module {
	char *key;             /* diff_name_module */
	uint32_t index[SIDES]; /* in the tally, the one of most bytes; PROFILE_NONE: not there */
	uint64_t bytes[SIDES], unnamed_bytes[SIDES];
	bool same_build; /* by build-id: addresses are the same */
	bool sizes;      /* most of it has no names on one side, and addresses differ */
	bool host;       /* the JavaScript engine is in it */
};

struct diff_modules {
	struct diff_module *all; /* 0 is the pseudo module */
	uint32_t n;
	uint32_t *of[SIDES]; /* by index in the tally */
};
/* Is function f of a side told by sizes rather than by its name? */
bool diff_by_sizes(const struct diff_modules *m, const struct profile *p, int side, uint32_t f);

/* Appends an empty row; NULL when out of memory. Pointers to other rows are void then. */
struct diff_row *diff_row_new(struct diff *d);

/* The rows of what is told by sizes. -1: out of memory. */
int diff_match_sizes(
	struct diff *d, const struct diff_modules *m, const struct profile *const sides[SIDES]);

#endif
