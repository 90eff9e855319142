/* SPDX-License-Identifier: MIT */
/* Output files that appear whole or not at all: see output.h. */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_open(struct output *out, const char *path)
{
	struct stat st;
	mode_t mask = umask(0);

	umask(mask);
	*out = (struct output){0};
	if (strcmp(path, "-") == 0) {
		out->file = stdout;
		return 0;
	}
	bool exists = stat(path, &st) == 0;
	if (exists && !S_ISREG(st.st_mode)) {
		out->file = fopen(path, "w");
		return out->file ? 0 : -1;
	}
	/* a symbolic link stays one */
	out->path = exists ? realpath(path, NULL) : strdup(path);
	if (!out->path || asprintf(&out->part, "%s.XXXXXX", out->path) < 0)
		return -1;
	int fd = mkstemp(out->part);
	if (fd < 0)
		return -1;
	fchmod(fd, exists ? st.st_mode & 0777 : 0666 & ~mask);
	out->file = fdopen(fd, "w");
	if (!out->file) {
		close(fd);
		unlink(out->part);
		return -1;
	}
	return 0;
}

int output_close(struct output *out, bool keep, long *size)
{
	int failed = fflush(out->file), why = errno;

	*size = ftell(out->file);
	failed |= ferror(out->file);
	if (out->file != stdout && fclose(out->file) && !failed) {
		failed = 1;
		why = errno;
	}
	if (out->part && keep && !failed && rename(out->part, out->path)) {
		failed = 1;
		why = errno;
	}
	if (out->part && (!keep || failed))
		unlink(out->part);
	errno = why;
	return failed ? -1 : 0;
}
