/* SPDX-License-Identifier: MIT */
/* Findings for a terminal and for programs. Both print what pattern.h says is there and know no pattern. */
#ifndef HEAPTALLY_VIEWS_ADVICE_H
#define HEAPTALLY_VIEWS_ADVICE_H

#include <jansson.h>
#include <stdio.h>

#include "../patterns/pattern.h"

#define ADVICE_COLUMNS      80
#define ADVICE_JSON_VERSION 1

/* In full. Lines are at most `columns` wide (at least ADVICE_COLUMNS), but code as it is. 0 or -1 (the stream failed). */
int advice_text_write(FILE *out, const struct findings *fs, const struct evidence *v,
	unsigned columns, bool style, struct error *e);

/* Heading and the `top` worst in two lines each, for the head of a report; nothing when there are none. */
void advice_text_brief(FILE *out, const struct findings *fs, const struct evidence *v,
	unsigned columns, bool style, uint32_t top);

/* As ADVICE.schema.json has it. 0 or -1. */
int advice_json_write(
	FILE *out, const struct findings *fs, const struct evidence *v, struct error *e);

/* The findings as an array of objects, for the JSON of a report; NULL: out of memory. */
json_t *advice_json(const struct findings *fs, const struct evidence *v);

#endif
