/* SPDX-License-Identifier: MIT */
/*
 * For host to load: names_short allocates 100 times, names_long 300 times. -DSWAPPED: their code changes places, and
 * everything stays as large as it was. -DBYTES: another constant in the same code. -DLONGER: more code.
 */
#include <stdlib.h>

#include "ledger.h"

#ifndef BYTES
#define BYTES 48
#endif
#define KEPT __attribute__((noinline))

static void *volatile blocks[300];
static volatile unsigned times = 300;

#define SHORT                                                                                      \
	static KEPT void names_short(void)                                                         \
	{                                                                                          \
		for (unsigned i = 0; i < 100; i++)                                                 \
			blocks[i] = malloc(BYTES);                                                 \
	}
#define LONG                                                                                       \
	static KEPT void names_long(unsigned n)                                                    \
	{                                                                                          \
		for (unsigned i = 0; i < n; i++) {                                                 \
			free(blocks[i]);                                                           \
			blocks[i] = malloc(64 + i % 8);                                            \
			*(volatile char *)blocks[i] = (char)(i * i + n);                           \
		}                                                                                  \
	}
#ifdef SWAPPED
LONG;
SHORT;
#else
SHORT;
LONG;
#endif

__attribute__((visibility("default"))) int adopt_work(struct adopt_ledger *ledger)
{
	names_short();
	names_long(times);
	for (unsigned i = 0; i < 300; i++)
		free(blocks[i]);
#ifdef LONGER
	ledger->allocs += blocks[7] == blocks[9];
#else
	(void)ledger;
#endif
	return 0;
}
