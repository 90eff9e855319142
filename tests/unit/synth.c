/* SPDX-License-Identifier: MIT */
/* A model of the shim for tests: see synth.h. Slow and plain on purpose; shares no code with what it tests. */
#include "synth.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096u

static const size_t record_bytes[HT_SEC_COUNT] = {
	[HT_SEC_STRINGS] = 1,
	[HT_SEC_MODULES] = sizeof(struct ht_module),
	[HT_SEC_SITES] = sizeof(struct ht_site),
	[HT_SEC_BUCKETS] = sizeof(struct ht_bucket),
	[HT_SEC_OWNERS] = sizeof(struct ht_owner),
	[HT_SEC_COUNTERS] = sizeof(struct ht_counters),
	[HT_SEC_REGROWS] = sizeof(struct ht_regrow),
	[HT_SEC_CHAINS] = sizeof(struct ht_chain),
	[HT_SEC_THREADS] = sizeof(struct ht_thread),
	[HT_SEC_TIMELINE] = sizeof(struct ht_point),
	[HT_SEC_HISTORY] = sizeof(struct ht_history),
	[HT_SEC_FUNCTIONS] = sizeof(struct ht_function),
	[HT_SEC_FRAMES] = sizeof(struct ht_frame),
	[HT_SEC_LOCATIONS] = sizeof(struct ht_location),
	[HT_SEC_NAMES] = 1,
	[HT_SEC_MARKS] = sizeof(struct ht_mark),
	[HT_SEC_PHASES] = sizeof(struct ht_phase),
	[HT_SEC_CONTENTS] = sizeof(struct ht_content),
	[HT_SEC_SNAPSHOTS] = sizeof(struct ht_snapshot),
	[HT_SEC_LOCALITY] = sizeof(struct ht_locality),
	[HT_SEC_LIGHT] = sizeof(struct ht_light),
};

static void __attribute__((noreturn)) refuse(const char *why)
{
	fprintf(stderr, "synth: %s\n", why);
	abort();
}

static void *need(void *p)
{
	if (!p)
		refuse("out of memory");
	return p;
}

static uint32_t count(const struct synth *s, enum ht_section section)
{
	return (uint32_t)s->tables[section].n;
}

static uint32_t add_text(struct synth *s, enum ht_section section, const char *text)
{
	const struct synth_table *t = &s->tables[section];
	uint32_t at;

	for (at = 0; at < t->n; at += (uint32_t)strlen(t->bytes + at) + 1)
		if (strcmp(t->bytes + at, text) == 0)
			return at;
	for (const char *c = text;; c++) {
		synth_add(s, section, c);
		if (!*c)
			return at;
	}
}

/* Index of the record for `bucket` as seen by `thread`, made if there is none. */
static uint32_t find_counters(struct synth *s, uint32_t bucket, uint32_t thread)
{
	struct ht_owner owner = {bucket, thread};
	struct ht_counters empty = {.min_bytes = UINT64_MAX};

	for (uint32_t i = 0; i < count(s, HT_SEC_OWNERS); i++)
		if (memcmp(synth_at(s, HT_SEC_OWNERS, i), &owner, sizeof(owner)) == 0)
			return i;
	synth_add(s, HT_SEC_OWNERS, &owner);
	return synth_add(s, HT_SEC_COUNTERS, &empty);
}

/* Brings a history row to the timeline's generation, one halving at a time, and writes what it slept through. */
static void wake_row(struct synth *s, struct ht_history *row, int64_t live_bytes)
{
	for (; row->generation < s->header.point_generation; row->generation++) {
		for (uint32_t k = 0; k < row->next / 2; k++)
			row->live_bytes[k] = row->live_bytes[2 * k + 1];
		row->first /= 2;
		row->next /= 2;
	}
	while (row->next < count(s, HT_SEC_TIMELINE))
		row->live_bytes[row->next++] = live_bytes;
}

