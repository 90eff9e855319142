/* SPDX-License-Identifier: MIT */
/*
 * A tally's bytes, not trusted: the file with its extents checked, and whole sections out of it. What records mean is
 * tally_reader.c's. All return 0 or -1 with a sentence unless they say otherwise.
 */
#ifndef HEAPTALLY_TALLY_SOURCE_H
#define HEAPTALLY_TALLY_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "../preload/format.h"
#include "error.h"

#define SECTION_MAX_BYTES (UINT64_C(1) << 32)

struct source {
	const char *path;
	int fd;
	uint64_t bytes;               /* size of the file, taken after the extent table was read */
	const struct ht_header *live; /* the file's own: changes under us while the host runs */
	struct ht_extent *extents;
	uint32_t n_extents;
	uint64_t section_bytes[HT_SEC_COUNT]; /* raw bytes in all */
};

struct source_section {
	const char *name;
	size_t record_bytes;
};
extern const struct source_section source_sections[HT_SEC_COUNT];

/* Also after a failure, source_close. */
int source_open(struct source *s, const char *path, struct error *e);
/* Fills in extents and the file's size. That the extents are disjoint bounds all work by the size of the file. */
int source_extents(struct source *s, struct error *e);
void source_close(struct source *s);

/* Reads bytes that lie inside the file; -1 also when it shrank meanwhile. */
int source_read(const struct source *s, uint64_t offset, void *to, size_t bytes, struct error *e);
/* Unpacks one compressed extent, of raw_bytes bytes. */
int source_inflate(const struct source *s, const struct ht_extent *x, void *to, struct error *e);
/*
 * Is `need` bytes of a section there? Spare records at the end of a raw extent may be missing from the file: they
 * say nothing.
 */
int source_check(const struct source *s, uint32_t section, uint64_t need, struct error *e);
/* The first n records of a section as a fresh array, which has room for one record even when n is 0; or NULL. */
void *source_load(const struct source *s, uint32_t section, uint64_t n, struct error *e);

/* -1, and the sentence: the file is damaged, with `format` for how; there is no memory for it. */
int source_damaged(const char *path, struct error *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int source_no_memory(const char *path, struct error *e);

#endif
