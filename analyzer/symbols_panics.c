/* SPDX-License-Identifier: MIT */
/*
 * Functions without a symbol, told by their panics. A Rust function that may panic passes a core::panic::Location, which
 * stripping leaves: { &str file; u32 line, column }, 24 bytes in a section of constants. The code reaches it by
 * lea reg, [rip + offset]. So the source files that a function refers to are known, those of what is inlined in it among
 * them: the file with the most references is taken, of the program's own crates before those that cargo fetched before
 * the standard library's.
 */
#include <stdio.h>

#include "symbols_internal.h"

#define MOST_PATH_BYTES 512u
#define MOST_LINE       (1u << 20)
#define LEA_BYTES       7u

struct section {
	uint64_t address;
	const unsigned char *bytes;
	size_t n;
};

struct sections {
	struct section *v;
	size_t n, cap;
};

/* A place in the source, at the address of its location or of an instruction that refers to that. */
struct panic {
	uint64_t address;
	const char *path; /* in the file, not terminated */
	uint32_t path_bytes, line;
};

struct locations {
	struct panic *v;
	size_t n, cap;
};

/* Both begin with it. */
static int address_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* How many elements of a sorted array, each of which begins with its address, lie below one. */
static size_t count_below(const void *v, size_t n, size_t element_bytes, uint64_t address)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (*(const uint64_t *)((const char *)v + middle * element_bytes) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const unsigned char *bytes_at(const struct sections *s, uint64_t address, uint64_t n)
{
	size_t begun = count_below(s->v, s->n, sizeof(*s->v), address + 1);
	if (!begun)
		return NULL;
	const struct section *in = &s->v[begun - 1];
	uint64_t at = address - in->address;
	return at < in->n && n <= in->n - at ? in->bytes + at : NULL;
}

/* Whether there is a location, where the pointer in its first word is `text`. */
static bool location_read(
	struct panic *l, const struct sections *constants, uint64_t address, uint64_t text)
{
	const unsigned char *at = bytes_at(constants, address, 24);
	uint64_t n;
	uint32_t column;
	if (!at)
		return false;
	memcpy(&n, at + 8, sizeof(n));
	memcpy(&l->line, at + 16, sizeof(l->line));
	memcpy(&column, at + 20, sizeof(column));
	if (n <= 3 || n > MOST_PATH_BYTES || !l->line || l->line > MOST_LINE || !column ||
		column > MOST_LINE)
		return false;
	l->address = address;
	l->path = (const char *)bytes_at(constants, text, n);
	l->path_bytes = (uint32_t)n;
	if (!l->path || memcmp(l->path + n - 3, ".rs", 3))
		return false;
	for (uint64_t i = 0; i < n; i++)
		if ((unsigned char)l->path[i] < ' ')
			return false;
	return true;
}

static bool locations_add(
	struct locations *to, const struct sections *constants, uint64_t address, uint64_t text)
{
	struct panic l;
	if (!location_read(&l, constants, address, text))
		return true;
	if (!grow(&to->v, to->n, &to->cap, sizeof(*to->v)))
		return false;
	to->v[to->n++] = l;
	return true;
}

/* Pointers that the loader writes: the file has them in its relocations. */
static bool locations_by_relocations(
	struct locations *to, const struct image *image, const struct sections *constants)
{
	for (Elf_Scn *s = NULL; (s = elf_nextscn(image->elf, s));) {
		GElf_Shdr header;
		if (!gelf_getshdr(s, &header) || header.sh_type != SHT_RELA ||
			!(header.sh_flags & SHF_ALLOC))
			continue;
		Elf_Data *data = elf_getdata(s, NULL);
		size_t n = data ? data->d_size / sizeof(Elf64_Rela) : 0;
		for (size_t i = 0; i < n && i < INT32_MAX; i++) {
			GElf_Rela r;
			if (gelf_getrela(data, (int)i, &r) &&
				GELF_R_TYPE(r.r_info) == R_X86_64_RELATIVE &&
				!locations_add(to, constants, r.r_offset, (uint64_t)r.r_addend))
				return false;
		}
	}
	return true;
}

/* Pointers that are in place: where the loader only adds its base (SHT_RELR), or the address is fixed. */
static bool locations_in_place(struct locations *to, const struct sections *constants)
{
	for (size_t i = 0; i < constants->n; i++) {
		const struct section *s = &constants->v[i];
		for (size_t at = -s->address & 7; at + 24 <= s->n; at += 8) {
			uint64_t text;
			memcpy(&text, s->bytes + at, sizeof(text));
			if (text && !locations_add(to, constants, s->address + at, text))
				return false;
		}
	}
	return true;
}

/* Looks at every byte: what is no instruction hits a location by chance only, once in 2^32 / their number. */
static bool panics_find(
	struct object *o, const struct section *code, const struct locations *locations)
{
	const unsigned char *at = code->bytes, *end = at + code->n;
	while (end - at >= LEA_BYTES &&
		(at = memchr(at + 1, 0x8d, (size_t)(end - at - LEA_BYTES + 1)))) {
		int32_t offset;
		if ((at[-1] & 0xfb) != 0x48 || (at[1] & 0xc7) != 0x05)
			continue;
		memcpy(&offset, at + 2, sizeof(offset));
		uint64_t address = code->address + (uint64_t)(at - 1 - code->bytes);
		uint64_t refers_to = address + LEA_BYTES + (uint64_t)(int64_t)offset;
		const struct panic *l = bsearch(
			&refers_to, locations->v, locations->n, sizeof(*l), address_compare);
		if (!l)
			continue;
		if (!grow(&o->panics, o->n_panics, &o->cap_panics, sizeof(*o->panics)))
			return false;
		o->panics[o->n_panics] = *l;
		o->panics[o->n_panics++].address = address;
	}
	return true;
}

/* False when out of memory. */
static bool sections_read(const struct image *image, bool code, struct sections *out)
{
	for (Elf_Scn *s = NULL; (s = elf_nextscn(image->elf, s));) {
		GElf_Shdr header;
		if (!gelf_getshdr(s, &header) || header.sh_type != SHT_PROGBITS ||
			!(header.sh_flags & SHF_ALLOC) ||
			!!(header.sh_flags & SHF_EXECINSTR) != code)
			continue;
		Elf_Data *data = elf_rawdata(s, NULL);
		if (!data || !data->d_buf)
			continue;
		if (!grow(&out->v, out->n, &out->cap, sizeof(*out->v)))
			return false;
		out->v[out->n++] = (struct section){header.sh_addr, data->d_buf, data->d_size};
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), address_compare);
	return true;
}

