/* SPDX-License-Identifier: MIT */
/* Calls of the allocator that take long: each free gives a megabyte that was written to back to the kernel. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 6000u
#define BYTES (1u << 20)

int main(void)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 16);
	for (unsigned i = 0; i < CALLS; i++) {
		void *p = malloc(BYTES);
		if (!p)
			return 1;
		memset(p, 1, BYTES);
		free(p);
	}
	return 0;
}
