/* SPDX-License-Identifier: MIT */
/* The diff for a terminal, and for programs: one JSON object, described by DIFF.schema.json. */
#ifndef HEAPTALLY_VIEWS_DIFF_TEXT_H
#define HEAPTALLY_VIEWS_DIFF_TEXT_H

#include <stdio.h>

#include "../diff.h"

#define JSON_DIFF_VERSION 1 /* moves on when a field changes its meaning or goes */

/* No line is wider than `columns` (at least 80). top: rows, 0 for all. 0 or -1 with a sentence (the stream failed). */
int diff_text_write(FILE *out, const struct diff *d, uint32_t top, unsigned columns, bool style,
	struct error *e);
int diff_json_write(FILE *out, const struct diff *d, struct error *e);

#endif