/* What the shim does before it changes a record: FORMAT.md, "Peak" and "History". */
static struct ht_counters *wake(struct synth *s, uint32_t bucket, uint32_t thread)
{
	struct ht_counters *c = synth_counters(s, bucket, thread);
	uint64_t stamp = c->stamp_row >> 24, row = c->stamp_row & 0xffffff;

	if (stamp < s->header.mark_stamp) {
		struct ht_phase held = {.counters = find_counters(s, bucket, thread),
			.mark = count(s, HT_SEC_MARKS) - 1,
			.allocs = c->allocs,
			.alloc_bytes = c->alloc_bytes,
			.frees = c->frees,
			.live_count = c->live_count,
			.live_bytes = c->live_bytes};
		synth_add(s, HT_SEC_PHASES, &held);
	}
	if (stamp < s->header.stamp) {
		if (stamp < s->header.peak_stamp) {
			c->peak_count = c->live_count;
			c->peak_bytes = c->live_bytes;
		}
		if (row != HT_NO_ROW)
			wake_row(s, synth_at(s, HT_SEC_HISTORY, (uint32_t)row), c->live_bytes);
		c->stamp_row = s->header.stamp << 24 | row;
	}
	return c;
}

/* Live bytes are about to change. */
static void turn(struct synth *s, int64_t difference)
{
	struct ht_header *h = &s->header;

	if (difference < 0 && h->rising) {
		h->rising = 0;
		h->peak_stamp = ++h->stamp;
	}
	h->live_bytes += (uint64_t)difference;
	if (h->live_bytes > h->peak_bytes) {
		h->peak_bytes = h->live_bytes;
		h->peak_ticks = h->last_ticks;
		h->rising = 1;
	}
}

static void arrive(struct ht_counters *c, uint64_t n, uint64_t bytes)
{
	c->usable_bytes += n * ((bytes + 15) / 16 * 16);
	c->live_count += (int64_t)n;
	c->live_bytes += (int64_t)(n * bytes);
	c->min_bytes = bytes < c->min_bytes ? bytes : c->min_bytes;
	c->max_bytes = bytes > c->max_bytes ? bytes : c->max_bytes;
}