/* False when out of memory. */
static bool panics_load(struct object *o)
{
	struct sections constants = {0}, code = {0};
	struct locations locations = {0};
	bool good = sections_read(&o->own, false, &constants) &&
		    sections_read(&o->own, true, &code) &&
		    locations_by_relocations(&locations, &o->own, &constants) &&
		    locations_in_place(&locations, &constants);
	if (locations.n)
		qsort(locations.v, locations.n, sizeof(*locations.v), address_compare);
	for (size_t i = 0; good && locations.n && i < code.n; i++)
		good = panics_find(o, &code.v[i], &locations);
	free(locations.v);
	free(constants.v);
	free(code.v);
	return good;
}

/* How close a path is to the program: the standard library's 1, that of what cargo fetched 2, its own 3. */
static unsigned closeness(const char *path)
{
	if (!strncmp(path, "/rustc/", 7) || !strncmp(path, "/rust/deps/", 11) ||
		strstr(path, "/rustlib/src/rust/"))
		return 1;
	return strstr(path, "/registry/src/") || strstr(path, "/git/checkouts/") ? 2 : 3;
}

/* Without the version of name-1.2.3. */
static size_t crate_bytes(const char *crate, size_t n)
{
	for (size_t i = 1; i + 1 < n; i++) {
		size_t digits = i + 1;
		while (digits < n && crate[digits] >= '0' && crate[digits] <= '9')
			digits++;
		if (crate[i] == '-' && digits > i + 1 && digits < n && crate[digits] == '.')
			return i;
	}
	return n;
}

