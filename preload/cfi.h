/* SPDX-License-Identifier: MIT */
/*
 * Call frame information: what .eh_frame says of one address, boiled down to the few rules that compilers use on
 * x86-64. Pure functions over mapped memory; async-signal-safe.
 * Sources: DWARF 5 section 6.4; Linux Standard Base 5, "Exception Frames"; System V ABI for x86-64, table 3.36.
 */
#ifndef HEAPTALLY_CFI_H
#define HEAPTALLY_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfi_kind {
	CFI_NO_ENTRY = 0,  /* the table does not cover the address */
	CFI_CFA_RSP = 1,   /* CFA = rsp + cfa_offset */
	CFI_CFA_RBP = 2,   /* CFA = rbp + cfa_offset */
	CFI_CFA_DEREF = 3, /* CFA = *(rbp + cfa_offset): realigned stacks */
	CFI_SIGNAL = 4,	   /* a signal trampoline: registers are in the ucontext at rsp */
	CFI_END = 5,	   /* outermost frame: the return address is undefined */
	CFI_COMPLEX = 6,   /* valid, but only a full unwinder can follow it */
};

enum cfi_saved {
	CFI_BP_SAME = 0,   /* rbp is untouched */
	CFI_BP_AT_CFA = 1, /* saved at CFA + bp_offset */
	CFI_BP_AT_BP = 2,  /* saved at rbp + bp_offset */
};

/* The return address is always at CFA - 8 for the CFA kinds. */
struct cfi_rule {
	enum cfi_kind kind;
	enum cfi_saved bp;
	int32_t cfa_offset;
	int32_t bp_offset;
};

/*
 * Looks pc up in a .eh_frame_hdr as mapped at `header`. limit: one past the last mapped byte of the module, so that a
 * damaged table cannot lead outside of it. pc is an address inside the instruction, so a return address minus one.
 */
struct cfi_rule cfi_find(const uint8_t *header, const uint8_t *limit, uintptr_t pc);

/* How many functions the table describes. */
size_t cfi_entries(const uint8_t *header, const uint8_t *limit);

#endif
