/* SPDX-License-Identifier: MIT */
/*
 * The live pointers. Each page of address space has its own small table, ordered like the addresses, so that
 * neighbouring objects share cache lines and threads rarely meet.
 */
#ifndef HEAPTALLY_LEDGER_H
#define HEAPTALLY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_THREAD_BITS 20u /* the thread serial is kept modulo 2^20 */
#define LEDGER_BIRTH_SHIFT 8u  /* births are kept in units of 256 ticks */

struct ledger_entry {
	uint32_t bucket;
	uint32_t origin;  /* bucket of the chain's first allocation; equals bucket while regrows is 0 */
	uint32_t regrows; /* reallocs so far */
	uint32_t thread;  /* serial of the allocating thread, modulo 2^LEDGER_THREAD_BITS */
	uint32_t size_class;
	uint64_t bytes;	  /* requested */
	uint64_t birth_ticks;
};

/* For a fresh process image or a forked child. */
bool ledger_init(void);

enum ledger_result {
	LEDGER_OK = 0,
	LEDGER_REPLACED = 1, /* the pointer was there already: *old is what it was */
	LEDGER_NO_MEMORY = -1,
};
enum ledger_result ledger_put(uintptr_t pointer, const struct ledger_entry *e, struct ledger_entry *old);

/* Removes a pointer. False: not there. */
bool ledger_take(uintptr_t pointer, struct ledger_entry *e);

#endif
