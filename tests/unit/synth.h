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
 *	uint32_t f = STACK(&s, "main", "<alloc::vec::Vec<u8>>::push");
 *	uint32_t b = synth_hold(&s, f, 3, 64);	// three times 64 bytes
 *	synth_free(&s, b, 0, 1, 64);		// thread 0 frees one of them
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

/* Module 0, the root site, bucket 0 and history row 0 exist from the start; one tick is one nanosecond. Returns s. */
struct synth *synth_init(struct synth *s);
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
/* The site of a stack, outermost function first. */
uint32_t synth_stack(struct synth *s, const char *const *names);
#define STACK(s, ...) synth_stack(s, (const char *const[]){__VA_ARGS__, NULL})
/* Adds to the flags of all functions of that name: enum ht_function_flags. */
void synth_flags(struct synth *s, const char *name, uint16_t flags);
/* The site of an address without a name that nobody calls, in the module of that path, made when there is none. */
uint32_t synth_unnamed(struct synth *s, const char *path, uint64_t offset);
uint32_t synth_bucket(struct synth *s, uint32_t site, uint64_t bytes);

/* The counters of a bucket as one thread sees it; made if there are none. Pointer as from synth_at. */
struct ht_counters *synth_counters(struct synth *s, uint32_t bucket, uint32_t thread);

/* Events: `count` times, `bytes` each, as seen by `thread`. usable_bytes is the request rounded up to 16. */
void synth_alloc(struct synth *s, uint32_t bucket, uint32_t thread, uint64_t count, uint64_t bytes);
/* By thread 0 at a site; returns the bucket. */
uint32_t synth_hold(struct synth *s, uint32_t site, uint64_t count, uint64_t bytes);
void synth_free(struct synth *s, uint32_t bucket, uint32_t thread, uint64_t count, uint64_t bytes);
/* realloc of one live pointer */
void synth_realloc(struct synth *s, uint32_t from, uint32_t to, uint32_t thread,
	uint64_t from_bytes, uint64_t to_bytes);

/* What became of buffers that began in bucket `origin` and were grown or shrunk to `bytes`: `ended` of them are gone. */
void synth_chain(struct synth *s, uint32_t origin, uint64_t bytes, uint64_t ended, uint64_t regrows,
	uint64_t copied_bytes);

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
