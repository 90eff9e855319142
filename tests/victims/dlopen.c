/* SPDX-License-Identifier: MIT */
/*
 * Loads one module, allocates from it, unloads it, loads the other one at the same address, and so on. What was
 * allocated from either outlives it. Arguments: the two modules.
 */
#include <dlfcn.h>
#include <link.h>

#include "victim.h"

typedef void module_fn(void *(*)(size_t), void **, size_t);

static void *held[2][20][50];

int main(int argc, char **argv)
{
	static const char *const names[2] = {"victim_module_one", "victim_module_two"};
	static const size_t times[2] = {8, 24};
	unsigned long same = 0;
	ElfW(Addr) at[2] = {0, 0};

	LED_REQUIRE(argc == 3);
	for (int round = 0; round < 20; round++) {
		for (int m = 0; m < 2; m++) {
			struct ledger *l = led_section(names[m]);
			void *module = dlopen(argv[1 + m], RTLD_NOW | RTLD_LOCAL);
			LED_REQUIRE(module);
			at[m] = ((struct link_map *)module)->l_addr;
			module_fn *f = (module_fn *)dlsym(module, names[m]);
			LED_REQUIRE(f);
			f(malloc, held[m][round], 50);
			for (size_t i = 0; i < 50; i++)
				led_got(l, held[m][round][i], times[m] * (i + 1));
			LED_REQUIRE(dlclose(module) == 0);
			LED_REQUIRE(!dlopen(argv[1 + m], RTLD_NOW | RTLD_NOLOAD));
		}
		same += at[0] == at[1];
	}
	for (int m = 0; m < 2; m++)
		for (int round = 0; round < 20; round += 2)
			for (size_t i = 0; i < 50; i++)
				led_free(led_section(names[m]), held[m][round][i],
					times[m] * (i + 1));
	led_note("same_address", same);
	led_report();
	return 0;
}
