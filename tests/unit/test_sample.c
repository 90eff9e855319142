/* SPDX-License-Identifier: MIT */
/* What sampling knows of live pointers. The estimates are tested on victims, see tests/integration. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "../../preload/sample.h"

#define POINTERS 3000u
#define STEPS    200000u

static uintptr_t pointers[POINTERS];

/* Blocks of a heap of 256 MiB: many share a place with another. */
static void setup(void)
{
	srand(1);
	for (unsigned n = 0; n < POINTERS; n++)
		pointers[n] = 0x7f0000000000 + (uintptr_t)rand() % (256u << 20) / 16 * 16;
	sample_init(524288);
}

static void *pointer(unsigned n)
{
	return (void *)pointers[n];
}

Test(sample, no_live_one_is_unknown, .init = setup)
{
	static uint32_t live[POINTERS];

	for (unsigned step = 0; step < STEPS; step++) {
		unsigned n = (unsigned)rand() % POINTERS;
		if (!live[n])
			sample_enter(pointer(n));
		else
			sample_leave(pointer(n));
		live[n] = !live[n];
		unsigned other = (unsigned)rand() % POINTERS;
		if (live[other])
			cr_assert_not(sample_unknown(pointer(other)), "step %u", step);
	}
	for (unsigned n = 0; n < POINTERS; n++)
		if (live[n])
			sample_leave(pointer(n));
	for (unsigned i = 0; i < SAMPLE_FILTER_WORDS; i++) {
		cr_assert_eq(sample_filter[i], 0);
		cr_assert_eq(sample_second[i], 0);
	}
}

/* 800 live ones, as in a build: of the neighbours of all of them the second filter leaves few. */
Test(sample, neighbours_are_unknown, .init = setup)
{
	unsigned known = 0;

	for (unsigned n = 0; n < 800; n++)
		sample_enter(pointer(n));
	for (unsigned n = 0; n < 800; n++) {
		void *neighbour = (void *)((uintptr_t)pointer(n) ^ 16);
		cr_assert_not(sample_filtered(neighbour));
		known += !sample_unknown(neighbour);
	}
	/* each of them falls on a taken place with probability 800 / 65,536: 9.8 expected, 3.1 deviation */
	cr_assert_leq(known, 29, "%u of 800", known);
}
