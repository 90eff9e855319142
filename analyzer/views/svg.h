/* SPDX-License-Identifier: MIT */
/*
 * The flame graph: one SVG file without outside references. Its picture, drawn here, stands without scripts (in an
 * <img>, a mail, a review); opened in a browser, flame.js replaces it by one that zooms, searches and explains.
 */
#ifndef HEAPTALLY_VIEWS_SVG_H
#define HEAPTALLY_VIEWS_SVG_H

#include <stdbool.h>
#include <stdio.h>

#include "../profile.h"

/*
 * Draws the tree by one metric, root on top: Rust stacks are deep, and what matters most is read first. Siblings stand
 * by falling value, so that each row begins with its greatest cost; equal ones by name. Frames below 0.02% of the
 * total, or more where the file would pass 3 MB, are drawn as part of their parent; the subtitle says how many. The
 * same input gives the same bytes. plumbing_folded is what the tree was made with. Write errors are left in out's
 * error flag. 0, or -1 when out of memory.
 */
int svg_write(FILE *out, const struct profile *p, const struct profile_tree *tree,
	enum profile_metric metric, bool plumbing_folded, struct error *e);

/*
 * The same for what changed: the nodes' metric is but their width, colours tell what each node, with all below it, was
 * and is. change NULL: as svg_write.
 */
struct svg_change {
	const uint64_t *before, *after; /* by node */
	const char *path_before;	/* of the other tally; the profile's own is after's */
};
int svg_write_change(FILE *out, const struct profile *p, const struct profile_tree *tree,
	enum profile_metric metric, bool plumbing_folded, const struct svg_change *change, struct error *e);

#endif
