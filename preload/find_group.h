/* SPDX-License-Identifier: MIT */
/* The entry points that belong together: one allocator's. Pure. */
#ifndef HEAPTALLY_FIND_GROUP_H
#define HEAPTALLY_FIND_GROUP_H

#include "find_search.h"

enum { MAX_CLAIMS = 12 };

/* One allocator: alloc first, then what belongs to it. */
struct group {
	struct claim claims[MAX_CLAIMS];
	unsigned n;
};

/* Fills in what else the evidence allows, given that this alloc is near. */
bool claim_role(struct claim *c, const struct claim *alloc);
/* NULL when the group has none of this role. */
const struct claim *group_claim(const struct group *g, enum find_role role);
/* The group begins with alloc alone. 0, or -1 without memory. */
int find_group(const struct search *s, struct group *g);

#endif
