/* SPDX-License-Identifier: MIT */
/* A module to be loaded and unloaded. Built twice with the same layout and another NAME for its function. */
#include "victim.h"

#define JOIN(a, b)  a##b
#define NAMED(name) JOIN(victim_module_, name)

/* Called through a pointer of the host's, so that both modules' code stays the same, byte for byte in size. */
void NAMED(NAME)(void *(*allocate)(size_t), void **out, size_t n);
void NAMED(NAME)(void *(*allocate)(size_t), void **out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = allocate(TIMES * (i + 1));
	LED_BARRIER();
}
