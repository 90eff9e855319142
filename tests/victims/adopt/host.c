/* SPDX-License-Identifier: MIT */
/*
 * host MODULE...: loads each, has it work, prints its ledger and checks that all was freed. -DNEEDED: the one module it
 * is linked with. In the environment HOST_NAMESPACE: each into a namespace of its own; HOST_CLOSE: each is closed before
 * the next one, and the last line says how many executable mappings are of no file; HOST_BUSY: two other threads allocate
 * all the time.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"

static int executable_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4400], rights[5];
	unsigned long file;
	int n = 0;

	while (maps && fgets(line, sizeof(line), maps))
		n += sscanf(line, "%*s %4s %*s %*s %lu", rights, &file) == 2 && rights[2] == 'x' &&
		     file == 0 && !strchr(line, '[');
	if (maps)
		fclose(maps);
	return n;
}

static atomic_bool over;

static void *be_busy(void *nothing)
{
	while (!over)
		free(malloc(100));
	return nothing;
}

int main(int argc, char **argv)
{
	pthread_t busy[2];
	/* jemalloc's thread-local data is larger than what glibc keeps for modules that come late. */
	if (!getenv("GLIBC_TUNABLES")) {
		setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536", 1);
		execv("/proc/self/exe", argv);
	}
	for (int i = 0; i < 2 && getenv("HOST_BUSY"); i++)
		if (pthread_create(&busy[i], NULL, be_busy, NULL) != 0)
			return 4;
	for (int i = 1; i < argc; i++) {
		struct adopt_ledger l = {0};
		int (*work)(struct adopt_ledger *) = NULL;
#ifdef NEEDED
		work = adopt_work;
#else
		void *module = getenv("HOST_NAMESPACE")
				       ? dlmopen(LM_ID_NEWLM, argv[i], RTLD_NOW | RTLD_LOCAL)
				       : dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
		if (module)
			*(void **)&work = dlsym(module, "adopt_work");
#endif
		if (!work) {
			fprintf(stderr, "host: %s\n", dlerror());
			return 2;
		}
		if (work(&l) || l.allocs + l.zeroed != l.deallocs) {
			fprintf(stderr, "host: %s did not work\n", argv[i]);
			return 1;
		}
		printf("%s allocs %lu zeroed %lu reallocs %lu deallocs %lu bytes %lu\n", argv[i],
			l.allocs, l.zeroed, l.reallocs, l.deallocs, l.bytes);
#ifndef NEEDED
		if (getenv("HOST_CLOSE") && dlclose(module) != 0)
			return 3;
#endif
	}
	over = true;
	for (int i = 0; i < 2 && getenv("HOST_BUSY"); i++)
		pthread_join(busy[i], NULL);
	if (getenv("HOST_CLOSE"))
		printf("mappings executable %d\n", executable_mappings());
	return 0;
}
