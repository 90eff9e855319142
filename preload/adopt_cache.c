/* SPDX-License-Identifier: MIT */
/* The finder's memory across processes: one small file a module. */
#include "adopt_cache.h"

#include <string.h>
#include <sys/stat.h>

#include "sys.h"

#define CACHE_VERSION 5u /* counts up when the finder or struct find_result changes its mind */
#define KEY_BYTES     24u

struct entry {
	char magic[8];
	uint32_t version;
	uint32_t result_bytes;
	uint8_t key[KEY_BYTES];
	uint64_t checksum; /* of result */
	uint32_t unable;   /* result.unable is a pointer, and means nothing here */
	uint32_t reserved;
	struct find_result result;
};

static const char magic[8] = "htfind\n";
static char directory[1024];

static uint64_t fnv1a(const void *data, size_t bytes, uint64_t hash)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return hash;
}

static bool make_key(const struct ht_module *m, const char *path, uint8_t key[KEY_BYTES])
{
	struct stat st;

	memset(key, 0, KEY_BYTES);
	if (m->build_id_bytes) {
		key[0] = m->build_id_bytes;
		memcpy(key + 1, m->build_id, m->build_id_bytes);
		return true;
	}
	int fd = sys_file_open_to_read(path);
	if (fd < 0)
		return false;
	int r = sys_file_stat(fd, &st);
	sys_file_close(fd);
	if (r < 0)
		return false;
	uint64_t told[4] = {(uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
		(uint64_t)st.st_mtim.tv_nsec, (uint64_t)st.st_ino};
	uint64_t hash = fnv1a(path, strlen(path), 0xcbf29ce484222325u);
	memcpy(key + 1, &hash, 8);
	hash = fnv1a(told, sizeof(told), hash);
	memcpy(key + 9, &hash, 8);
	return true;
}

static void file_name(const uint8_t key[KEY_BYTES], const char *suffix, char *out, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = strlen(directory);

	memcpy(out, directory, n);
	out[n++] = '/';
	for (unsigned i = 0; i < KEY_BYTES && n + 8 < size; i++) {
		out[n++] = hex[key[i] >> 4];
		out[n++] = hex[key[i] & 15];
	}
	strcpy(out + n, suffix);
}

/* The loader of the next process may be us: a pointer must not be in a file. */
static void seal(struct entry *e)
{
	e->unable = e->result.unable != NULL;
	e->result.unable = NULL;
	e->checksum = fnv1a(&e->result, sizeof(e->result), 0xcbf29ce484222325u);
}

void adopt_cache_init(const char *xdg_cache_home, const char *home)
{
	const char *base = xdg_cache_home && xdg_cache_home[0] == '/' ? xdg_cache_home : home;
	size_t n = base ? strlen(base) : 0;

	directory[0] = '\0';
	if (n == 0 || base[0] != '/' || n > sizeof(directory) - 64)
		return;
	memcpy(directory, base, n + 1);
	if (base == home)
		strcpy(directory + n, "/.cache");
	sys_make_directory(directory);
	strcpy(directory + strlen(directory), "/heaptally");
	sys_make_directory(directory);
}

bool adopt_cache_load(const struct ht_module *m, const char *path, struct find_result *found)
{
	struct entry *e = sys_map(sizeof(*e));
	char name[1200];
	uint8_t key[KEY_BYTES];
	bool good = false;

	if (e && directory[0] && make_key(m, path, key)) {
		file_name(key, "", name, sizeof(name));
		/* one byte more than there may be, since sys_read_all ends with NUL */
		int n = sys_read_all(name, (char *)e, sizeof(*e) + 1);
		good = n == (int)sizeof(*e) && memcmp(e->magic, magic, sizeof(magic)) == 0 &&
		       e->version == CACHE_VERSION && e->result_bytes == sizeof(e->result) &&
		       memcmp(e->key, key, KEY_BYTES) == 0 &&
		       e->checksum == fnv1a(&e->result, sizeof(e->result), 0xcbf29ce484222325u);
	}
	if (good) {
		*found = e->result;
		found->unable = e->unable ? "remembered" : NULL;
	}
	if (e)
		sys_unmap(e, sizeof(*e));
	return good;
}

void adopt_cache_store(const struct ht_module *m, const char *path, const struct find_result *found)
{
	struct entry *e = sys_map(sizeof(*e));
	char name[1200], part[1200];
	uint8_t key[KEY_BYTES];

	if (e && directory[0] && make_key(m, path, key)) {
		memcpy(e->magic, magic, sizeof(magic));
		e->version = CACHE_VERSION;
		e->result_bytes = sizeof(e->result);
		memcpy(e->key, key, KEY_BYTES);
		e->result = *found;
		seal(e);
		file_name(key, "", name, sizeof(name));
		file_name(key, ".part", part, sizeof(part));
		sys_file_write_whole(part, name, e, sizeof(*e));
	}
	if (e)
		sys_unmap(e, sizeof(*e));
}
