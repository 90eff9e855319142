/* SPDX-License-Identifier: MIT */
/* Data structures, categories and sizes of types, and claims held against them: for a terminal and for programs. */
#ifndef HEAPTALLY_VIEWS_INVENTORY_VIEW_H
#define HEAPTALLY_VIEWS_INVENTORY_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "../claims.h"

/* Sections of a report: `top` rows each. What has no rows is not there. */
void inventory_text_write(
	FILE *out, const struct inventory *t, unsigned columns, bool style, uint32_t top);
/* {"structures": [...], "categories": [...], "types": [...]}; NULL: out of memory. */
json_t *inventory_json(const struct inventory *t);

/* 0 or -1 (the stream failed, or no memory). */
int claims_text_write(FILE *out, const struct claims *cs, const struct evidence *v,
	unsigned columns, bool style, struct error *e);
int claims_json_write(
	FILE *out, const struct claims *cs, const struct evidence *v, struct error *e);

#endif
