/* SPDX-License-Identifier: MIT */
/* Holds 1,000,000 bytes, n blocks of 1,000, and n * n / 100 of 10: `growing N`. Fails on request: `growing N fail`. */
#include <stdio.h>
#include <stdlib.h>

#define SITE __attribute__((noinline, noclone))

static void *volatile held;

SITE static void victim_fixed(void)
{
	held = malloc(1000000);
}

SITE static void victim_line(size_t n)
{
	for (size_t i = 0; i < n; i++)
		held = malloc(1000);
}

SITE static void victim_square(size_t n)
{
	for (size_t i = 0; i < n * n / 100; i++)
		held = malloc(10);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	if (argc > 2) {
		fputs("growing: as you wish\n", stderr);
		return 3;
	}
	victim_fixed();
	victim_line(n);
	victim_square(n);
	return 0;
}
