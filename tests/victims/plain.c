/* SPDX-License-Identifier: MIT */
/*
 * A host with nothing special: some growth, some leaks, many stacks, exit code 7. Its arguments change what it sees of
 * the world before it allocates; its own work must succeed all the same.
 *   (none) | closefds | chdir DIR | chroot DIR | fsize | nofile | as | fork DIR
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "victim.h"

/* Every path through the tree is a stack of its own: 2^depth sites and more. */
VICTIM void victim_tree(struct ledger *l, unsigned depth)
{
	void *p = led_malloc(l, 20 + depth);

	if (depth > 0) {
		victim_tree(l, depth - 1);
		LED_BARRIER();
		victim_tree(l, depth - 1);
	}
	if (depth % 3)
		led_free(l, p, 20 + depth);
}

VICTIM void victim_work(void)
{
	struct ledger *l = led_section(__func__);
	void *p = NULL;
	size_t size = 0;

	victim_tree(l, 13);
	for (size_t next = 10; next < 4 << 20; next += next / 2) {
		p = led_realloc(l, p, size, next);
		size = next;
	}
	led_free(l, p, size);
}

static void limit(int what, rlim_t value)
{
	struct rlimit r = {value, value};

	LED_REQUIRE(setrlimit(what, &r) == 0);
}

static size_t mapped_bytes(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY);

	LED_REQUIRE(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoul(text, NULL, 10) * 4096;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "", *dir = argc > 2 ? argv[2] : "/";
	int file = -1, status;
	char back[8];

	led_open("");
	if (strcmp(how, "closefds") == 0) {
		/* A daemon's start. What it opens next gets numbers that others may think are theirs. */
		LED_REQUIRE(close_range(0, ~0u, 0) == 0);
		file = open("daemon.log", O_RDWR | O_CREAT | O_TRUNC, 0600);
		LED_REQUIRE(file == 0 && dup(file) == 1 && dup(file) == 2);
		for (int i = 3; i < 64; i++)
			LED_REQUIRE(dup(file) == i);
		LED_REQUIRE(write(file, "intact", 6) == 6);
		led_fd = -1;
	} else if (strcmp(how, "chdir") == 0 || strcmp(how, "fork") == 0) {
		LED_REQUIRE(chdir(dir) == 0);
	} else if (strcmp(how, "chroot") == 0) {
		LED_REQUIRE(chroot(dir) == 0 && chdir("/") == 0);
	} else if (strcmp(how, "fsize") == 0) {
		limit(RLIMIT_FSIZE, 100);
	} else if (strcmp(how, "nofile") == 0) {
		limit(RLIMIT_NOFILE, 0);
	} else if (strcmp(how, "as") == 0) {
		limit(RLIMIT_AS, mapped_bytes() + (12 << 20));
	} else if (*how) {
		led_fail("plain: unknown argument\n");
	}
	if (strcmp(how, "fork") == 0) {
		pid_t child = fork();
		LED_REQUIRE(child >= 0);
		if (child == 0) {
			victim_work();
			_exit(0);
		}
		LED_REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	}
	victim_work();
	if (file >= 0) {
		LED_REQUIRE(lseek(file, 0, SEEK_END) == 6);
		LED_REQUIRE(pread(file, back, 8, 0) == 6 && memcmp(back, "intact", 6) == 0);
		/* the shim must not have closed what it took for its own */
		for (int i = 0; i < 64; i++)
			LED_REQUIRE(fcntl(i, F_GETFD) == 0);
	}
	if (strcmp(how, "fsize") != 0)
		led_report();
	return 7;
}
