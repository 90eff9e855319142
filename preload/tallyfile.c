/* SPDX-License-Identifier: MIT */
/* The mapped profile file: reservation, extents, name. */
#include "tallyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HIGH_FD      700        /* out of the way of hosts that use small descriptors */
#define LET_GO_BYTES (1u << 20) /* at once */

struct section {
	uint32_t record_bytes;
	uint32_t max_records;
	uint64_t first_bytes; /* of the first extent */
	uint64_t offset;      /* in the reservation */
	uint64_t mapped_bytes;
	uint64_t reserved_bytes;
	uint64_t let_go_bytes; /* from the start on */
};

static struct section sections[HT_SEC_COUNT];
static struct sys_lock grow_lock;
static char *reservation;
static uint64_t file_bytes;
static uint32_t n_extents;
static struct ht_extent *extents;
static int file_fd = -1;
static uint64_t file_device, file_inode;
static bool named;
static char file_path[4096];

struct tallyfile tally;

static const struct {
	enum ht_section section;
	uint32_t record_bytes;
	uint32_t max_records;
	uint32_t first_records;
} layout[] = {
	{HT_SEC_STRINGS, 1, 16u << 20, 16384},
	{HT_SEC_MODULES, sizeof(struct ht_module), 65535, 1},
	{HT_SEC_SITES, sizeof(struct ht_site), 16u << 20, 8192},
	{HT_SEC_BUCKETS, sizeof(struct ht_bucket), 4u << 20, 4096},
	{HT_SEC_OWNERS, sizeof(struct ht_owner), 16u << 20, 1024},
	{HT_SEC_COUNTERS, sizeof(struct ht_counters), 16u << 20, 1024},
	{HT_SEC_LIGHT, sizeof(struct ht_light), 16u << 20, 1024},
	{HT_SEC_REGROWS, sizeof(struct ht_regrow), 1u << 20, 1},
	{HT_SEC_CHAINS, sizeof(struct ht_chain), 1u << 20, 1},
	{HT_SEC_THREADS, sizeof(struct ht_thread), 16384, 1},
	{HT_SEC_TIMELINE, sizeof(struct ht_point), HT_TIMELINE_POINTS, HT_TIMELINE_POINTS},
	{HT_SEC_HISTORY, sizeof(struct ht_history), 8192, 1},
	{HT_SEC_MARKS, sizeof(struct ht_mark), HT_MAX_MARKS, 1},
	{HT_SEC_PHASES, sizeof(struct ht_phase), 8u << 20, 1},
	{HT_SEC_CONTENTS, sizeof(struct ht_content), 4u << 20, 1},
	{HT_SEC_SNAPSHOTS, sizeof(struct ht_snapshot), 2, 2},
	{HT_SEC_LOCALITY, sizeof(struct ht_locality), 512u << 10, 1},
};

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Extents hold whole records and whole pages. */
static uint64_t extent_unit(uint32_t record_bytes)
{
	uint64_t unit = record_bytes;

	while (unit % SYS_PAGE_BYTES)
		unit += record_bytes;
	return unit;
}

static bool is_our_file(int fd)
{
	struct stat st;

	return fd >= 0 && sys_file_stat(fd, &st) == 0 && st.st_dev == file_device &&
	       st.st_ino == file_inode;
}

/* The host may have closed our descriptor and opened something else under its number: look before each use. */
static int usable_fd(void)
{
	if (is_our_file(file_fd))
		return file_fd;
	file_fd = -1;
	if (!named)
		return -EBADF;
	int fd = sys_file_open(file_path);
	if (fd >= 0 && !is_our_file(fd)) {
		sys_file_close(fd);
		return -EBADF;
	}
	if (fd >= 0)
		file_fd = fd;
	return fd;
}

static int add_extent(enum ht_section type, uint64_t bytes)
{
	struct section *s = &sections[type];
	int fd = usable_fd();

	if (fd < 0)
		return fd;
	if (n_extents == HT_MAX_EXTENTS || s->mapped_bytes + bytes > s->reserved_bytes)
		return -ENOSPC;
	int r = sys_file_allocate(fd, file_bytes, bytes);
	if (r < 0)
		return r;
	r = sys_map_file(reservation + s->offset + s->mapped_bytes, bytes, fd, file_bytes);
	if (r < 0)
		return r;
	struct ht_extent *e = &extents[n_extents++];
	e->codec = HT_CODEC_RAW;
	e->offset = file_bytes;
	e->stored_bytes = e->raw_bytes = bytes;
	/* release: a reader that sees the type sees the rest */
	__atomic_store_n(&e->section, type, __ATOMIC_RELEASE);
	file_bytes += bytes;
	/* release: whoever sees the room may use the mapping */
	__atomic_store_n(&s->mapped_bytes, s->mapped_bytes + bytes, __ATOMIC_RELEASE);
	return 0;
}

