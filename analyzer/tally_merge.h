/* SPDX-License-Identifier: MIT */
/* A bucket's records, one for each thread that saw it, made one. Sums wrap or saturate, as FORMAT.md says. */
#ifndef HEAPTALLY_TALLY_MERGE_H
#define HEAPTALLY_TALLY_MERGE_H

#include "tally.h"
#include "tally_source.h"

/* Fills t->counters, t->curves and t->phases from the file; what it refers to is there already. 0, or -1 with *e set. */
int merge_counters(struct tally *t, const struct source *s, struct error *e);

/* Of records that are loaded and checked, in place: sorted, and one for each from and to, or origin and size class. */
void merge_regrows(struct tally *t);
void merge_chains(struct tally *t);

#endif
