/* SPDX-License-Identifier: MIT */
/*
 * Marks for native hosts: say where your program's work is, and heaptally tells its memory by phase. A phase lasts from
 * its mark to the next one. Nothing is linked: a mark is a call of access() for a path that does not exist, which the
 * preloaded shim sees; without it that is all it is. Thread-safe, async-signal-safe, keeps errno.
 */
#ifndef HEAPTALLY_H
#define HEAPTALLY_H

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* numbers: "modules=5&chunks=2", or NULL. Names are cut at 127 bytes and hold no '?'; numbers are cut at 511. */
static inline void heaptally_mark_numbers(const char *name, const char *numbers)
{
	char path[768] = "/heaptally/mark/";
	size_t at = strlen(path), name_bytes = strlen(name);
	size_t number_bytes = numbers ? strlen(numbers) : 0;
	int saved = errno;

	if (name_bytes > 127)
		name_bytes = 127;
	if (number_bytes > 511)
		number_bytes = 511;
	memcpy(path + at, name, name_bytes);
	at += name_bytes;
	if (number_bytes) {
		path[at++] = '?';
		memcpy(path + at, numbers, number_bytes);
	}
	(void)!access(path, F_OK); /* the array is zero beyond */
	errno = saved;
}

static inline void heaptally_mark(const char *name)
{
	heaptally_mark_numbers(name, NULL);
}

#endif
