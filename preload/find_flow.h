/* SPDX-License-Identifier: MIT */
/* What a function's own code calls, jumps to and begins with. Pure. */
#ifndef HEAPTALLY_FIND_FLOW_H
#define HEAPTALLY_FIND_FLOW_H

#include "find_sites.h"

/* What a function calls or jumps to. */
struct callee {
	uint64_t function; /* 0 for an import */
	uint64_t slot;     /* 0 when called directly */
	const char *import;
	uint64_t at; /* the call */
	bool jump;
};
enum { MAX_CALLEES = 48 };
/* Follows the code from function on, not into calls; returns how many callees. */
size_t sites_callees(const struct sites *s, uint64_t function, struct callee out[MAX_CALLEES]);

/* Bytes of whole instructions at a function's start that may run elsewhere; see struct find_entry. */
unsigned sites_movable(const struct sites *s, uint64_t function, unsigned *fixups);

/*
 * Where a function that only moves arguments and jumps on leads, through several of them. from[i] is the argument
 * of the first that arrives as argument i of the last (0-3), or -1.
 */
struct thunk {
	uint64_t function; /* 0 for an import */
	uint64_t slot;     /* of the last jump, 0 when direct or none */
	const char *import;
	int8_t from[4];
};
struct thunk sites_follow(const struct sites *s, uint64_t function);
/*
 * The same for a function that also does other work on its way, without branches: where its one jump leads, and not
 * further. An argument with CARRY_LOG arrives as its logarithm, other bits set or not. False when it is not like that.
 */
enum { CARRY_LOG = 8 };
bool sites_carry(const struct sites *s, uint64_t function, struct thunk *t);

#endif
