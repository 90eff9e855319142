/* SPDX-License-Identifier: MIT */
/*
 * The patterns: a line here and a file of that name make one. --pattern lists them
 * in this order.
 */
#ifndef HEAPTALLY_PATTERNS_LIST_H
#define HEAPTALLY_PATTERNS_LIST_H

#include "pattern.h"

/* clang-format off */
#define PATTERNS(X) \
	X(boxed_objects) \
	X(string_storm) \
	X(vec_regrowth) \
	X(map_regrowth) \
	X(map_per_object) \
	X(tiny_map) \
	X(late_release) \
	X(churn) \
	X(padded_or_empty) \
	X(clone_storm) \
	X(foreign_free)
/* clang-format on */

#define PATTERN_DECLARE(name) extern const struct pattern pattern_##name;
PATTERNS(PATTERN_DECLARE)
#undef PATTERN_DECLARE

#endif
