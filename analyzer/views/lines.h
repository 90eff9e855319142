/* SPDX-License-Identifier: MIT */
/*
 * Lines of text views. Text is clean, as utf8_clean makes it; columns are counted as utf8_fit does. A stream that fails
 * is for the caller to notice.
 */
#ifndef HEAPTALLY_VIEWS_LINES_H
#define HEAPTALLY_VIEWS_LINES_H

#include <stdbool.h>
#include <stdio.h>

/* From here on, with `style`. */
enum line_look { LINE_PLAIN, LINE_BOLD, LINE_DIM };
void line_look(FILE *out, bool style, enum line_look look);

/* On a line of its own, after an empty one; bold with `style`. */
void line_heading(FILE *out, bool style, const char *title);

/* As much as fits in `columns`, "…" where it was cut. Returns the columns used. */
unsigned line_cut(FILE *out, const char *clean, unsigned columns);

/*
 * The full name of a function or type where it fits, else shortened the Rust way, and by force when that is not enough.
 * Returns the columns used.
 */
unsigned line_name(FILE *out, const char *clean, unsigned columns);

/* Words from column `at`, where the cursor is, to the right edge, on as many lines as that takes. */
void line_wrapped(FILE *out, const char *clean, unsigned at, unsigned columns);

#endif
