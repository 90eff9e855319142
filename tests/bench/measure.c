/* SPDX-License-Identifier: MIT */
/*
 * measure FILE PROGRAM [ARGUMENT...]: runs PROGRAM, appends one line to FILE, exits as PROGRAM did. The line holds
 * wall seconds until PROGRAM ended, CPU seconds (user and system) of all its descendants, and the peak RSS in bytes of
 * the biggest of them. A subreaper, so that helpers which their parent did not wait for are counted as well.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	double start, wall = 0;
	int status, result = 0;
	pid_t child, ended;
	FILE *out;

	if (argc < 3) {
		fputs("usage: measure FILE PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		perror("measure: prctl");
		return 126;
	}
	start = now();
	child = fork();
	if (child < 0) {
		perror("measure: fork");
		return 126;
	}
	if (child == 0) {
		execvp(argv[2], argv + 2);
		fprintf(stderr, "measure: cannot run %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	while ((ended = wait(&status)) > 0 || errno == EINTR) {
		if (ended != child)
			continue;
		wall = now() - start;
		result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	getrusage(RUSAGE_CHILDREN, &usage);
	out = fopen(argv[1], "a");
	if (!out ||
		fprintf(out, "%.4f %.4f %ld\n", wall,
			seconds(usage.ru_utime) + seconds(usage.ru_stime),
			usage.ru_maxrss * 1024L) < 0 ||
		fclose(out) != 0) {
		fprintf(stderr, "measure: cannot write %s: %s\n", argv[1], strerror(errno));
		return 126;
	}
	return result;
}
