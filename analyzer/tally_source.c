/* SPDX-License-Identifier: MIT */
/*
 * The file may be raw or finished, cut short, damaged on purpose, or still being written. Everything is therefore copied
 * before it is checked, and nothing is allocated that the file could not fill. See preload/FORMAT.md.
 */
#include "tally_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* A zstd block of 128 KiB takes three bytes and one of content at least, so no honest frame beats this. */
#define ZSTD_MAX_RATIO   32768u
#define ZSTD_BLOCK_BYTES (UINT64_C(128) << 10)

const struct source_section source_sections[HT_SEC_COUNT] = {
	[HT_SEC_STRINGS] = {"strings", 1},
	[HT_SEC_MODULES] = {"modules", sizeof(struct ht_module)},
	[HT_SEC_SITES] = {"sites", sizeof(struct ht_site)},
	[HT_SEC_BUCKETS] = {"buckets", sizeof(struct ht_bucket)},
	[HT_SEC_OWNERS] = {"owners", sizeof(struct ht_owner)},
	[HT_SEC_COUNTERS] = {"counters", sizeof(struct ht_counters)},
	[HT_SEC_LIGHT] = {"light counters", sizeof(struct ht_light)},
	[HT_SEC_REGROWS] = {"regrows", sizeof(struct ht_regrow)},
	[HT_SEC_CHAINS] = {"chains", sizeof(struct ht_chain)},
	[HT_SEC_THREADS] = {"threads", sizeof(struct ht_thread)},
	[HT_SEC_TIMELINE] = {"timeline", sizeof(struct ht_point)},
	[HT_SEC_HISTORY] = {"history", sizeof(struct ht_history)},
	[HT_SEC_FUNCTIONS] = {"functions", sizeof(struct ht_function)},
	[HT_SEC_FRAMES] = {"frames", sizeof(struct ht_frame)},
	[HT_SEC_LOCATIONS] = {"locations", sizeof(struct ht_location)},
	[HT_SEC_NAMES] = {"names", 1},
	[HT_SEC_MARKS] = {"marks", sizeof(struct ht_mark)},
	[HT_SEC_PHASES] = {"phases", sizeof(struct ht_phase)},
	[HT_SEC_CONTENTS] = {"contents", sizeof(struct ht_content)},
	[HT_SEC_SNAPSHOTS] = {"snapshots", sizeof(struct ht_snapshot)},
	[HT_SEC_LOCALITY] = {"locality", sizeof(struct ht_locality)},
};

int source_damaged(const char *path, struct error *e, const char *format, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	return error_set(e, "%s is damaged: %s", path, what);
}

static int source_truncated(const struct source *s, struct error *e)
{
	return error_set(e, "%s is truncated: it ends after %llu bytes, before all of its data",
		s->path, (unsigned long long)s->bytes);
}

int source_no_memory(const char *path, struct error *e)
{
	return error_set(e, "%s: not enough memory to read it", path);
}

int source_read(const struct source *s, uint64_t offset, void *to, size_t bytes, struct error *e)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(s->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(e, "cannot read %s: %s", s->path, strerror(errno));
		if (n == 0)
			return source_truncated(s, e);
		done += (size_t)n;
	}
	return 0;
}

int source_inflate(const struct source *s, const struct ht_extent *x, void *to, struct error *e)
{
	int rc = -1;
	char *stored = malloc(x->stored_bytes);

	if (!stored)
		return source_no_memory(s->path, e);
	if (source_read(s, x->offset, stored, x->stored_bytes, e) < 0)
		goto out;
	if (ZSTD_getFrameContentSize(stored, x->stored_bytes) != x->raw_bytes ||
		ZSTD_decompress(to, x->raw_bytes, stored, x->stored_bytes) != x->raw_bytes) {
		source_damaged(s->path, e, "its %s cannot be decompressed",
			source_sections[x->section].name);
		goto out;
	}
	rc = 0;
out:
	free(stored);
	return rc;
}

