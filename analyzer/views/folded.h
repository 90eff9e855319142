/* SPDX-License-Identifier: MIT */
/*
 * Folded stacks: one line a stack, outermost frame first, `root;frame;frame value`, as flamegraph.pl and speedscope
 * read them.
 */
#ifndef HEAPTALLY_VIEWS_FOLDED_H
#define HEAPTALLY_VIEWS_FOLDED_H

#include <stdio.h>

#include "../profile.h"

/*
 * Writes a line for every node with a value of its own, in bytes or counts, sorted by name along each path. The root
 * carries the program's name. Names are the short ones: with full generics the file of a large program passes what
 * its readers can hold. In names, `;` becomes `,` and control characters become U+FFFD. Write errors are left
 * in out's error flag. 0, or -1 when out of memory.
 */
int folded_write(FILE *out, const struct profile *p, const struct profile_tree *tree,
	enum profile_metric metric, struct error *e);

#endif
