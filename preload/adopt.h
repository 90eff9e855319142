/* SPDX-License-Identifier: MIT */
/*
 * Static allocators: found by find.c, proven in a child that may crash, then hooked. A module is considered when its own
 * code maps memory, for that is what an allocator does.
 */
#ifndef HEAPTALLY_ADOPT_H
#define HEAPTALLY_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

struct module;

/* Code of this module called mmap. Cheap after the first time. */
void adopt_consider(const struct module *m);

/* True when a considered module waits. Adoption must not happen inside the allocator that just mapped memory, so the
 * next event that comes from elsewhere does it. */
extern bool adopt_waiting;

/* Finds, proves and hooks what waits. The calling thread is recording (RECORD_CLOSED). */
void adopt_run(void);

/* The module is gone: its hooks are free for others. */
void adopt_forget(const struct module *m);

#endif