int source_check(const struct source *s, uint32_t section, uint64_t need, struct error *e)
{
	uint64_t at = 0;

	if (need > SECTION_MAX_BYTES)
		return source_damaged(
			s->path, e, "its %s are larger than 4 GiB", source_sections[section].name);
	if (s->section_bytes[section] < need)
		return source_damaged(s->path, e, "its %s take %llu bytes and only %llu are there",
			source_sections[section].name, (unsigned long long)need,
			(unsigned long long)s->section_bytes[section]);
	for (uint32_t i = 0; i < s->n_extents && at < need; i++) {
		const struct ht_extent *x = &s->extents[i];
		if (x->section != section)
			continue;
		uint64_t take = x->raw_bytes < need - at ? x->raw_bytes : need - at;
		uint64_t stored = x->codec == HT_CODEC_RAW ? take : x->stored_bytes;
		if (x->codec != HT_CODEC_RAW && take < x->raw_bytes)
			return source_damaged(s->path, e,
				"its %s are compressed with spare records",
				source_sections[section].name);
		if (x->offset > s->bytes || stored > s->bytes - x->offset)
			return source_truncated(s, e);
		at += take;
	}
	return 0;
}

void *source_load(const struct source *s, uint32_t section, uint64_t n, struct error *e)
{
	size_t record_bytes = source_sections[section].record_bytes;
	uint64_t need = n * record_bytes, at = 0; /* n < 2^32, or bytes: no overflow */

	if (source_check(s, section, need, e) < 0)
		return NULL;
	char *to = calloc(1, need > record_bytes ? need : record_bytes);
	if (!to) {
		source_no_memory(s->path, e);
		return NULL;
	}
	for (uint32_t i = 0; i < s->n_extents && at < need; i++) {
		const struct ht_extent *x = &s->extents[i];
		if (x->section != section)
			continue;
		uint64_t take = x->raw_bytes < need - at ? x->raw_bytes : need - at;
		if (x->codec == HT_CODEC_ZSTD) {
			if (source_inflate(s, x, to + at, e) < 0)
				goto failed;
		} else if (source_read(s, x->offset, to + at, take, e) < 0) {
			goto failed;
		}
		at += take;
	}
	return to;
failed:
	free(to);
	return NULL;
}

static int extent_by_offset(const void *a, const void *b)
{
	const struct ht_extent *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->stored_bytes > y->stored_bytes) - (x->stored_bytes < y->stored_bytes);
}

static int extent_check(const struct source *s, const struct ht_extent *x, struct error *e)
{
	if (x->section >= HT_SEC_COUNT)
		return source_damaged(s->path, e, "a section of unknown type %u", x->section);
	if (x->raw_bytes % source_sections[x->section].record_bytes)
		return source_damaged(
			s->path, e, "its %s end within a record", source_sections[x->section].name);
	if (x->offset > INT64_MAX || x->stored_bytes > INT64_MAX - x->offset ||
		x->raw_bytes > INT64_MAX)
		return source_damaged(s->path, e, "its %s lie at no possible place",
			source_sections[x->section].name);
	if (x->codec == HT_CODEC_RAW && x->stored_bytes == x->raw_bytes)
		return 0;
	if (x->codec == HT_CODEC_ZSTD && x->raw_bytes <= SECTION_MAX_BYTES &&
		x->stored_bytes <= ZSTD_COMPRESSBOUND(x->raw_bytes) &&
		x->raw_bytes <= x->stored_bytes * ZSTD_MAX_RATIO + ZSTD_BLOCK_BYTES)
		return 0;
	return source_damaged(s->path, e, "its %s are %llu bytes stored as %llu in encoding %u",
		source_sections[x->section].name, (unsigned long long)x->raw_bytes,
		(unsigned long long)x->stored_bytes, x->codec);
}

