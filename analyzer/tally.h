/* SPDX-License-Identifier: MIT */
/*
 * A tally in memory: checked, decoded, merged over threads. tally_reader.c makes it from untrusted bytes,
 * symbols.c adds the names, tally_writer.c writes it as a finished tally. Everything in here obeys the following,
 * so that later parts need no checks of their own:
 *  - every index (site.parent, site.module, bucket.site, regrow.from …) is below the count of its table, and
 *    site.parent < the site's own index (site 0, the root, has parent 0);
 *  - every string offset is inside its blob and the blob ends in NUL;
 *  - locations are sorted by (module, offset), without duplicates, and their frames exist.
 */
#ifndef HEAPTALLY_TALLY_H
#define HEAPTALLY_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "../preload/format.h"
#include "error.h"

/* Live bytes of one bucket at each point of the timeline; 0 where it was too small to be followed. */
struct tally_curve {
	uint32_t bucket;
	int64_t *live_bytes; /* header.n_points values */
};

struct tally {
	struct ht_header header;
	char *path; /* as given to tally_read */

	char *strings; /* header.program, .command, module paths … are offsets into this */
	size_t strings_bytes;
	struct ht_module *modules;
	struct ht_site *sites;
	struct ht_bucket *buckets;
	/* One per bucket, same index, all threads added up. peak_count and peak_bytes are resolved: they are the
	 * values at the peak whatever the stamps said. stamp_row is 0. min_bytes > max_bytes where nothing came. */
	struct ht_counters *counters;
	struct ht_regrow *regrows;
	struct ht_chain *chains;
	struct ht_thread *threads;
	struct ht_point *points;
	struct tally_curve *curves;
	/* What the host said of its work; there is always the first, which is the start. */
	struct ht_mark *marks;
	/* What buckets held at the marks, by bucket (`counters`) and mark, without a row 0: ask tally_at_mark. */
	struct ht_phase *phases;
	/* By bucket and hash, without a row 0; counts are not 0. */
	struct ht_content *contents;
	/* The newest look at a sample of the heap's pages; its number is 0 if there was none. Rows by page, which is
	 * below snapshot.pages; first and step are of the file. */
	struct ht_snapshot snapshot;
	struct ht_locality *locality;
	uint32_t n_modules, n_sites, n_buckets, n_regrows, n_chains, n_threads, n_points, n_curves;
	uint32_t n_marks, n_phases, n_contents, n_locality;

	/* names: all NULL and 0 until symbols_resolve ran or a finished tally was read */
	char *names;
	size_t names_bytes;
	struct ht_function *functions;
	struct ht_frame *frames;
	struct ht_location *locations;
	uint32_t n_functions, n_frames, n_locations;
};

/*
 * Reads path, raw or finished, whole or cut short. On 0 *t is filled and owned by the caller, to be given to
 * tally_release. On -1 *t needs no release and *e says in one sentence what is wrong with the file (missing, not a
 * tally, newer version, damaged and where). A tally that is still being written can be read: what it shows is a
 * consistent past.
 */
int tally_read(struct tally *t, const char *path, struct error *e);
void tally_release(struct tally *t);

/*
 * Writes *t as a finished tally: one zstd extent per section, counters merged, names included. Written beside path
 * and renamed over it, so that path is old or new and never half. 0 or -1.
 */
int tally_write(const struct tally *t, const char *path, struct error *e);

static inline const char *tally_string(const struct tally *t, uint32_t offset)
{
	return t->strings + offset;
}

static inline const char *tally_name(const struct tally *t, uint32_t offset)
{
	return t->names + offset;
}

/* Nanoseconds since the start for a time-stamp; 0 before the start. */
uint64_t tally_ns(const struct tally *t, uint64_t ticks);

/*
 * What a bucket held at a mark, all threads added up; mark n_marks is the end. Sums of untrusted values: they need
 * not go up from mark to mark.
 */
void tally_at_mark(const struct tally *t, uint32_t bucket, uint32_t mark, struct ht_phase *value);

/* The location of an address, or NULL: names were not resolved. */
const struct ht_location *tally_location(const struct tally *t, uint16_t module, uint64_t offset);

#endif
