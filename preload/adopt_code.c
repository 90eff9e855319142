/* SPDX-License-Identifier: MIT */
/* Jumps, moved instructions, and entry points that pass on what sampling does not want. */
#include "adopt_code.h"

#include <string.h>

#include "find_code.h"
#include "sample.h"

bool adopt_put_near_jump(uint8_t *at, int64_t distance)
{
	int64_t from_end = distance - ADOPT_NEAR_JUMP_BYTES;
	int32_t displacement = (int32_t)from_end;

	if (displacement != from_end)
		return false;
	*at = 0xe9;
	memcpy(at + 1, &displacement, sizeof(displacement));
	return true;
}

static uint8_t *put(uint8_t *at, const void *code, size_t n)
{
	return (uint8_t *)memcpy(at, code, n) + n;
}

uint8_t *adopt_put_jump(uint8_t *at, uintptr_t target)
{
	/* Where it reaches: there is nothing to be predicted. */
	if (adopt_put_near_jump(at, (int64_t)target - (int64_t)(uintptr_t)at))
		return at + ADOPT_NEAR_JUMP_BYTES;
	at = put(at, "\xff\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	return put(at, &target, sizeof(target));
}

size_t adopt_move(uint8_t *to, const uint8_t *from, size_t least, size_t most)
{
	size_t n = 0;

	while (n < least) {
		struct find_instruction i;
		size_t length = find_decode(from + n, most - n, &i);
		if (length == 0 || i.relative_branch)
			return 0;
		memcpy(to + n, from + n, length);
		if (i.rip_relative) {
			int32_t distance;
			memcpy(&distance, from + n + i.displacement, 4);
			int64_t corrected = (int64_t)distance + (from - to);
			if (corrected != (int32_t)corrected)
				return 0;
			distance = (int32_t)corrected;
			memcpy(to + n + i.displacement, &distance, 4);
		}
		n += length;
	}
	return n;
}

/* ModRM of an instruction between the register with the request's size and rax; 0: it is in none. */
static uint8_t size_register(enum find_shape shape)
{
	enum { RDI = 0xf8, RSI = 0xf0, RCX = 0xc8 };

	switch (shape) {
	case FIND_SIZE:
	case FIND_SIZE_ALIGN:
	case FIND_SIZE_FLAGS:
		return RDI;
	case FIND_ALIGN_SIZE:
	case FIND_PTR_NEW:
	case FIND_PTR_NEW_ALIGN:
	case FIND_PTR_NEW_FLAGS:
		return RSI;
	case FIND_PTR_OLD_ALIGN_NEW:
		return RCX;
	default:
		return 0;
	}
}

bool adopt_passes(enum find_role role, enum find_shape shape)
{
	return role == FIND_DEALLOC || size_register(shape) != 0;
}

/* A branch to what is not there yet: its distance is the byte before its end. */
static uint8_t *put_branch(uint8_t *at, uint8_t opcode, uint8_t **end)
{
	*at = opcode;
	return *end = at + 2;
}

enum { JB = 0x72, JBE = 0x76 };

/* sample_filtered of rdi; rax, r10 and r11 are lost. */
static uint8_t *put_filter(uint8_t *at, uint8_t **otherwise)
{
	const uint64_t *filter = sample_filter;
	const uint8_t word_shift = SAMPLE_PLACE_SHIFT + 6;
	const uint32_t mask = SAMPLE_FILTER_WORDS - 1;
	const uint8_t bit_shift = SAMPLE_PLACE_SHIFT;

	at = put(at, "\x48\x89\xf8", 3); /* mov %rdi,%rax */
	at = put(at, "\x48\xc1\xe8", 3); /* shr $word_shift,%rax */
	at = put(at, &word_shift, 1);
	at = put(at, "\x25", 1); /* and $mask,%eax */
	at = put(at, &mask, 4);
	at = put(at, "\x49\xba", 2); /* movabs $filter,%r10 */
	at = put(at, &filter, 8);
	at = put(at, "\x49\x89\xfb", 3); /* mov %rdi,%r11 */
	at = put(at, "\x49\xc1\xeb", 3); /* shr $bit_shift,%r11 */
	at = put(at, &bit_shift, 1);
	at = put(at, "\x4d\x8b\x14\xc2", 4); /* mov (%r10,%rax,8),%r10 */
	at = put(at, "\x4d\x0f\xa3\xda", 4); /* bt %r11,%r10 */
	return put_branch(at, JB, otherwise);
}

/* sample_passes of the size in a register; rax is lost. */
static uint8_t *put_passes(uint8_t *at, uint8_t size, uint8_t *otherwise[2])
{
	char *mine = (char *)&sample_left;
	/* Or half of a relocated word is loaded, which the linker cannot change. */
	__asm__("" : "+r"(mine));
	int32_t left = (int32_t)(mine - (char *)__builtin_thread_pointer());

	at = put(at, "\x64\x48\x8b\x04\x25", 5); /* mov %fs:left,%rax */
	at = put(at, &left, 4);
	at = put(at, "\x48\x29", 2); /* sub size,%rax */
	at = put(at, &size, 1);
	at = put_branch(at, JBE, &otherwise[0]);
	at = put(at, "\x48\x83\xe8\x10", 4); /* sub $16,%rax */
	at = put_branch(at, JBE, &otherwise[1]);
	at = put(at, "\x64\x48\x89\x04\x25", 5); /* mov %rax,%fs:left */
	return put(at, &left, 4);
}

void adopt_put_passing(
	uint8_t *at, enum find_role role, enum find_shape shape, uintptr_t real, uintptr_t hook)
{
	uint8_t *otherwise[3];
	unsigned n = 0;

	if (role == FIND_REALLOC || role == FIND_DEALLOC)
		at = put_filter(at, &otherwise[n++]);
	if (role != FIND_DEALLOC) {
		at = put_passes(at, size_register(shape), &otherwise[n]);
		n += 2;
	}
	at = adopt_put_jump(at, real);
	while (n-- > 0)
		otherwise[n][-1] = (uint8_t)(at - otherwise[n]);
	adopt_put_jump(at, hook);
}
