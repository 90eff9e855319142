/* SPDX-License-Identifier: MIT */
/*
 * What samples of freed blocks say of a group: how many of its blocks had contents that others had too. The shim keeps
 * the first HT_BUCKET_CONTENTS contents that it meets in a bucket and counts the rest together; contents are compared
 * by size and their first HT_CONTENT_BYTES.
 */
#ifndef HEAPTALLY_EVIDENCE_SAMPLES_H
#define HEAPTALLY_EVIDENCE_SAMPLES_H

#include "evidence.h"

struct duplicates {
	uint64_t sampled;   /* blocks looked at; 0: nothing is known */
	uint64_t different; /* contents told apart among them; no more than were kept */
	/* Estimates for the buffers that end in the group: */
	double blocks;     /* all of those, of sampled size classes */
	double spare;      /* of them, the ones that an equal one could stand for */
	double peak_bytes; /* what the spare ones held at the peak */
};

/*
 * How many different contents `blocks` blocks have, of which `sampled` were looked at: `kept` contents were told apart,
 * `once` of them were met once only, and `lost` of the sampled blocks had none of these.
 *
 * With nothing lost it is kept / (1 - once / sampled), Good and Turing's coverage as Chao and Lee (1992) use it. Else the
 * kept ones were the first to come, and what they are met again says which part of all blocks they stand for: kept /
 * ((met - kept) / (sampled - kept)). Where next to none was met again all may differ: it is `blocks`.
 */
struct duplicates_sample {
	uint64_t blocks, sampled, kept, once, lost;
};
double duplicates_different(const struct duplicates_sample *s);

void group_duplicates(const struct evidence *v, const struct group *g, struct duplicates *out);

#endif
