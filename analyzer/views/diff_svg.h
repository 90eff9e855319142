/* SPDX-License-Identifier: MIT */
/*
 * The differential flame graph: both call trees as one, functions matched as diff.h matches them; in modules without
 * names the size classes stand for functions. Red grew, blue shrank.
 */
#ifndef HEAPTALLY_VIEWS_DIFF_SVG_H
#define HEAPTALLY_VIEWS_DIFF_SVG_H

#include <stdio.h>

#include "../diff.h"

/* Plumbing is folded as in profile_tree_init. Write errors are left in out's error flag. 0, or -1: out of memory. */
int diff_svg_write(FILE *out, const struct profile *before, const struct profile *after,
	enum profile_metric metric, struct error *e);

#endif
