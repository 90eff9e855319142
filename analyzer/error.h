/* SPDX-License-Identifier: MIT */
/*
 * How parts below the commands report failure: they return -1 (or NULL) and leave one sentence here; only the
 * commands print it. The caller owns the struct, usually on its stack.
 */
#ifndef HEAPTALLY_ERROR_H
#define HEAPTALLY_ERROR_H

struct error {
	char text[512]; /* one sentence, no newline, names the file it is about */
};

/* Formats into e (ignored when NULL) and returns -1, so that `return error_set(e, …)` reads well. */
int error_set(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
