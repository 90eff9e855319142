/* SPDX-License-Identifier: MIT */
/* Output files that appear whole or not at all: written beside their name and renamed. */
#ifndef HEAPTALLY_OUTPUT_H
#define HEAPTALLY_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct output {
	FILE *file;
	/* private */
	char *path; /* what it will be; NULL: written in place (standard output, a pipe, a device) */
	char *part; /* where it is meanwhile */
};

/* path: "-" for standard output. 0, or -1 with errno; *out needs no close then. */
int output_open(struct output *out, const char *path);
/*
 * Puts the file in its place, or when `keep` is false throws it away. 0, or -1 with errno. *size, unless NULL, is its
 * size in bytes, -1 where it was written in place.
 */
int output_close(struct output *out, bool keep, long *size);

#endif
