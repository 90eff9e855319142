/* SPDX-License-Identifier: MIT */
/* The projection for a terminal: what is super-linear first, then data structures, categories and the whole heap. */
#ifndef HEAPTALLY_VIEWS_SCALE_TEXT_H
#define HEAPTALLY_VIEWS_SCALE_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "../scale.h"

/* Write errors are left in out's error flag. 0 or -1: out of memory. */
int scale_text(FILE *out, const struct scale *s, double project, unsigned columns, bool style,
	struct error *e);

#endif
