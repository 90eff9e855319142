/* SPDX-License-Identifier: MIT */
/* With sampling, what goes into the slots of an adopted allocator: passes most calls on, and the others to the hook. */
#ifndef HEAPTALLY_ADOPT_PASSING_H
#define HEAPTALLY_ADOPT_PASSING_H

#include "adopt.h"

/* By hook. alloc: for entries whose first argument is the size. */
extern adopt_function *const adopt_passing_alloc[ADOPT_MAX_HOOKS],
	*const adopt_passing_dealloc[ADOPT_MAX_HOOKS];

#endif
