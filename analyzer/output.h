/* SPDX-License-Identifier: MIT */
/* Output files that appear whole or not at all: written beside their name and renamed. For commands. */
#ifndef HEAPTALLY_OUTPUT_H
#define HEAPTALLY_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct output {
	FILE *file;
	char *path; /* what it will be; NULL: written in place (standard output, a pipe, a device) */
	char *part; /* where it is meanwhile */
};

/* path: "-" for standard output. 0, or -1 with errno; the caller frees path and part either way. */
int output_open(struct output *out, const char *path);
/* Puts the file in its place, or when `keep` is false throws it away. 0, or -1 with errno. */
int output_close(struct output *out, bool keep, long *size);

#endif