static void put_identifier(char *out, const char *s, size_t n)
{
	char *end = out + strlen(out);
	for (size_t i = 0; i < n; i++, s++)
		*end++ = (*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z') ? *s
											    : '_';
	*end = '\0';
}

/*
 * .../crate-1.2.3/src/a/mod.rs → crate::a, src/lib.rs → crate::lib; false: not laid out like that. out: room for 2 bytes
 * a byte of the path and 16.
 */
static bool module_path(char *out, const char *path)
{
	const char *src = NULL, *crate = "crate";
	size_t n = strlen(crate);
	for (const char *s = path; (s = strstr(s, "/src/")); s++)
		src = s;
	if (src) {
		crate = src;
		while (crate > path && crate[-1] != '/')
			crate--;
		n = crate_bytes(crate, (size_t)(src - crate));
		src += 5;
	} else if (!strncmp(path, "src/", 4)) {
		src = path + 4;
	}
	if (!src || !n)
		return false;
	*out = '\0';
	put_identifier(out, crate, n);
	const char *end = src + strlen(src) - 3; /* .rs */
	if (end - src > 4 && !memcmp(end - 4, "/mod", 4))
		end -= 4;
	while (src < end) {
		const char *slash = memchr(src, '/', (size_t)(end - src));
		strcat(out, "::");
		put_identifier(out, src, (size_t)((slash ? slash : end) - src));
		src = slash ? slash + 1 : end;
	}
	return true;
}

static int path_compare(const struct panic *x, const struct panic *y)
{
	if (x->path_bytes != y->path_bytes)
		return x->path_bytes < y->path_bytes ? -1 : 1;
	return memcmp(x->path, y->path, x->path_bytes);
}

static int panic_compare(const void *a, const void *b)
{
	const struct panic *x = *(const struct panic *const *)a,
			   *y = *(const struct panic *const *)b;
	int order = path_compare(x, y);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static size_t first_panic(const struct object *o, uint64_t address)
{
	return count_below(o->panics, o->n_panics, sizeof(*o->panics), address);
}

/* What is known of a function's panics so far: the best file. */
struct best {
	char source[2 * MOST_PATH_BYTES + 16]; /* as module_path has it */
	uint32_t line;
	unsigned closeness; /* 0 while there is none */
	size_t panics;
};

/* Panics of one path. */
static void consider(struct best *best, const struct panic *first, size_t n)
{
	char path[MOST_PATH_BYTES + 1], source[sizeof(best->source)];
	memcpy(path, first->path, first->path_bytes);
	path[first->path_bytes] = '\0';
	unsigned close = closeness(path);
	if (close < best->closeness || (close == best->closeness && n <= best->panics) ||
		!module_path(source, path))
		return;
	*best = (struct best){.line = first->line, .closeness = close, .panics = n};
	strcpy(best->source, source);
}

int object_panic_source(struct object *o, uint64_t start, uint64_t next, char **source)
{
	*source = NULL;
	if (!o->panics_loaded && !panics_load(o))
		return -1;
	o->panics_loaded = true;
	size_t first = first_panic(o, start), end = first_panic(o, next);
	size_t n = end > first ? end - first : 0; /* the table may be in any order */
	const struct panic **by_path = reallocarray(NULL, n + 1, sizeof(*by_path));
	struct best best = {.closeness = 0};
	if (!by_path)
		return -1;
	for (size_t i = 0; i < n; i++)
		by_path[i] = &o->panics[first + i];
	qsort(by_path, n, sizeof(*by_path), panic_compare);
	for (size_t i = 0, other; i < n; i = other) {
		for (other = i + 1; other < n && !path_compare(by_path[i], by_path[other]); other++)
			;
		consider(&best, by_path[i], other - i);
	}
	free(by_path);
	if (best.panics && asprintf(source, "%s:%u", best.source, best.line) < 0) {
		*source = NULL;
		return -1;
	}
	return 0;
}

unsigned symbols_told(const char *path)
{
	struct object o = {0};
	const char *why;
	unsigned n = 0;
	elf_version(EV_CURRENT);
	if (image_open(&o.own, path, &why))
		return 0;
	image_eh_table(&o.own, &o.eh);
	for (size_t i = 0; i < o.eh.n; i++) {
		char *source;
		uint64_t start = eh_start(&o.eh, i), next = eh_start(&o.eh, i + 1);
		if (!object_panic_source(&o, start, next, &source) && source)
			n++;
		free(source);
	}
	object_close(&o);
	return n;
}
