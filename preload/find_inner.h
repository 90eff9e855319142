/* SPDX-License-Identifier: MIT */
/* Ways around an allocator's entry points. Pure. */
#ifndef HEAPTALLY_FIND_INNER_H
#define HEAPTALLY_FIND_INNER_H

#include "find_group.h"

/* Adds what is called past the group's entries. False: something is that cannot be an entry itself. */
bool find_inner(const struct search *s, struct group *g);

#endif
