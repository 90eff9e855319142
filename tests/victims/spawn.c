/* SPDX-License-Identifier: MIT */
/* Starts the program named by its second argument, by vfork or posix_spawn, in the midst of its own work. */
#include <spawn.h>
#include <sys/wait.h>

#include "victim.h"

extern char **environ;

VICTIM void victim_work(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t i = 1; i <= 400; i++) {
		void *p = led_malloc(l, i);
		if (i % 3)
			led_free(l, p, i);
	}
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static pid_t start(const char *how, char *program)
{
	char *arguments[] = {program, NULL};
	pid_t child;

	if (strcmp(how, "vfork") == 0) {
		child = vfork();
		if (child == 0) {
			execv(program, arguments);
			_exit(127);
		}
		return child;
	}
	LED_REQUIRE(posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0);
	return child;
}

int main(int argc, char **argv)
{
	int status;

	LED_REQUIRE(argc == 3);
	victim_work();
	for (int i = 0; i < 3; i++) {
		pid_t child = start(argv[1], argv[2]);
		LED_REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
		LED_REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		victim_work();
	}
	led_report_as(".parent");
	return 0;
}