/* Lays the sections out in one reservation, smaller by `shrink` where address space is scarce. */
static bool reserve_sections(unsigned shrink)
{
	uint64_t total = HT_EXTENTS_OFFSET + HT_MAX_EXTENTS * sizeof(struct ht_extent);

	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
		struct section *s = &sections[layout[i].section];
		uint64_t unit = extent_unit(layout[i].record_bytes);
		uint32_t max = layout[i].max_records >> shrink;

		if (max < layout[i].first_records)
			max = layout[i].first_records;
		s->record_bytes = layout[i].record_bytes;
		s->first_bytes =
			round_up((uint64_t)layout[i].first_records * s->record_bytes, unit);
		s->reserved_bytes = round_up((uint64_t)max * s->record_bytes, unit);
		s->max_records = max;
		s->mapped_bytes = s->let_go_bytes = 0;
		s->offset = total;
		total += s->reserved_bytes;
	}
	reservation = sys_reserve(total);
	return reservation != NULL;
}

static char *append(char *at, char *end, const char *s)
{
	while (*s && at < end - 1)
		*at++ = *s++;
	*at = '\0';
	return at;
}

static char *append_number(char *at, char *end, uint32_t value)
{
	char digits[12];
	int n = sizeof(digits) - 1;

	digits[n] = '\0';
	do
		digits[--n] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	return append(at, end, digits + n);
}

/* heaptally.PROGRAM.PID.tally, or ...PID-2.tally when exec has been there before. */
static void make_path(const char *directory, const char *program, unsigned attempt)
{
	char *end = file_path + sizeof(file_path), *at = append(file_path, end, directory);

	at = append(at, end, "/heaptally.");
	at = append(at, end, program);
	at = append(at, end, ".");
	at = append_number(at, end, sys_pid());
	if (attempt > 1) {
		at = append(at, end, "-");
		at = append_number(at, end, attempt);
	}
	append(at, end, ".tally");
}

static char path_directory[4096], path_program[256];

/* Creates the file: unnamed where that works, else under its name at once. */
static int create_file(void)
{
	int fd = sys_file_unnamed(path_directory);

	named = false;
	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL) {
		for (unsigned attempt = 1; attempt < 1000; attempt++) {
			make_path(path_directory, path_program, attempt);
			fd = sys_file_create(file_path);
			if (fd != -EEXIST)
				break;
		}
		named = fd >= 0;
	}
	return fd < 0 ? fd : sys_file_move_high(fd, HIGH_FD);
}

int tallyfile_open(const char *directory, const char *program)
{
	struct stat st;
	int r;

	if (is_our_file(file_fd)) /* the parent's, in a forked child */
		sys_file_close(file_fd);
	memset(&grow_lock, 0, sizeof(grow_lock));
	memset(&tally, 0, sizeof(tally));
	n_extents = 0;
	append(path_directory, path_directory + sizeof(path_directory), directory);
	append(path_program, path_program + sizeof(path_program), program);
	for (unsigned shrink = 0; !reserve_sections(shrink); shrink += 2)
		if (shrink >= 6)
			return -ENOMEM;
	file_fd = create_file();
	if (file_fd < 0)
		return file_fd;
	r = sys_file_stat(file_fd, &st);
	if (r < 0)
		goto fail;
	file_device = st.st_dev;
	file_inode = st.st_ino;
	uint64_t head = HT_EXTENTS_OFFSET + HT_MAX_EXTENTS * sizeof(struct ht_extent);
	r = sys_file_allocate(file_fd, 0, head);
	if (r < 0)
		goto fail;
	r = sys_map_file(reservation, head, file_fd, 0);
	if (r < 0)
		goto fail;
	file_bytes = head;
	extents = (struct ht_extent *)(reservation + HT_EXTENTS_OFFSET);
	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
		r = add_extent(layout[i].section, sections[layout[i].section].first_bytes);
		if (r < 0)
			goto fail;
	}
