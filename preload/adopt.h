/* SPDX-License-Identifier: MIT */
/*
 * Static allocators: found by find.c, proven in a child that may crash, then hooked.
 */
#ifndef HEAPTALLY_ADOPT_H
#define HEAPTALLY_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

struct module;

/* For a fresh process image or a forked child. */
void adopt_init(void);

/* The module of this function is never adopted: it is the allocator behind the exported hooks. */
void adopt_exclude(uintptr_t function);

/* This module may have an allocator: it was loaded, or maps memory. Cheap after the first time. */
void adopt_consider(const struct module *m);

/* True when a considered module waits. Adoption must not happen inside the allocator that just mapped memory, so the
 * next event that comes from elsewhere does it. */
extern bool adopt_waiting;

/* Finds, proves and hooks what waits, unless another thread is at it. The calling thread is recording (RECORD_CLOSED). */
void adopt_run(void);
/* The same for a thread that goes on into what was just loaded: it waits for the other one, but not forever. */
void adopt_run_whole(void);

/* The module is gone: its hooks are free for others. */
void adopt_forget(const struct module *m);

#endif
