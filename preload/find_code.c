/* SPDX-License-Identifier: MIT */
/* The length decoder: tables of what follows an opcode, taken from the opcode maps in Intel's manual, volume 2. */
#include "find_code.h"

/*
 * What follows the opcode, one letter each:
 *   . nothing   m ModRM   b imm8   w imm16   z imm32 (imm16 with prefix 66)   B ModRM imm8   Z ModRM imm32
 *   e imm16 imm8   o an address of 8 bytes   j rel8   J rel32   v imm32, or imm64 with REX.W
 *   3 ModRM, and imm8 for /0 and /1   4 the same with imm32   - not an opcode here (prefixes and escapes too)
 */
static const char one_byte[257] = "mmmmbz--mmmmbz--"  /* 00 */
				  "mmmmbz--mmmmbz--"  /* 10 */
				  "mmmmbz--mmmmbz--"  /* 20 */
				  "mmmmbz--mmmmbz--"  /* 30 */
				  "----------------"  /* 40 */
				  "................"  /* 50 */
				  "---m----zZbB...."  /* 60 */
				  "jjjjjjjjjjjjjjjj"  /* 70 */
				  "BZ-Bmmmmmmmmmmmm"  /* 80 */
				  "..........-....."  /* 90 */
				  "oooo....bz......"  /* a0 */
				  "bbbbbbbbvvvvvvvv"  /* b0 */
				  "BBw.--BZe.w..b-."  /* c0 */
				  "mmmm---.mmmmmmmm"  /* d0 */
				  "jjjjbbbbJJ-j...."  /* e0 */
				  "-.--..34......mm"; /* f0 */
static const char two_byte[257] = "mmmm-.....-.-m.B"  /* 00 */
				  "mmmmmmmmmmmmmmmm"  /* 10 */
				  "mmmm----mmmmmmmm"  /* 20 */
				  "......-.--------"  /* 30 */
				  "mmmmmmmmmmmmmmmm"  /* 40 */
				  "mmmmmmmmmmmmmmmm"  /* 50 */
				  "mmmmmmmmmmmmmmmm"  /* 60 */
				  "BBBBmmm.mm--mmmm"  /* 70 */
				  "JJJJJJJJJJJJJJJJ"  /* 80 */
				  "mmmmmmmmmmmmmmmm"  /* 90 */
				  "...mBm--...mBmmm"  /* a0 */
				  "mmmmmmmmmmBmmmmm"  /* b0 */
				  "mmBmBBBm........"  /* c0 */
				  "mmmmmmmmmmmmmmmm"  /* d0 */
				  "mmmmmmmmmmmmmmmm"  /* e0 */
				  "mmmmmmmmmmmmmmmm"; /* f0 */

enum { LONGEST = 15 };

/* Advances *at over VEX or EVEX and the opcode. False for a map that is not known. */
static bool decode_vector(const uint8_t *code, size_t n, size_t *at, struct find_instruction *out)
{
	size_t i = *at, more = code[i] == 0xc5 ? 1 : code[i] == 0xc4 ? 2 : 3;
	if (i + more + 1 >= n)
		return false;
	out->vector = true;
	out->map = more == 1 ? 1 : more == 2 ? code[i + 1] & 31 : code[i + 1] & 7;
	if (!out->map || out->map > 6 || out->map == 4)
		return false;
	out->opcode = code[i + more + 1];
	*at = i + more + 2;
	return true;
}

/* Advances *at over the opcode, escapes first. */
static bool decode_opcode(const uint8_t *code, size_t n, size_t *at, struct find_instruction *out)
{
	size_t i = *at;
	out->opcode = code[i++];
	if (out->opcode == 0x0f) {
		if (i >= n)
			return false;
		out->map = 1;
		out->opcode = code[i++];
		if (out->opcode == 0x38 || out->opcode == 0x3a) {
			out->map = out->opcode == 0x38 ? 2 : 3;
			if (i >= n)
				return false;
			out->opcode = code[i++];
		}
	}
	*at = i;
	return true;
}

/* ModRM, SIB and displacement. */
static bool decode_modrm(const uint8_t *code, size_t n, size_t *at, struct find_instruction *out)
{
	size_t i = *at, bytes = 0;
	if (i >= n)
		return false;
	out->has_modrm = true;
	out->modrm = code[i++];
	unsigned mod = out->modrm >> 6, rm = out->modrm & 7;
	if (mod == 1)
		bytes = 1;
	else if (mod == 2)
		bytes = 4;
	if (mod != 3 && rm == 4) {
		if (i >= n)
			return false;
		if (mod == 0 && (code[i] & 7) == 5)
			bytes = 4;
		i++;
	} else if (mod == 0 && rm == 5) {
		bytes = 4;
		out->rip_relative = true;
	}
	if (bytes)
		out->displacement = (uint8_t)i;
	*at = i + bytes;
	return true;
}

