/* SPDX-License-Identifier: MIT */
/*
 * What counters records held at the marks: from the file's rows, which name records of single threads, to rows of
 * buckets. For tally_reader.c only; what comes out is read with tally_at_mark.
 */
#ifndef HEAPTALLY_TALLY_PHASES_H
#define HEAPTALLY_TALLY_PHASES_H

#include "tally.h"

struct phase_row {
	uint32_t bucket;
	uint32_t number; /* of the row in the file: the first of a record and mark counts */
	struct ht_phase row;
};

struct phase_record {
	uint32_t counters;
	struct ht_phase now; /* what the record holds at the end */
};

struct phase_merge {
	struct phase_row *rows;       /* by record, mark, number */
	struct phase_record *records; /* those that have rows, by number */
	uint32_t n_rows, n_records;
	uint32_t next; /* record to be met next */
};

/* rows: the section, owned by the caller, of n records, row 0 included; each names a record of `owners` and a
 * mark. 0 or -1: out of memory, nothing to release. */
int phase_merge_init(struct phase_merge *m, const struct ht_phase *rows, uint32_t n,
	const struct ht_owner *owners);
/* A counters record in passing: in ascending order, some may be left out (they are zero). */
void phase_merge_record(struct phase_merge *m, uint64_t record, const struct ht_counters *c);
/* Makes t->phases; t->counters must be whole. 0 or -1: out of memory. */
int phase_merge_finish(struct phase_merge *m, struct tally *t);
void phase_merge_release(struct phase_merge *m);

/* Sorts, adds up what is there twice, leaves out what has no count. */
void contents_pack(struct ht_content *contents, uint32_t *n);

#endif
