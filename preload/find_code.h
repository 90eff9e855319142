/* SPDX-License-Identifier: MIT */
/*
 * x86-64 instructions as bytes: how long one is and where its parts lie. Enough to read call sites, to follow code
 * and to move the first instructions of a function elsewhere; it knows no operands beyond that. Pure.
 */
#ifndef HEAPTALLY_FIND_CODE_H
#define HEAPTALLY_FIND_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct find_instruction {
	uint8_t length;
	uint8_t map;    /* 0 one byte, 1: 0F, 2: 0F38, 3: 0F3A; VEX and EVEX use the same numbers */
	uint8_t opcode; /* its last byte */
	uint8_t rex;    /* 0x40-0x4F, or 0; inverted bits of VEX are not put here */
	uint8_t prefixes;     /* how many legacy prefix bytes; REX not counted */
	uint8_t modrm;        /* valid when has_modrm */
	uint8_t displacement; /* its offset in the instruction, 0 for none */
	uint8_t immediate;    /* likewise; of a relative branch too */
	uint8_t immediate_bytes;
	bool has_modrm;
	bool operand_16;   /* prefix 66 */
	bool vector;       /* VEX or EVEX */
	bool rip_relative; /* the displacement is 4 bytes, relative to the end of the instruction */
	bool relative_branch; /* the immediate is, 1 or 4 bytes (2 never: that form is not decoded) */
};

/*
 * Decodes the instruction at code, of which n bytes may be read. Returns its length, 0 when it is not known or cut
 * off; *out is then undefined.
 */
size_t find_decode(const uint8_t *code, size_t n, struct find_instruction *out);

/* The length alone, and whether its bytes mean something else at another address. Either pointer may be NULL. */
size_t find_instruction_length(
	const uint8_t *code, size_t n, bool *rip_relative, bool *relative_branch);

/* The registers that ModRM names. */
unsigned find_reg(const struct find_instruction *in);
unsigned find_rm(const struct find_instruction *in);
/* The general register it writes, -1 for none, memory or an instruction that is not known so well. */
int find_written(const struct find_instruction *in);
/* Control does not come out at the other end, or comes back with the argument registers lost. */
bool find_leaves(const struct find_instruction *in);
bool find_is_call(const struct find_instruction *in);
bool find_is_jump(const struct find_instruction *in);

#endif