size_t find_decode(const uint8_t *code, size_t n, struct find_instruction *out)
{
	*out = (struct find_instruction){0};
	size_t i = 0;
	bool address_32 = false;
	if (n > LONGEST)
		n = LONGEST;
	for (; i < n; i++) {
		uint8_t c = code[i];
		if (c == 0x66)
			out->operand_16 = true;
		else if (c == 0x67)
			address_32 = true;
		else if (c != 0xf0 && c != 0xf2 && c != 0xf3 && c != 0x2e && c != 0x36 &&
			 c != 0x3e && c != 0x26 && c != 0x64 && c != 0x65)
			break;
	}
	out->prefixes = (uint8_t)i;
	if (i < n && (code[i] & 0xf0) == 0x40)
		out->rex = code[i++];
	if (i >= n)
		return 0;
	char what;
	if (code[i] == 0xc4 || code[i] == 0xc5 || code[i] == 0x62) {
		if (!decode_vector(code, n, &i, out))
			return 0;
	} else if (!decode_opcode(code, n, &i, out)) {
		return 0;
	}
	if (out->map == 0)
		what = one_byte[out->opcode];
	else if (out->map == 1)
		what = two_byte[out->opcode];
	else
		what = out->map == 3 ? 'B' : 'm';
	if (what == '-')
		return 0;
	bool wide = out->rex & 8;
	size_t z = out->operand_16 && !wide ? 2 : 4;
	if (what == 'm' || what == 'B' || what == 'Z' || what == '3' || what == '4')
		if (!decode_modrm(code, n, &i, out))
			return 0;
	bool test = (out->modrm & 0x38) <= 8; /* F6 and F7: only /0 and /1 have an immediate */
	switch (what) {
	case 'b':
	case 'B':
	case 'j':
		out->immediate_bytes = 1;
		break;
	case 'w':
		out->immediate_bytes = 2;
		break;
	case 'e':
		out->immediate_bytes = 3;
		break;
	case 'z':
	case 'Z':
		out->immediate_bytes = (uint8_t)z;
		break;
	case 'J':
		out->immediate_bytes = 4;
		break;
	case 'o':
		out->immediate_bytes = address_32 ? 4 : 8;
		break;
	case 'v':
		out->immediate_bytes = (uint8_t)(wide ? 8 : z);
		break;
	case '3':
		out->immediate_bytes = test;
		break;
	case '4':
		out->immediate_bytes = (uint8_t)(test ? z : 0);
		break;
	}
	out->relative_branch = what == 'j' || what == 'J';
	if (out->immediate_bytes)
		out->immediate = (uint8_t)i;
	i += out->immediate_bytes;
	if (i > n)
		return 0;
	return out->length = (uint8_t)i;
}

size_t find_instruction_length(
	const uint8_t *code, size_t n, bool *rip_relative, bool *relative_branch)
{
	struct find_instruction instruction;
	size_t length = find_decode(code, n, &instruction);
	if (rip_relative)
		*rip_relative = length && instruction.rip_relative;
	if (relative_branch)
		*relative_branch = length && instruction.relative_branch;
	return length;
}

unsigned find_reg(const struct find_instruction *in)
{
	return (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
}

unsigned find_rm(const struct find_instruction *in)
{
	return (in->modrm & 7) | (in->rex & 1) << 3;
}

/* The register an instruction of the one-byte map writes, -1 for none or memory. */
static int written_1(const struct find_instruction *in)
{
	uint8_t op = in->opcode;
	bool direct = in->has_modrm && in->modrm >> 6 == 3;
	if (op >= 0xb0 && op <= 0xbf)
		return (op & 7) | (in->rex & 1) << 3;
	if (op >= 0x58 && op <= 0x5f)
		return (op & 7) | (in->rex & 1) << 3;
	if (op == 0x8a || op == 0x8b || op == 0x8d || op == 0x63 || op == 0x69 || op == 0x6b)
		return (int)find_reg(in);
	if (op < 0x38 && (op & 7) >= 2 && (op & 7) <= 3)
		return (int)find_reg(in);
	if (!direct)
		return -1;
	if (op == 0x88 || op == 0x89 || op == 0xc7 || op == 0xc6 || (op < 0x38 && (op & 7) <= 1) ||
		op == 0xc0 || op == 0xc1 || (op >= 0xd0 && op <= 0xd3))
		return (int)find_rm(in);
	if ((op == 0x80 || op == 0x81 || op == 0x83) && (in->modrm & 0x38) != 0x38)
		return (int)find_rm(in);
	if ((op == 0xfe || op == 0xff) && (in->modrm & 0x38) <= 8)
		return (int)find_rm(in);
	if ((op == 0xf6 || op == 0xf7) && (in->modrm & 0x30) == 0x10)
		return (int)find_rm(in);
	return -1;
}

/* cmov, movzx, movsx, imul, bit scans */
static int written_0f(const struct find_instruction *in)
{
	uint8_t op = in->opcode;
	if ((op & 0xf0) == 0x40 || op == 0xaf ||
		(op >= 0xb6 && op <= 0xbf && op != 0xba && op != 0xb9))
		return (int)find_reg(in);
	return -1;
}

int find_written(const struct find_instruction *in)
{
	if (in->vector || in->map > 1)
		return -1;
	return in->map ? written_0f(in) : written_1(in);
}

bool find_leaves(const struct find_instruction *in)
{
	if (in->map || in->vector)
		return false;
	return in->opcode == 0xe8 || in->opcode == 0xe9 || in->opcode == 0xeb ||
	       in->opcode == 0xc3 || in->opcode == 0xcc ||
	       (in->opcode == 0xff && (in->modrm & 0x38) >= 0x10 && (in->modrm & 0x38) <= 0x28);
}

bool find_is_call(const struct find_instruction *in)
{
	return !in->map && !in->vector &&
	       (in->opcode == 0xe8 || (in->opcode == 0xff && (in->modrm & 0x38) == 0x10));
}

bool find_is_jump(const struct find_instruction *in)
{
	return !in->map && !in->vector &&
	       (in->opcode == 0xe9 || in->opcode == 0xeb ||
		       (in->opcode == 0xff && (in->modrm & 0x38) == 0x20));
}
