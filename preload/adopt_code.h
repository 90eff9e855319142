/* SPDX-License-Identifier: MIT */
/* Machine code for hooks: jumps, moved instructions, and what sampling does with a call before it is one of ours. */
#ifndef HEAPTALLY_ADOPT_CODE_H
#define HEAPTALLY_ADOPT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "find.h"

#define ADOPT_NEAR_JUMP_BYTES 5u
#define ADOPT_PASSING_BYTES   128u /* at most */

/* jmp rel32. False: it does not reach. */
bool adopt_put_near_jump(uint8_t *at, int64_t distance);

/* A jump to anywhere. Returns its end. */
uint8_t *adopt_put_jump(uint8_t *at, uintptr_t target);

/* Copies whole instructions to another place, with their distances corrected. Bytes copied, 0 when one does not go. */
size_t adopt_move(uint8_t *to, const uint8_t *from, size_t least, size_t most);

/* Can sampling pass calls over without the hook? Not when a request's size is in no register. */
bool adopt_passes(enum find_role role, enum find_shape shape);

/*
 * An entry point that decides as sample_passes and sample_filtered do, and goes on to `real`, as if we were not there, or to
 * `hook`. Only what adopt_passes says.
 */
void adopt_put_passing(
	uint8_t *at, enum find_role role, enum find_shape shape, uintptr_t real, uintptr_t hook);

#endif
