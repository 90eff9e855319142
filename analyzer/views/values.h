/* SPDX-License-Identifier: MIT */
/* JSON values as all views write them. Those that fail return NULL, which jansson's setters take for a failure. */
#ifndef HEAPTALLY_VIEWS_VALUES_H
#define HEAPTALLY_VIEWS_VALUES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../error.h"

/* JSON integers are signed here; only a hostile tally has more than INT64_MAX. */
json_t *value_integer(uint64_t value);
/* Any text, as utf8_clean makes it; "" stays. */
json_t *value_text(const char *text, size_t max_bytes);

/*
 * Writes `all` and takes it. Where it is NULL, or `bad`, memory ran out. 0, or -1 with a sentence about `what`, as "the
 * report".
 */
int values_write(FILE *out, json_t *all, bool bad, const char *what, struct error *e);

#endif
