/* SPDX-License-Identifier: MIT */
/* The report for a terminal. */
#ifndef HEAPTALLY_VIEWS_TEXT_H
#define HEAPTALLY_VIEWS_TEXT_H

#include <stdio.h>

#include "report_model.h"

#define TEXT_COLUMNS 80

/*
 * Writes r as UTF-8 text. No line is wider than `columns` (at least TEXT_COLUMNS; more only lengthens names); with
 * `style`, headings are bold and context is dim. 0 or -1 with a sentence in *e (the stream failed).
 */
int text_write(FILE *out, const struct report *r, unsigned columns, bool style, struct error *e);

#endif
