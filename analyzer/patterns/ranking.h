/* SPDX-License-Identifier: MIT */
/*
 * What findings are worth, which is worst, and what they have in common.
 *
 * Time. What a call of the allocator takes is the mean of the calls timed on the blocks of the finding, of which there
 * are few, and single ones take a thousand times as long as others. So it is drawn towards the run's mean, the more so
 * the less it is known (an empirical Bayes estimate): with m of n timed calls, their standard deviation s, and the run's
 * mean M, it is w m + (1 - w) M, w = M² / (M² + max(s, m, M)² / n). Where no calls were timed, or only of sampled events,
 * it is the catalog's.
 *
 * Score. A byte less at the peak counts 1. Time counts as that share of the peak which it is of the run's CPU time: half
 * a percent less of either weighs the same. Without CPU time in the tally a nanosecond counts 1.
 */
#ifndef HEAPTALLY_PATTERNS_RANKING_H
#define HEAPTALLY_PATTERNS_RANKING_H

#include "pattern.h"

void finding_release(struct finding *f);
/* Fills in the time that f saves. */
void finding_time(struct finding *f, const struct evidence *v, const struct catalog *c);
/* Scores all, drops those below min_score, puts the worst first and says what they share. */
void findings_rank(struct findings *fs, double min_score);

/*
 * What findings save that may share blocks: a group's part of a finding's saving counts where it is greatest. keep: which
 * of them; NULL: all. Only peak_bytes and allocs. -1: out of memory.
 */
int findings_together(struct saving *to, const struct findings *fs, const bool *keep);

#endif
