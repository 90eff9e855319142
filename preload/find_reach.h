/* SPDX-License-Identifier: MIT */
/* What a function reaches through the calls it makes. Pure. */
#ifndef HEAPTALLY_FIND_REACH_H
#define HEAPTALLY_FIND_REACH_H

#include "find_search.h"

/* Where a function's memory comes from in the end. */
enum source { SOURCE_UNKNOWN, SOURCE_LIBC, SOURCE_SYSTEM, SOURCE_OTHER };

/* Being `other`, or reaching it, makes it part of that. `deep`: see the code. */
enum source reach_source(const struct search *s, uint64_t function, uint64_t other, bool deep);
/* Does its code, not that of what it calls, call one of the claims' functions? */
bool reach_claim(const struct search *s, uint64_t function, const struct claim *claims, uint32_t n,
	uint32_t self);
/* Within a few calls from one function, is another reached? *copies: is memory copied on the way? */
bool reach_function(const struct search *s, uint64_t from, uint64_t to, bool *copies);
/* Does it lead to a call of an entry that gives blocks out, where that will be hooked? When all entries are known. */
bool reach_entry(const struct search *s, uint64_t function);

#endif
