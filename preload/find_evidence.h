/* SPDX-License-Identifier: MIT */
/* What the code around a target's call sites says of its arguments and its result. Pure. */
#ifndef HEAPTALLY_FIND_EVIDENCE_H
#define HEAPTALLY_FIND_EVIDENCE_H

#include "find_sites.h"

/* Adds up to max sites of one target to the evidence. Counters, not percent, until evidence_close. */
struct evidence_counts {
	uint32_t sites, calls;
	uint32_t rsi_alignment, rsi_small, rsi_set, rdx_alignment, rdx_small, rdx_set, rcx_set;
	uint32_t rdi_immediate, rdi_one, result_tested, result_used;
};
void evidence_add(
	struct evidence_counts *c, const struct sites *s, const struct target *t, uint32_t max);
struct find_evidence evidence_close(const struct evidence_counts *c);
/* How many of its first max calls test their result: a cheap look. *seen: of how many. */
uint32_t evidence_tested(
	const struct sites *s, const struct target *t, uint32_t max, uint32_t *seen);

#endif
