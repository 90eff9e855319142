/* SPDX-License-Identifier: MIT */
/* What was measured of few events or pages: time in the allocator and locality, for a terminal and for programs. */
#ifndef HEAPTALLY_VIEWS_MEASURED_VIEW_H
#define HEAPTALLY_VIEWS_MEASURED_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "measured.h"

/* Sections of a report, `top` rows a table; what was not measured is not there. */
void measured_text(FILE *out, const struct measured *m, unsigned columns, bool style, uint32_t top);
/* Objects, null where nothing was measured. NULL: out of memory. */
json_t *measured_time_json(const struct measured *m);
json_t *measured_locality_json(const struct measured *m);

#endif
