/* SPDX-License-Identifier: MIT */
/* Phases for people and programs: the table of all of them in a report, and the report of one. */
#ifndef HEAPTALLY_VIEWS_PHASE_VIEW_H
#define HEAPTALLY_VIEWS_PHASE_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "../phases.h"

/* A table, without a heading; write errors are left in out's error flag. */
void phases_text(FILE *out, const struct phases *ph, unsigned columns);
/* An array of objects, or NULL: out of memory. */
json_t *phases_json(const struct phases *ph);

/* The report of one phase. p: from phases_profile. by: METRIC_BYTES, METRIC_COUNT or METRIC_LEAKED, which is what is
 * live at its end. top: rows of functions and of crates, 0 for all. 0 or -1. */
int phase_text(FILE *out, const struct profile *p, const struct phases *ph, enum profile_metric by,
	uint32_t top, unsigned columns, bool style, struct error *e);
int phase_json(FILE *out, const struct profile *p, const struct phases *ph, enum profile_metric by,
	uint32_t top, struct error *e);

#endif
