/* SPDX-License-Identifier: MIT */
/* C23's sized frees, where somebody provides them: this C library may not. */
#include <dlfcn.h>

#include "victim.h"

typedef void free_sized_fn(void *, size_t);
typedef void free_aligned_sized_fn(void *, size_t, size_t);

VICTIM void victim_c23(free_sized_fn *sized, free_aligned_sized_fn *aligned)
{
	struct ledger *l = led_section(__func__);

	for (size_t size = 1; size <= 500; size++) {
		void *p = led_malloc(l, size);
		void *q = led_got(l, aligned_alloc(64, size * 64), size * 64);
		if (size % 5 == 0)
			continue;
		led_gone(l, size);
		sized(p, size);
		led_gone(l, size * 64);
		aligned(q, 64, size * 64);
	}
	sized(NULL, 0);
	aligned(NULL, 64, 0);
}

int main(void)
{
	free_sized_fn *sized = (free_sized_fn *)dlsym(RTLD_DEFAULT, "free_sized");
	free_aligned_sized_fn *aligned =
		(free_aligned_sized_fn *)dlsym(RTLD_DEFAULT, "free_aligned_sized");

	if (sized && aligned)
		victim_c23(sized, aligned);
	else
		led_section("victim_c23");
	led_note("provided", sized && aligned);
	led_report();
	return 0;
}
