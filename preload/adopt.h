/* SPDX-License-Identifier: MIT */
/*
 * Static allocators: found by find.c, proven in a child that may crash, then hooked.
 */
#ifndef HEAPTALLY_ADOPT_H
#define HEAPTALLY_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "find.h"

struct module;

/* Entry points, by hook. */
#define ADOPT_MAX_HOOKS 64u
#define ADOPT_EACH_HOOK(X)                                                                         \
	X(0)                                                                                       \
	X(1)                                                                                       \
	X(2)                                                                                       \
	X(3)                                                                                       \
	X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19)  \
		X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32)      \
			X(33) X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44)    \
				X(45) X(46) X(47) X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55)  \
					X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63)
typedef uintptr_t adopt_function(uintptr_t, uintptr_t, uintptr_t, uintptr_t);
extern struct adopt_hook {
	adopt_function *real;   /* the function, or its moved beginning */
	adopt_function *record; /* calls it, and records that */
	enum find_role role;
	enum find_shape shape;
	uintptr_t module_start; /* 0: free */
} adopt_hooks[ADOPT_MAX_HOOKS];

/* The module of this function is never adopted: it is the allocator behind the exported hooks. */
void adopt_exclude(uintptr_t function);

/* This module may have an allocator: it was loaded, or maps memory. Cheap after the first time. */
void adopt_consider(const struct module *m);

/* True when a considered module waits. Adoption must not happen inside the allocator that just mapped memory, so the
 * next event that comes from elsewhere does it. */
extern bool adopt_waiting;

/* Finds, proves and hooks what waits. The calling thread is recording (RECORD_CLOSED). */
void adopt_run(void);

/* The module is gone: its hooks are free for others. */
void adopt_forget(const struct module *m);

#endif
