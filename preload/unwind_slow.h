/* SPDX-License-Identifier: MIT */
/*
 * Full unwinding by libunwind, for frames whose rules need more than rsp and rbp, and as the judge of the fast one.
 * The library is opened by hand: linked in, its _Unwind_* symbols would take the place of libgcc's in the host.
 */
#ifndef HEAPTALLY_UNWIND_SLOW_H
#define HEAPTALLY_UNWIND_SLOW_H

#include <stdint.h>

/* Opens libunwind; without it, unwind_slow returns 0. Called from a constructor, never from a hook. */
void unwind_slow_load(void);

/*
 * Return addresses of the calling thread, innermost first, from the frame whose stack pointer is `sp` on; interrupted
 * addresses plus one. Returns how many were written, at most `max`.
 */
uint32_t unwind_slow(uintptr_t sp, uintptr_t *ips, uint32_t max);

#endif
