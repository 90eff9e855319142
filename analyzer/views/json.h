/* SPDX-License-Identifier: MIT */
/* The report for programs: one JSON object, described by REPORT.schema.json. */
#ifndef HEAPTALLY_VIEWS_JSON_H
#define HEAPTALLY_VIEWS_JSON_H

#include <stdio.h>

#include "report_model.h"

#define JSON_REPORT_VERSION 1 /* moves on when a field changes its meaning or goes */

/* Writes r. 0 or -1 with a sentence in *e (out of memory, or the stream failed). */
int json_write(FILE *out, const struct report *r, struct error *e);

#endif