int source_extents(struct source *s, struct error *e)
{
	size_t table_bytes = HT_MAX_EXTENTS * sizeof(struct ht_extent), got = 0;
	uint64_t lowest = UINT64_MAX, total = 0;
	struct stat st;
	int rc = -1;

	s->extents = calloc(1, table_bytes);
	struct ht_extent *sorted = NULL;
	if (!s->extents)
		return source_no_memory(s->path, e);
	while (got < table_bytes) {
		ssize_t n = pread(s->fd, (char *)s->extents + got, table_bytes - got,
			(off_t)(HT_EXTENTS_OFFSET + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(e, "cannot read %s: %s", s->path, strerror(errno));
		if (n == 0)
			break;
		got += (size_t)n;
	}
	if (fstat(s->fd, &st) < 0)
		return error_set(e, "cannot read %s: %s", s->path, strerror(errno));
	s->bytes = (uint64_t)st.st_size;

	for (; s->n_extents < HT_MAX_EXTENTS; s->n_extents++) {
		struct ht_extent *x = &s->extents[s->n_extents];
		uint64_t end = (s->n_extents + 1) * sizeof(*x);
		if (HT_EXTENTS_OFFSET + end > lowest)
			break;
		if (end > got)
			return source_truncated(s, e);
		if (x->section == HT_SEC_FREE)
			break;
		if (extent_check(s, x, e) < 0)
			return -1;
		lowest = x->offset < lowest ? x->offset : lowest;
		total += x->raw_bytes;
		if (total > INT64_MAX)
			return source_damaged(s->path, e, "its sections are too large");
		s->section_bytes[x->section] += x->raw_bytes;
	}
	if (s->n_extents == 0)
		return 0;

	sorted = malloc(s->n_extents * sizeof(*sorted));
	if (!sorted)
		return source_no_memory(s->path, e);
	memcpy(sorted, s->extents, s->n_extents * sizeof(*sorted));
	qsort(sorted, s->n_extents, sizeof(*sorted), extent_by_offset);
	uint64_t free_from = HT_EXTENTS_OFFSET + s->n_extents * sizeof(*sorted);
	for (uint32_t i = 0; i < s->n_extents; i++) {
		if (sorted[i].offset < free_from) {
			source_damaged(s->path, e, "its %s overlap other data",
				source_sections[sorted[i].section].name);
			goto out;
		}
		free_from = sorted[i].offset + sorted[i].stored_bytes;
	}
	rc = 0;
out:
	free(sorted);
	return rc;
}

int source_open(struct source *s, const char *path, struct error *e)
{
	struct stat st;
	union {
		char bytes[sizeof(struct ht_header)];
		struct ht_header header;
	} start;

	s->path = path;
	s->live = MAP_FAILED;
	/* O_NONBLOCK: a FIFO must not make us wait */
	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return error_set(e, "cannot open %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, "%s is not a tally: it is no regular file", path);
	s->bytes = (uint64_t)st.st_size;
	size_t bytes = s->bytes < sizeof(start) ? s->bytes : sizeof(start);
	if (source_read(s, 0, start.bytes, bytes, e) < 0)
		return -1;
	size_t magic_bytes =
		bytes < sizeof(start.header.magic) ? bytes : sizeof(start.header.magic);
	if (bytes == 0 || memcmp(start.bytes, HT_MAGIC, magic_bytes) != 0)
		return error_set(e, "%s is not a tally", path);
	/* the version comes before the size: only ours is known to have our header */
	if (bytes >= offsetof(struct ht_header, header_bytes) && start.header.version > HT_VERSION)
		return error_set(e,
			"%s was written by a newer heaptally: format %u, this one reads %u", path,
			start.header.version, HT_VERSION);
	if (bytes >= offsetof(struct ht_header, header_bytes) && start.header.version &&
		start.header.version < HT_VERSION)
		return error_set(e,
			"%s was written by an older heaptally: format %u, this one reads %u; "
			"record it again",
			path, start.header.version, HT_VERSION);
	if (bytes < sizeof(start))
		return source_truncated(s, e);
	if (start.header.version != HT_VERSION)
		return source_damaged(path, e, "format version %u", start.header.version);
	if (start.header.header_bytes != sizeof(start.header))
		return source_damaged(path, e, "a header of %u bytes", start.header.header_bytes);
	if (start.header.state & ~(uint32_t)HT_STATE_ALL)
		return source_damaged(path, e, "state %u", start.header.state);
	s->live = mmap(NULL, sizeof(struct ht_header), PROT_READ, MAP_SHARED, s->fd, 0);
	if (s->live == MAP_FAILED)
		return error_set(e, "cannot map %s: %s", path, strerror(errno));
	return 0;
}

void source_close(struct source *s)
{
	if (s->live != MAP_FAILED)
		munmap((void *)s->live, sizeof(*s->live));
	if (s->fd >= 0)
		close(s->fd);
	free(s->extents);
}