static int location_order(const void *a, const void *b)
{
	const struct ht_location *x = a, *y = b;

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

struct synth *synth_init(struct synth *s)
{
	struct ht_header *h = &s->header;

	memset(s, 0, sizeof(*s));
	memcpy(h->magic, HT_MAGIC, sizeof(h->magic));
	h->version = HT_VERSION;
	h->header_bytes = sizeof(*h);
	h->pid = 4711;
	h->parent_pid = 1;
	h->stack_depth = 256;
	h->last_ticks = h->last_ns = 1000000000;
	h->point_ticks = 1000;
	s->extents = 1;
	s->next_offset = 0x1000;
	synth_string(s, "");
	synth_add(s, HT_SEC_MODULES, NULL);
	synth_add(s, HT_SEC_SITES, NULL);
	synth_add(s, HT_SEC_BUCKETS, NULL);
	synth_add(s, HT_SEC_HISTORY, NULL);
	synth_add(s, HT_SEC_MARKS, NULL);
	synth_add(s, HT_SEC_PHASES, NULL);
	synth_add(s, HT_SEC_CONTENTS, NULL);
	((struct ht_mark *)synth_at(s, HT_SEC_MARKS, 0))->name = synth_string(s, "start");
	h->program = synth_string(s, "prog");
	h->exe = synth_string(s, "/usr/bin/prog");
	h->command = synth_string(s, "prog --flag");
	h->cwd = synth_string(s, "/home/user");
	return s;
}

void synth_release(struct synth *s)
{
	for (int i = 0; i < HT_SEC_COUNT; i++)
		free(s->tables[i].bytes);
	memset(s, 0, sizeof(*s));
}

void *synth_at(struct synth *s, enum ht_section section, uint32_t index)
{
	if (index >= s->tables[section].n)
		refuse("no such record");
	return s->tables[section].bytes + index * record_bytes[section];
}

uint32_t synth_add(struct synth *s, enum ht_section section, const void *record)
{
	struct synth_table *t = &s->tables[section];
	size_t size = record_bytes[section];

	if (t->n == t->capacity) {
		t->capacity = t->capacity ? 2 * t->capacity : 16;
		t->bytes = need(realloc(t->bytes, t->capacity * size));
	}
	if (record)
		memcpy(t->bytes + t->n * size, record, size);
	else
		memset(t->bytes + t->n * size, 0, size);
	return (uint32_t)t->n++;
}

uint32_t synth_string(struct synth *s, const char *text)
{
	return add_text(s, HT_SEC_STRINGS, text);
}

uint32_t synth_module(struct synth *s, const char *path)
{
	uint64_t start = (uint64_t)(count(s, HT_SEC_MODULES) + 1) << 32;
	struct ht_module m = {.bias = start,
		.start = start,
		.end = start + (1u << 24),
		.path = synth_string(s, path)};

	return synth_add(s, HT_SEC_MODULES, &m);
}

uint32_t synth_thread(struct synth *s, const char *name)
{
	struct ht_thread t = {.tid = 100 + count(s, HT_SEC_THREADS), .threads = 1};

	memcpy(t.name, name, strnlen(name, sizeof(t.name) - 1));
	return synth_add(s, HT_SEC_THREADS, &t);
}

uint32_t synth_site(struct synth *s, uint32_t parent, uint32_t module, uint64_t offset)
{
	struct ht_site site = {.parent = parent, .module = (uint16_t)module, .offset = offset};

	for (uint32_t i = 1; i < count(s, HT_SEC_SITES); i++)
		if (memcmp(synth_at(s, HT_SEC_SITES, i), &site, sizeof(site)) == 0)
			return i;
	return synth_add(s, HT_SEC_SITES, &site);
}

void synth_frame(struct synth *s, uint32_t module, uint64_t offset, const char *function,
	const char *file, uint32_t line)
{
	struct ht_function f = {.module = (uint16_t)module};
	struct ht_frame frame = {.line = line};
	struct ht_location *l, fresh = {.module = (uint16_t)module, .offset = offset};
	uint32_t i;

	add_text(s, HT_SEC_NAMES, "");
	f.name = add_text(s, HT_SEC_NAMES, function);
	f.file = file ? add_text(s, HT_SEC_NAMES, file) : 0;
	f.flags = line ? 0 : HT_FUNCTION_NO_LINES;
	for (i = 0; i < count(s, HT_SEC_FUNCTIONS); i++)
		if (memcmp(synth_at(s, HT_SEC_FUNCTIONS, i), &f, sizeof(f)) == 0)
			break;
	if (i == count(s, HT_SEC_FUNCTIONS))
		synth_add(s, HT_SEC_FUNCTIONS, &f);
	frame.function = i;

	for (i = 0; i < count(s, HT_SEC_LOCATIONS); i++) {
		l = synth_at(s, HT_SEC_LOCATIONS, i);
		if (l->module == module && l->offset == offset)
			break;
	}
	if (i == count(s, HT_SEC_LOCATIONS)) {
		fresh.first_frame = count(s, HT_SEC_FRAMES);
		synth_add(s, HT_SEC_LOCATIONS, &fresh);
	}
	l = synth_at(s, HT_SEC_LOCATIONS, i);
	if (l->first_frame + l->n_frames !=
		count(s, HT_SEC_FRAMES)) { /* others came since: move to the end */
		uint32_t first = count(s, HT_SEC_FRAMES);
		for (uint32_t k = 0; k < l->n_frames; k++) {
			struct ht_frame copy =
				*(struct ht_frame *)synth_at(s, HT_SEC_FRAMES, l->first_frame + k);
			synth_add(s, HT_SEC_FRAMES, &copy);
		}
		l->first_frame = first;
	}
	synth_add(s, HT_SEC_FRAMES, &frame);
	l->n_frames++;
}

uint32_t synth_call(struct synth *s, uint32_t parent, const char *name)
{
	if (count(s, HT_SEC_MODULES) < 2)
		synth_module(s, "/usr/bin/prog");
	for (uint32_t i = 0; i < count(s, HT_SEC_LOCATIONS); i++) {
		const struct ht_location *l = synth_at(s, HT_SEC_LOCATIONS, i);
		const struct ht_frame *frame = synth_at(s, HT_SEC_FRAMES, l->first_frame);
		const struct ht_function *f = synth_at(s, HT_SEC_FUNCTIONS, frame->function);
		if (l->module == 1 && l->n_frames == 1 &&
			strcmp(synth_at(s, HT_SEC_NAMES, f->name), name) == 0)
			return synth_site(s, parent, 1, l->offset);
	}
	uint64_t offset = s->next_offset;
	s->next_offset += 16;
	synth_frame(s, 1, offset, name, NULL, 0);
	return synth_site(s, parent, 1, offset);
}

uint32_t synth_stack(struct synth *s, const char *const *names)
{
	uint32_t site = 0;

	for (; *names; names++)
		site = synth_call(s, site, *names);
	return site;
}

void synth_flags(struct synth *s, const char *name, uint16_t flags)
{
	for (uint32_t i = 0; i < count(s, HT_SEC_FUNCTIONS); i++) {
		struct ht_function *f = synth_at(s, HT_SEC_FUNCTIONS, i);
		if (!strcmp(synth_at(s, HT_SEC_NAMES, f->name), name))
			f->flags |= flags;
	}
}

uint32_t synth_unnamed(struct synth *s, const char *path, uint64_t offset)
{
	uint32_t module;
	const char *slash = strrchr(path, '/');
	char name[64];

	for (module = 1; module < count(s, HT_SEC_MODULES); module++) {
		const struct ht_module *m = synth_at(s, HT_SEC_MODULES, module);
		if (!strcmp(synth_at(s, HT_SEC_STRINGS, m->path), path))
			break;
	}
	if (module == count(s, HT_SEC_MODULES))
		module = synth_module(s, path);
	snprintf(name, sizeof(name), "%s+0x%llx", slash ? slash + 1 : path,
		(unsigned long long)offset);
	synth_frame(s, module, offset, name, NULL, 0);
	synth_flags(s, name, HT_FUNCTION_UNNAMED);
	return synth_site(s, 0, module, offset);
}

uint32_t synth_bucket(struct synth *s, uint32_t site, uint64_t bytes)
{
	struct ht_bucket b = {.site = site, .size_class = (uint16_t)ht_size_class(bytes)};

	for (uint32_t i = 1; i < count(s, HT_SEC_BUCKETS); i++)
		if (memcmp(synth_at(s, HT_SEC_BUCKETS, i), &b, sizeof(b)) == 0)
			return i;
	return synth_add(s, HT_SEC_BUCKETS, &b);
}

struct ht_counters *synth_counters(struct synth *s, uint32_t bucket, uint32_t thread)
{
	if (bucket >= count(s, HT_SEC_BUCKETS))
		refuse("no such bucket");
	return synth_at(s, HT_SEC_COUNTERS, find_counters(s, bucket, thread));
}

void synth_alloc(struct synth *s, uint32_t bucket, uint32_t thread, uint64_t n, uint64_t bytes)
{
	struct ht_counters *c = wake(s, bucket, thread);

	c->allocs += n;
	c->alloc_bytes += n * bytes;
	arrive(c, n, bytes);
	turn(s, (int64_t)(n * bytes));
}

uint32_t synth_hold(struct synth *s, uint32_t site, uint64_t n, uint64_t bytes)
{
	uint32_t bucket = synth_bucket(s, site, bytes);

	synth_alloc(s, bucket, 0, n, bytes);
	return bucket;
}

void synth_free(struct synth *s, uint32_t bucket, uint32_t thread, uint64_t n, uint64_t bytes)
{
	turn(s, -(int64_t)(n * bytes));
	struct ht_counters *c = wake(s, bucket, thread);
	c->frees += n;
	c->live_count -= (int64_t)n;
	c->live_bytes -= (int64_t)(n * bytes);
}

void synth_realloc(struct synth *s, uint32_t from, uint32_t to, uint32_t thread,
	uint64_t from_bytes, uint64_t to_bytes)
{
	struct ht_regrow step = {.from = from, .to = to}, *r;
	uint32_t i;

	/* as the real thing: one event, so that no peak is seen half way */
	turn(s, (int64_t)(to_bytes - from_bytes));
	struct ht_counters *c = wake(s, from, thread);
	c->live_count--;
	c->live_bytes -= (int64_t)from_bytes;
	arrive(wake(s, to, thread), 1, to_bytes);

	for (i = 0; i < count(s, HT_SEC_REGROWS); i++) {
		r = synth_at(s, HT_SEC_REGROWS, i);
		if (r->from == from && r->to == to)
			break;
	}
	if (i == count(s, HT_SEC_REGROWS))
		synth_add(s, HT_SEC_REGROWS, &step);
	r = synth_at(s, HT_SEC_REGROWS, i);
	r->count++;
	r->from_bytes += from_bytes;
	r->to_bytes += to_bytes;
	r->moved++;
	r->copied_bytes += from_bytes < to_bytes ? from_bytes : to_bytes;
}

void synth_chain(struct synth *s, uint32_t origin, uint64_t bytes, uint64_t ended, uint64_t regrows,
	uint64_t copied_bytes)
{
	struct ht_chain c = {.origin = origin,
		.size_class = (uint16_t)ht_size_class(bytes),
		.ended = ended,
		.regrows = regrows,
		.copied_bytes = copied_bytes};

	synth_add(s, HT_SEC_CHAINS, &c);
}

void synth_point(struct synth *s, uint64_t ticks)
{
	struct ht_point p = {.ticks = ticks, .live_bytes = s->header.live_bytes};

	if (count(s, HT_SEC_TIMELINE) == HT_TIMELINE_POINTS)
		synth_coarsen(s);
	synth_add(s, HT_SEC_TIMELINE, &p);
	s->header.stamp++;
}

void synth_coarsen(struct synth *s)
{
	struct synth_table *t = &s->tables[HT_SEC_TIMELINE];

	for (uint32_t k = 0; k < t->n / 2; k++)
		memcpy(synth_at(s, HT_SEC_TIMELINE, k), synth_at(s, HT_SEC_TIMELINE, 2 * k + 1),
			sizeof(struct ht_point));
	t->n /= 2;
	s->header.point_generation++;
	s->header.point_ticks *= 2;
}

uint32_t synth_mark(struct synth *s, const char *name, const char *numbers, uint64_t ticks)
{
	struct ht_mark m = {.ticks = ticks,
		.name = synth_string(s, name),
		.numbers = synth_string(s, numbers),
		.live_bytes = s->header.live_bytes};

	s->header.mark_stamp = ++s->header.stamp;
	return synth_add(s, HT_SEC_MARKS, &m);
}

void synth_follow(struct synth *s, uint32_t bucket, uint32_t thread)
{
	uint32_t record = find_counters(s, bucket, thread), n_points = count(s, HT_SEC_TIMELINE);
	struct ht_history row = {.bucket = bucket,
		.counters = record,
		.generation = s->header.point_generation,
		.first = n_points,
		.next = n_points};

	wake(s, bucket, thread)->stamp_row |= synth_add(s, HT_SEC_HISTORY, &row);
}

void *synth_image(struct synth *s, size_t *bytes)
{
	struct ht_header *h = &s->header;
	size_t end = HT_EXTENTS_OFFSET + HT_MAX_EXTENTS * sizeof(struct ht_extent), n_extents = 0;
	size_t capacity = 2 * end;
	char *image = need(calloc(1, capacity));

	h->strings_bytes = count(s, HT_SEC_STRINGS);
	h->n_modules = count(s, HT_SEC_MODULES);
	h->n_sites = count(s, HT_SEC_SITES);
	h->n_buckets = count(s, HT_SEC_BUCKETS);
	h->n_counters = count(s, HT_SEC_OWNERS);
	h->n_light = count(s, HT_SEC_LIGHT);
	h->n_regrows = count(s, HT_SEC_REGROWS);
	h->n_chains = count(s, HT_SEC_CHAINS);
	h->n_threads = count(s, HT_SEC_THREADS);
	h->n_history = count(s, HT_SEC_HISTORY);
	h->n_points = count(s, HT_SEC_TIMELINE);
	h->n_marks = count(s, HT_SEC_MARKS);
	h->n_phases = count(s, HT_SEC_PHASES);
	h->n_contents = count(s, HT_SEC_CONTENTS);
	memcpy(image, h, sizeof(*h));

	if (s->tables[HT_SEC_LOCATIONS].n)
		qsort(s->tables[HT_SEC_LOCATIONS].bytes, s->tables[HT_SEC_LOCATIONS].n,
			sizeof(struct ht_location), location_order);
	for (unsigned part = 0; part < s->extents; part++) {
		for (uint32_t section = 1; section < HT_SEC_COUNT; section++) {
			const struct synth_table *t = &s->tables[section];
			size_t size = record_bytes[section], from = t->n * part / s->extents,
			       to = t->n * (part + 1) / s->extents, raw = (to - from) * size;
			/* names carry no count in the header, so there spare records would count */
			if (part + 1 == s->extents &&
				(section < HT_SEC_FUNCTIONS || section > HT_SEC_NAMES))
				raw += s->spare * size;
			if (raw == 0)
				continue;
			if (n_extents == HT_MAX_EXTENTS)
				refuse("too many extents");
			struct ht_extent x = {.section = section,
				.codec = HT_CODEC_RAW,
				.offset = end,
				.stored_bytes = raw,
				.raw_bytes = raw};
			size_t new_end = (end + raw + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
			if (new_end > capacity) {
				size_t old = capacity;
				capacity = 2 * new_end;
				image = need(realloc(image, capacity));
				memset(image + old, 0, capacity - old);
			}
			if (to > from)
				memcpy(image + end, t->bytes + from * size, (to - from) * size);
			memcpy(image + HT_EXTENTS_OFFSET + n_extents++ * sizeof(x), &x, sizeof(x));
			end = new_end;
		}
	}
	*bytes = end;
	return image;
}

void synth_save(const void *image, size_t bytes, const char *path)
{
	static const char zeros[PAGE_BYTES];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		refuse("cannot create the file");
	for (size_t at = 0; at < bytes; at += PAGE_BYTES) {
		size_t n = bytes - at < PAGE_BYTES ? bytes - at : PAGE_BYTES;
		const char *page = (const char *)image + at;
		if (memcmp(page, zeros, n) != 0 && pwrite(fd, page, n, (off_t)at) != (ssize_t)n)
			refuse("cannot write the file");
	}
	close(fd);
}

void synth_write(struct synth *s, const char *path)
{
	size_t bytes;
	void *image = synth_image(s, &bytes);

	synth_save(image, bytes, path);
	free(image);
}

void synth_tally(struct synth *s, struct tally *t)
{
	struct error e;
	char path[64];
	int fd = memfd_create("synth", MFD_CLOEXEC);

	if (fd < 0)
		refuse("no memfd");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	synth_write(s, path);
	if (tally_read(t, path, &e) < 0)
		refuse(e.text);
	close(fd);
}