#define table(field, type) tally.field = (void *)(reservation + sections[type].offset)
	table(strings, HT_SEC_STRINGS);
	table(modules, HT_SEC_MODULES);
	table(sites, HT_SEC_SITES);
	table(buckets, HT_SEC_BUCKETS);
	table(owners, HT_SEC_OWNERS);
	table(counters, HT_SEC_COUNTERS);
	table(light, HT_SEC_LIGHT);
	table(regrows, HT_SEC_REGROWS);
	table(chains, HT_SEC_CHAINS);
	table(threads, HT_SEC_THREADS);
	table(points, HT_SEC_TIMELINE);
	table(history, HT_SEC_HISTORY);
	table(marks, HT_SEC_MARKS);
	table(phases, HT_SEC_PHASES);
	table(contents, HT_SEC_CONTENTS);
	table(snapshots, HT_SEC_SNAPSHOTS);
	table(locality, HT_SEC_LOCALITY);
#undef table
	struct ht_header *h = (struct ht_header *)reservation;
	h->version = HT_VERSION;
	h->header_bytes = sizeof(*h);
	h->strings_bytes = 1;
	tally.header = h;
	return 0;
fail:
	if (named)
		sys_file_remove(file_path);
	sys_file_close(file_fd);
	file_fd = -1;
	return r;
}

void tallyfile_let_go(enum ht_section type, uint32_t count)
{
	struct section *s = &sections[type];
	uint64_t end = (uint64_t)count * s->record_bytes & ~(SYS_PAGE_BYTES - 1);

	if (end - s->let_go_bytes < LET_GO_BYTES)
		return;
	/* The mapping is a file's: what was written stays in it. */
	sys_discard(reservation + s->offset + s->let_go_bytes, end - s->let_go_bytes);
	s->let_go_bytes = end;
}

bool tallyfile_room(enum ht_section type, uint32_t count)
{
	struct section *s = &sections[type];
	uint64_t bytes = (uint64_t)count * s->record_bytes;

	/* acquire: pairs with the release in add_extent */
	if (likely(bytes <= __atomic_load_n(&s->mapped_bytes, __ATOMIC_ACQUIRE)))
		return true;
	if (count > s->max_records)
		return false;
	sys_lock(&grow_lock);
	bool ok = true;
	while (ok && bytes > s->mapped_bytes) {
		uint64_t unit = extent_unit(s->record_bytes);
		uint64_t grow = s->mapped_bytes; /* double, up to 8 MiB at a time */

		if (grow > (8u << 20))
			grow = 8u << 20;
		grow = round_up(grow, unit);
		if (s->mapped_bytes + grow > s->reserved_bytes)
			grow = s->reserved_bytes - s->mapped_bytes;
		ok = grow > 0 && add_extent(type, grow) == 0;
		if (!ok && grow > unit) /* the last crumbs of a disk */
			ok = add_extent(type, unit) == 0;
	}
	sys_unlock(&grow_lock);
	if (!ok)
		tallyfile_dropped(HT_DROP_NO_SPACE);
	return ok;
}

void tallyfile_keep(void)
{
	if (named)
		return;
	sys_lock(&grow_lock);
	int fd = usable_fd();
	for (unsigned attempt = 1; !named && fd >= 0 && attempt < 1000; attempt++) {
		make_path(path_directory, path_program, attempt);
		int r = sys_file_link(fd, file_path);
		named = r == 0;
		if (r != -EEXIST)
			break;
	}
	sys_unlock(&grow_lock);
}

void tallyfile_discard(void)
{
	if (named)
		sys_file_remove(file_path);
}

uint32_t tallyfile_string(const char *s)
{
	uint64_t bytes = strlen(s) + 1;

	if (bytes == 1)
		return 0;
	/* One adder for all: an offset is taken first and filled then; readers get offsets from records that are
	 * published later. */
	uint64_t at = __atomic_fetch_add(&tally.header->strings_bytes, bytes, __ATOMIC_RELAXED);
	if (at + bytes > UINT32_MAX || !tallyfile_room(HT_SEC_STRINGS, (uint32_t)(at + bytes)))
		return 0;
	memcpy(tally.strings + at, s, bytes);
	return (uint32_t)at;
}
