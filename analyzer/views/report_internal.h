/* SPDX-License-Identifier: MIT */
/* What the makers of the report share; for report_*.c only. Whatever runs out of memory sets `bad`. */
#ifndef HEAPTALLY_VIEWS_REPORT_INTERNAL_H
#define HEAPTALLY_VIEWS_REPORT_INTERNAL_H

#include "report_model.h"

struct report_builder {
	struct report *r;
	const struct profile *p;
	const struct tally *t;
	uint32_t top;
	bool bad; /* out of memory: keep going, fail at the end */
};

/* Takes a fresh string into the report; NULL is out of memory. */
char *report_own(struct report_builder *b, char *text);
/* A clean copy of any text, owned by the report; NULL: out of memory. */
char *report_clean(struct report_builder *b, const char *text);
/* Zeroed room for n rows and one more, to be freed; NULL: out of memory. */
void *report_rows(struct report_builder *b, size_t n, size_t bytes);
/* At most 1; 0 of nothing. */
double report_share(uint64_t part, uint64_t whole);

void report_make_modules(struct report_builder *b);
/* Last: reads what the others made. */
void report_make_notes(struct report_builder *b);

#endif
