/* SPDX-License-Identifier: MIT */
/*
 * Marks and phases: the host says where its work is, and every counters record that changes afterwards first leaves
 * behind what it held at the mark. FORMAT.md, "Marks". A mark is a call of access() for a path that does not exist:
 * what a host can do from JavaScript without an add-on, and from C without linking anything.
 */
#ifndef HEAPTALLY_MARKS_H
#define HEAPTALLY_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

#define MARKS_PREFIX "/heaptally/mark/" /* then NAME or NAME?NUMBERS */

/* For a fresh process image or a forked child. */
bool marks_init(void);

/* The host asked for this path: a mark if it has the prefix. Keeps errno. */
void marks_path(const char *path);

/* A record is about to change that has not changed since the last mark. */
void marks_phase(const struct ht_counters *c);

#endif
