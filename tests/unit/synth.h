/* SPDX-License-Identifier: MIT */
/*
 * Synthetic tallies for tests, in the raw form, as the shim leaves them: a model of the shim that takes events one
 * at a time and keeps counters, stamps, peak, timeline and history by the rules of FORMAT.md. Adds names on request,
 * so that a test of the later parts needs no ELF files. Aborts when memory runs out or a call makes no sense.
 *
 *	struct synth s;
 *	struct tally t;
 *
 *	synth_init(&s);
 *	uint32_t f = synth_call(&s, synth_call(&s, 0, "main"), "<alloc::vec::Vec<u8>>::push");
 *	uint32_t b = synth_bucket(&s, f, 64);
 *	synth_alloc(&s, b, 0, 3, 64);	// thread 0, three times 64 bytes
 *	synth_free(&s, b, 0, 1, 64);
 *	synth_tally(&s, &t);		// or synth_write(&s, path)
 */
#ifndef HEAPTALLY_SYNTH_H
#define HEAPTALLY_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#include "../../analyzer/tally.h"

struct synth_table {
	char *bytes;
	size_t n, capacity; /* records */
};

struct synth {
	struct ht_header header; /* edit at will; counts are filled in when the image is made */
	unsigned extents; /* extents per section, interleaved with those of other sections; 1 */
	unsigned spare;   /* unused zero records at the end of each section; 0 */
	struct synth_table tables[HT_SEC_COUNT]; /* by enum ht_section */
	uint64_t next_offset;                    /* synth_call: address of the next new function */
};

/* Module 0, the root site, bucket 0 and history row 0 exist from the start; one tick is one nanosecond. */
void synth_init(struct synth *s);
void synth_release(struct synth *s);

/* Record `index` of a section, to be edited by hand; valid until the next call that adds to that section. */
void *synth_at(struct synth *s, enum ht_section section, uint32_t index);
/* Adds a copy of a record (for STRINGS and NAMES: a byte) and returns its index. */
uint32_t synth_add(struct synth *s, enum ht_section section, const void *record);

uint32_t synth_string(struct synth *s, const char *text);
uint32_t synth_module(struct synth *s, const char *path);
uint32_t synth_thread(struct synth *s, const char *name);
uint32_t synth_site(struct synth *s, uint32_t parent, uint32_t module, uint64_t offset);
/* Gives an address one more frame, outward of those it has. file may be NULL. */
void synth_frame(struct synth *s, uint32_t module, uint64_t offset, const char *function,
	const char *file, uint32_t line);
/* The site of function `name` called from `parent`; one address per name, in module 1, made when there is none. */
uint32_t synth_call(struct synth *s, uint32_t parent, const char *name);
uint32_t synth_bucket(struct synth *s, uint32_t site, uint64_t bytes);

/* The counters of a bucket as one thread sees it; makes the chunk if there is none. Pointer as from synth_at. */
struct ht_counters *synth_counters(struct synth *s, uint32_t bucket, uint32_t thread);

/* Events: `count` times, `bytes` each, as seen by `thread`. usable_bytes is the request rounded up to 16. */
void synth_alloc(struct synth *s, uint32_t bucket, uint32_t thread, uint64_t count, uint64_t bytes);
void synth_free(struct synth *s, uint32_t bucket, uint32_t thread, uint64_t count, uint64_t bytes);
/* realloc of one live pointer */
void synth_realloc(struct synth *s, uint32_t from, uint32_t to, uint32_t thread,
	uint64_t from_bytes, uint64_t to_bytes);

/* Timeline: a point now; all points to half as many; a bucket to be followed from now on, as seen by one thread. */
void synth_point(struct synth *s, uint64_t ticks);
void synth_coarsen(struct synth *s);
/* A mark now; its index. numbers: "" for none. */
uint32_t synth_mark(struct synth *s, const char *name, const char *numbers, uint64_t ticks);
void synth_follow(struct synth *s, uint32_t bucket, uint32_t thread);

/* The file as bytes, to be freed by the caller: to be damaged and written by hand. */
void *synth_image(struct synth *s, size_t *bytes);
/* Writes bytes as path, all-zero pages as holes. */
void synth_save(const void *image, size_t bytes, const char *path);
void synth_write(struct synth *s, const char *path);
/* Reads what was built back through tally_read; a refusal aborts. The caller releases t. */
void synth_tally(struct synth *s, struct tally *t);

#endif
