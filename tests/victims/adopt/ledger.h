/* SPDX-License-Identifier: MIT */
/* What a victim with an allocator inside did, counted by itself: the truth that adopting it is held against. */
#ifndef ADOPT_LEDGER_H
#define ADOPT_LEDGER_H

#include <stdint.h>

struct adopt_ledger {
	uint64_t allocs, zeroed, reallocs, deallocs;
	uint64_t bytes; /* asked for, by all three */
};

/* Every victim exports this: does the same work each time, frees all of it, and adds to the ledger. 0 when all went well. */
int adopt_work(struct adopt_ledger *ledger);

#endif
