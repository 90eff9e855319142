/* SPDX-License-Identifier: MIT */
/*
 * Whose blocks lie on which pages: a look at a sample of the heap's pages whenever live bytes are well above what they
 * were at the last look. FORMAT.md, "Locality".
 */
#ifndef HEAPTALLY_LOCALITY_H
#define HEAPTALLY_LOCALITY_H

#include <stdbool.h>
#include <stdint.h>

struct thread;

/* For a fresh process image or a forked child. */
bool locality_init(void);

/* The thread made a point of the timeline. Takes its time only when there is something new, and a small share of it. */
void locality_point(const struct thread *t, uint64_t live_bytes, uint64_t now);

#endif
