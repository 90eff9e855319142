/* SPDX-License-Identifier: MIT */
/* Output files that appear whole or not at all: see output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int give_up(struct output *out)
{
	int why = errno;

	free(out->path);
	free(out->part);
	errno = why;
	return -1;
}

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
		out->file = fopen(path, "we");
		return out->file ? 0 : -1;
	}
	/* a symbolic link stays one */
	out->path = exists ? realpath(path, NULL) : strdup(path);
	if (!out->path || asprintf(&out->part, "%s.XXXXXX", out->path) < 0) {
		out->part = NULL;
		return give_up(out);
	}
	int fd = mkostemp(out->part, O_CLOEXEC);
	if (fd < 0)
		return give_up(out);
	fchmod(fd, exists ? st.st_mode & 0777 : 0666 & ~mask);
	out->file = fdopen(fd, "w");
	if (!out->file) {
		close(fd);
		unlink(out->part);
		return give_up(out);
	}
	return 0;
}

int output_close(struct output *out, bool keep, long *size)
{
	bool failed = fflush(out->file) || ferror(out->file);
	int why = errno;

	if (size)
		*size = out->part ? ftell(out->file) : -1;
	if (out->file != stdout && fclose(out->file) && !failed) {
		failed = true;
		why = errno;
	}
	if (out->part && keep && !failed && rename(out->part, out->path)) {
		failed = true;
		why = errno;
	}
	if (out->part && (!keep || failed))
		unlink(out->part);
	free(out->path);
	free(out->part);
	errno = why;
	return failed ? -1 : 0;
}
