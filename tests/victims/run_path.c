/* SPDX-License-Identifier: MIT */
/*
 * Loads a module by what the loader looks up in whoever calls it: a bare name along this program's run path, and a path
 * from its own $ORIGIN; and allocates from it. Argument: the module's name.
 */
#include <dlfcn.h>
#include <stdio.h>

#include "victim.h"

static void use(void *module)
{
	void (*f)(void *(*)(size_t), void **, size_t);
	void *blocks[50];

	LED_REQUIRE(module);
	*(void **)&f = dlsym(module, "victim_module_one");
	LED_REQUIRE(f);
	f(malloc, blocks, 50);
	for (size_t i = 0; i < 50; i++) {
		led_got(led_section("victim_module_one"), blocks[i], 8 * (i + 1));
		led_free(led_section("victim_module_one"), blocks[i], 8 * (i + 1));
	}
	LED_REQUIRE(dlclose(module) == 0);
}

int main(int argc, char **argv)
{
	char from_origin[256];

	LED_REQUIRE(argc == 2);
	snprintf(from_origin, sizeof(from_origin), "$ORIGIN/run_path_modules/%s", argv[1]);
	use(dlopen(argv[1], RTLD_NOW | RTLD_LOCAL));
	use(dlopen(from_origin, RTLD_NOW | RTLD_LOCAL));
	use(dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW | RTLD_LOCAL));
	use(dlmopen(LM_ID_NEWLM, from_origin, RTLD_NOW | RTLD_LOCAL));
	led_report();
	return 0;
}
