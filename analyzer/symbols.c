/* SPDX-License-Identifier: MIT */
/*
 * Names for the return addresses of a tally. Per module: the ELF files that are about it, one sorted table of their
 * symbols, and only where one of them has DWARF the functions of the units that are hit. Only what is hit is
 * demangled: a symbol table holds ten times the names that a profile shows.
 */
#include <dwarf.h>
#include <elfutils/elf-knowledge.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#include "symbols.h"

#define BUILD_ID_BYTES     20u /* as many as a tally keeps */
#define FRAMES_MAX         256u
#define DIE_DEPTH_MAX      128u
#define NESTED_RANGES_MAX  1024u
#define PROGRESS_LOCATIONS 4096u

/* Code from low up to high, which is about item. */
struct range {
	uint64_t low, high;
	uint64_t reach; /* highest high up to here in the sorted table */
	uint32_t item;
};

struct ranges {
	struct range *v;
	size_t n, cap;
};

/* The function made for something, remembered per module: module 0 is none. */
struct made {
	uint32_t function;
	uint32_t module;
};

struct symbol {
	uint32_t name; /* in the string table */
	struct made made;
};

struct subprogram {
	Dwarf_Die die;
	struct made made;
};

struct unit {
	Dwarf_Die die; /* has the line table */
	Dwarf_Die top; /* has the functions: the same, or its split twin */
	struct subprogram *subprograms;
	size_t n, cap;
	struct ranges ranges; /* item: subprogram */
	bool loaded;
};

/* An inlined call in the function looked at last; a call with several ranges is several of these. */
struct inlined {
	uint64_t low, high;
	Dwarf_Die die;
	struct made made;
};

struct image {
	char *path;
	int fd;
	Elf *elf;
	const void *build_id;
	size_t build_id_bytes;
	Elf_Scn *symtab, *dynsym;
	bool dwarf;
	bool matched; /* debug_files: some module is its own */
};

/* As in the file. */
struct eh_entry {
	int32_t start, fde;
};

/* What is known of one file of code. */
struct object {
	struct image own;                 /* elf is NULL when it cannot be used */
	struct image found[2];            /* by build-id, by debug link */
	const struct image *syms, *debug; /* of own, found, debug_files; or NULL */

	Elf *symbols_elf;
	size_t strings_index;
	struct symbol *symbols;
	struct ranges symbol_ranges;

	Dwarf *dwarf;
	struct unit *units;
	size_t n_units, cap_units;
	struct ranges unit_ranges;
	const struct subprogram *inlined_in;
	struct inlined *inlined;
	size_t n_inlined, cap_inlined;

	/* Where functions start: the sorted table of .eh_frame_hdr, offsets from its own address. */
	const struct eh_entry *eh_table;
	size_t n_eh;
	uint64_t eh_address;
	Dwarf_CFI *cfi; /* tells code from the gaps between */
};

struct string {
	UT_hash_handle hh;
	uint32_t offset;
	bool lost;
	char text[];
};

struct function {
	UT_hash_handle hh;
	struct {
		uint32_t name, file, module;
	} key;
	uint32_t index;
	bool lost;
};

struct resolver {
	const struct tally *t;
	struct image *debug_files;
	size_t n_debug_files;

	struct string *strings;
	struct function *function_table;
	char *names;
	size_t names_bytes, names_cap;
	struct ht_function *functions;
	size_t n_functions, cap_functions;
	struct ht_frame *frames;
	size_t n_frames, cap_frames;
	struct ht_location *locations;
	size_t n_locations;

	char *warnings;
	size_t warnings_bytes;
	bool failed; /* out of memory, or of 32 bits */
};

/* Room for one more element; false when out of memory. */
static bool grow(void *array, size_t n, size_t *cap, size_t element_bytes)
{
	void **v = array;
	if (n < *cap)
		return true;
	size_t more = *cap ? *cap * 2 : 64;
	void *p = reallocarray(*v, more, element_bytes);
	if (!p)
		return false;
	*v = p;
	*cap = more;
	return true;
}

/* ---- ranges ---- */

static bool ranges_add(struct ranges *r, uint64_t low, uint64_t high, uint32_t item)
{
	if (low >= high)
		return true;
	if (!grow(&r->v, r->n, &r->cap, sizeof(*r->v)))
		return false;
	r->v[r->n++] = (struct range){.low = low, .high = high, .item = item};
	return true;
}

static int range_compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	if (x->high != y->high) /* outer first */
		return x->high > y->high ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

static void ranges_sort(struct ranges *r)
{
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), range_compare);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t before = i ? r->v[i - 1].reach : 0;
		r->v[i].reach = r->v[i].high > before ? r->v[i].high : before;
	}
}

/* The innermost range around an address. */
static const struct range *ranges_find(const struct ranges *r, uint64_t address)
{
	size_t low = 0, high = r->n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (r->v[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i-- > 0 && low - i <= NESTED_RANGES_MAX && r->v[i].reach > address;)
		if (address < r->v[i].high)
			return &r->v[i];
	return NULL;
}

/* ---- names, functions, frames ---- */

static uint32_t intern(struct resolver *r, const char *text)
{
	struct string *s;
	size_t n = strlen(text);
	if (!n)
		return 0;
	HASH_FIND(hh, r->strings, text, n, s);
	if (s)
		return s->offset;
	if (r->names_bytes + n + 1 > r->names_cap) {
		size_t cap = 2 * r->names_cap + n + 1;
		char *names = realloc(r->names, cap);
		if (!names)
			goto fail;
		r->names = names;
		r->names_cap = cap;
	}
	if (r->names_bytes + n + 1 > UINT32_MAX)
		goto fail;
	s = malloc(sizeof(*s) + n + 1);
	if (!s)
		goto fail;
	s->offset = (uint32_t)r->names_bytes;
	s->lost = false;
	memcpy(s->text, text, n + 1);
	HASH_ADD(hh, r->strings, text, n, s);
	if (s->lost) {
		free(s);
		goto fail;
	}
	memcpy(r->names + r->names_bytes, text, n + 1);
	r->names_bytes += n + 1;
	return s->offset;
fail:
	r->failed = true;
	return 0;
}

static uint32_t function_add(
	struct resolver *r, uint32_t module, uint32_t name, uint32_t file, uint16_t flags)
{
	struct function *f, key = {.key = {name, file, module}};
	HASH_FIND(hh, r->function_table, &key.key, sizeof(key.key), f);
	if (f)
		return f->index;
	f = malloc(sizeof(*f));
	if (!f || !grow(&r->functions, r->n_functions, &r->cap_functions, sizeof(*r->functions)) ||
		r->n_functions >= UINT32_MAX) {
		free(f);
		r->failed = true;
		return 0;
	}
	*f = key;
	f->index = (uint32_t)r->n_functions;
	HASH_ADD(hh, r->function_table, key, sizeof(f->key), f);
	if (f->lost) {
		free(f);
		r->failed = true;
		return 0;
	}
	if (!file)
		flags |= HT_FUNCTION_NO_LINES;
	r->functions[r->n_functions++] = (struct ht_function){
		.name = name, .file = file, .module = (uint16_t)module, .flags = flags};
	return f->index;
}

/* file may be NULL */
static uint32_t function_named(
	struct resolver *r, uint32_t module, const char *linker_name, const char *file)
{
	char *name = symbols_demangle(linker_name);
	char *clean = file ? symbols_clean(file) : NULL;
	uint32_t function = 0;
	if (name && (clean || !file))
		function =
			function_add(r, module, intern(r, name), clean ? intern(r, clean) : 0, 0);
	else
		r->failed = true;
	free(name);
	free(clean);
	return function;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static uint32_t function_unnamed(struct resolver *r, uint32_t module, uint64_t offset)
{
	const char *base = base_name(tally_string(r->t, r->t->modules[module].path));
	char *text = NULL, *clean = NULL;
	uint32_t function = 0;
	if (asprintf(&text, "%s+0x%llx", *base ? base : "?", (unsigned long long)offset) >= 0) {
		clean = symbols_clean(text);
		free(text);
	}
	if (clean)
		function = function_add(r, module, intern(r, clean), 0, HT_FUNCTION_UNNAMED);
	else
		r->failed = true;
	free(clean);
	return function;
}

static void frame_add(struct resolver *r, struct ht_location *l, uint32_t function, int line)
{
	if (!grow(&r->frames, r->n_frames, &r->cap_frames, sizeof(*r->frames)) ||
		r->n_frames >= UINT32_MAX) {
		r->failed = true;
		return;
	}
	r->frames[r->n_frames++] =
		(struct ht_frame){.function = function, .line = line > 0 ? (uint32_t)line : 0};
	l->n_frames++;
}

static __attribute__((format(printf, 2, 3))) void warn(struct resolver *r, const char *format, ...)
{
	char *line = NULL;
	va_list ap;
	va_start(ap, format);
	int n = vasprintf(&line, format, ap);
	va_end(ap);
	char *text = n < 0 ? NULL : realloc(r->warnings, r->warnings_bytes + (size_t)n + 2);
	if (!text) {
		r->failed = true;
	} else {
		r->warnings = text;
		memcpy(text + r->warnings_bytes, line, (size_t)n);
		r->warnings_bytes += (size_t)n;
		strcpy(text + r->warnings_bytes++, "\n");
	}
	if (n >= 0)
		free(line);
}

/* ---- images: ELF files ---- */

static void image_close(struct image *i)
{
	if (i->elf) {
		elf_end(i->elf);
		close(i->fd);
	}
	free(i->path);
	*i = (struct image){0};
}

static void image_scan(struct image *i)
{
	size_t names;
	ssize_t n = dwelf_elf_gnu_build_id(i->elf, &i->build_id);
	i->build_id_bytes = n > 0 ? (size_t)n : 0;
	if (elf_getshdrstrndx(i->elf, &names))
		return;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(i->elf, s));) {
		GElf_Shdr header;
		if (!gelf_getshdr(s, &header) || header.sh_type == SHT_NOBITS)
			continue;
		const char *name = elf_strptr(i->elf, names, header.sh_name);
		if (header.sh_type == SHT_SYMTAB && header.sh_size)
			i->symtab = s;
		else if (header.sh_type == SHT_DYNSYM)
			i->dynsym = s;
		else if (name && (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info")))
			i->dwarf = true;
	}
}

/* 0; or -1 with the reason in `why`. The path comes from a tally: it may be anything. */
static int image_open(struct image *i, const char *path, const char **why)
{
	*i = (struct image){.path = strdup(path), .fd = -1};
	struct stat st;
	if (i->path)
		i->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (i->fd < 0 || fstat(i->fd, &st)) {
		*why = strerror(errno);
	} else if (!S_ISREG(st.st_mode)) {
		*why = "not a file";
	} else {
		i->elf = elf_begin(i->fd, ELF_C_READ_MMAP, NULL);
		if (i->elf && elf_kind(i->elf) == ELF_K_ELF) {
			image_scan(i);
			return 0;
		}
		*why = "not an ELF file";
	}
	elf_end(i->elf);
	if (i->fd >= 0)
		close(i->fd);
	free(i->path);
	*i = (struct image){0};
	return -1;
}

static bool image_is(const struct image *i, const struct ht_module *m)
{
	size_t n = i->build_id_bytes < BUILD_ID_BYTES ? i->build_id_bytes : BUILD_ID_BYTES;
	return n == m->build_id_bytes && (!n || !memcmp(i->build_id, m->build_id, n));
}

static bool image_crc_is(const struct image *i, uint32_t crc)
{
	size_t n = 0;
	const char *bytes = elf_rawfile(i->elf, &n);
	return bytes && crc32_z(0, (const unsigned char *)bytes, n) == crc;
}

/* ---- objects: all files about one module ---- */

static bool object_complete(const struct object *o)
{
	return o->syms && o->debug;
}

static void object_use(struct object *o, const struct image *i)
{
	if (!o->syms && i->symtab)
		o->syms = i;
	if (!o->debug && i->dwarf)
		o->debug = i;
}

static void object_find_by_build_id(struct object *o, const struct ht_module *m)
{
	char path[sizeof("/usr/lib/debug/.build-id/xx/.debug") + 2 * BUILD_ID_BYTES];
	const char *why;
	int n = sprintf(path, "/usr/lib/debug/.build-id/%02x/", m->build_id[0]);
	for (size_t i = 1; i < m->build_id_bytes; i++)
		n += sprintf(path + n, "%02x", m->build_id[i]);
	strcpy(path + n, ".debug");
	if (!image_open(&o->found[0], path, &why)) {
		if (image_is(&o->found[0], m))
			object_use(o, &o->found[0]);
		else
			image_close(&o->found[0]);
	}
}

static void object_find_by_link(struct object *o, const struct ht_module *m)
{
	GElf_Word crc;
	const char *name = dwelf_elf_gnu_debuglink(o->own.elf, &crc);
	if (!name || !*name || strchr(name, '/'))
		return;
	int directory = (int)(base_name(o->own.path) - o->own.path);
	static const char *const forms[] = {"%.*s%s", "%.*s.debug/%s", "/usr/lib/debug%.*s%s"};
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		char *path = NULL;
		const char *why;
		if (asprintf(&path, forms[i], directory, o->own.path, name) < 0)
			return;
		int opened = image_open(&o->found[1], path, &why);
		free(path);
		if (opened)
			continue;
		/* a build-id says more than a checksum, and costs no pass over the file */
		if (m->build_id_bytes ? image_is(&o->found[1], m)
				      : image_crc_is(&o->found[1], crc)) {
			object_use(o, &o->found[1]);
			return;
		}
		image_close(&o->found[1]);
	}
}

/* Which of two symbols at one place names it: the smaller rank does. */
static unsigned symbol_rank(const GElf_Sym *s)
{
	static const unsigned char bindings[] = {[STB_GLOBAL] = 0, [STB_WEAK] = 1, [STB_LOCAL] = 2};
	unsigned binding = GELF_ST_BIND(s->st_info);
	return (GELF_ST_TYPE(s->st_info) == STT_NOTYPE) * 16u + !s->st_size * 8u +
	       (binding < sizeof(bindings) ? bindings[binding] : 0);
}

struct candidate {
	uint64_t low, size, section_end;
	uint32_t name;
	unsigned rank;
	const char *text; /* looked up on ties */
};

static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static const char *candidate_text(const struct object *o, struct candidate *c)
{
	if (!c->text)
		c->text = elf_strptr(o->symbols_elf, o->strings_index, c->name);
	return c->text ? c->text : "";
}

/* malloc rather than __libc_malloc; then the shorter, then the first in the alphabet: the same on every run. */
static bool candidate_reads_better(
	const struct object *o, struct candidate *a, struct candidate *than)
{
	const char *x = candidate_text(o, a), *y = candidate_text(o, than);
	size_t x_bars = strspn(x, "_"), y_bars = strspn(y, "_");
	if (!*x || !*y)
		return *x;
	if (x_bars != y_bars)
		return x_bars < y_bars;
	size_t x_length = strlen(x), y_length = strlen(y);
	return x_length != y_length ? x_length < y_length : strcmp(x, y) < 0;
}

static struct candidate *candidates_read(
	struct object *o, Elf_Scn *table, const GElf_Shdr *header, size_t *n)
{
	Elf_Data *data = elf_getdata(table, NULL);
	size_t n_sections = 0,
	       total = header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
	struct candidate *v = NULL;
	*n = 0;
	if (!data || total > INT32_MAX || elf_getshdrnum(o->symbols_elf, &n_sections))
		return NULL;
	uint64_t *ends = calloc(n_sections + 1, sizeof(*ends)); /* of sections with code */
	v = reallocarray(NULL, total + 1, sizeof(*v));
	if (!ends || !v)
		goto fail;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(o->symbols_elf, s));) {
		GElf_Shdr sh;
		if (gelf_getshdr(s, &sh) && (sh.sh_flags & SHF_EXECINSTR))
			ends[elf_ndxscn(s)] = sh.sh_addr + sh.sh_size;
	}
	for (size_t i = 0; i < total; i++) {
		GElf_Sym s;
		if (!gelf_getsym(data, (int)i, &s) || s.st_shndx >= n_sections || !s.st_name)
			continue;
		int type = GELF_ST_TYPE(s.st_info);
		if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) ||
			s.st_value >= ends[s.st_shndx])
			continue;
		v[(*n)++] = (struct candidate){.low = s.st_value,
			.size = s.st_size,
			.section_end = ends[s.st_shndx],
			.name = s.st_name,
			.rank = symbol_rank(&s)};
	}
	free(ends);
	return v;
fail:
	free(ends);
	free(v);
	return NULL;
}

/* -1 when out of memory */
static int object_load_symbols(struct object *o, const struct image *i)
{
	bool whole =
		i->symtab; /* else only what is exported: then gaps belong to functions that are not */
	Elf_Scn *table = whole ? i->symtab : i->dynsym;
	GElf_Shdr header;
	if (!table || !gelf_getshdr(table, &header))
		return 0;
	o->symbols_elf = i->elf;
	o->strings_index = header.sh_link;
	size_t n;
	struct candidate *v = candidates_read(o, table, &header, &n);
	if (!v)
		return 0; /* damaged: as if stripped */
	qsort(v, n, sizeof(*v), candidate_compare);

	int result = -1;
	uint64_t reach = 0; /* of sized symbols so far */
	size_t kept = 0;
	o->symbols = reallocarray(NULL, n + 1, sizeof(*o->symbols));
	if (!o->symbols)
		goto out;
	for (size_t first = 0, next; first < n; first = next) {
		struct candidate *best = &v[first];
		uint64_t low = best->low, high = low + best->size;
		for (next = first + 1; next < n && v[next].low == low; next++)
			if (v[next].rank == best->rank && candidate_reads_better(o, &v[next], best))
				best = &v[next];
		if (!best->size) {
			/* a label in the middle of a function is no function */
			if (!whole || low < reach)
				continue;
			high = best->section_end;
			if (next < n && v[next].low < high)
				high = v[next].low;
		}
		if (high > best->section_end)
			high = best->section_end;
		if (best->size && high > reach)
			reach = high;
		o->symbols[kept] = (struct symbol){.name = best->name};
		if (!ranges_add(&o->symbol_ranges, low, high, (uint32_t)kept++))
			goto out;
	}
	ranges_sort(&o->symbol_ranges);
	result = 0;
out:
	free(v);
	return result;
}

/* -1 when out of memory */
static int object_load_dwarf(struct object *o)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die, split;
	uint8_t type;
	o->dwarf = dwarf_begin_elf(o->debug->elf, DWARF_C_READ, NULL);
	/* the units' own ranges, not .debug_aranges: most compilers leave that out */
	while (o->dwarf && dwarf_get_units(o->dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		if (!grow(&o->units, o->n_units, &o->cap_units, sizeof(*o->units)))
			return -1;
		bool is_split = type == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit;
		o->units[o->n_units] = (struct unit){.die = die, .top = is_split ? split : die};
		Dwarf_Addr base, low, high;
		for (ptrdiff_t at = 0; (at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;)
			if (!ranges_add(&o->unit_ranges, low, high, (uint32_t)o->n_units))
				return -1;
		o->n_units++;
	}
	ranges_sort(&o->unit_ranges);
	return 0;
}

static void object_close(struct object *o)
{
	for (size_t i = 0; i < o->n_units; i++) {
		free(o->units[i].subprograms);
		free(o->units[i].ranges.v);
	}
	free(o->units);
	free(o->unit_ranges.v);
	free(o->inlined);
	free(o->symbols);
	free(o->symbol_ranges.v);
	if (o->cfi)
		dwarf_cfi_end(o->cfi);
	dwarf_end(o->dwarf);
	image_close(&o->own);
	image_close(&o->found[0]);
	image_close(&o->found[1]);
	*o = (struct object){0};
}

/* Takes the table in the one encoding that linkers write. */
static void object_load_eh_table(struct object *o)
{
	size_t n;
	if (elf_getphdrnum(o->own.elf, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(o->own.elf, (int)i, &header) || header.p_type != PT_GNU_EH_FRAME)
			continue;
		Elf_Data *data = elf_getdata_rawchunk(
			o->own.elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_BYTE);
		const unsigned char *bytes = data ? data->d_buf : NULL;
		uint32_t count;
		/* version, encodings of .eh_frame's address, of the count, of the table */
		if (!bytes || data->d_size < 12 || bytes[0] != 1 || (bytes[1] & 7) != 3 ||
			bytes[2] != DW_EH_PE_udata4 ||
			bytes[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4) || header.p_offset % 4)
			return;
		memcpy(&count, bytes + 8, sizeof(count));
		if (count > (data->d_size - 12) / sizeof(struct eh_entry))
			return;
		o->eh_table = (const struct eh_entry *)(bytes + 12);
		o->n_eh = count;
		o->eh_address = header.p_vaddr;
		return;
	}
}

static bool is_vdso(const char *path)
{
	const char *base = base_name(path);
	return !strcmp(base, "linux-vdso.so.1") || !strcmp(base, "linux-gate.so.1") ||
	       !strcmp(base, "[vdso]");
}

static void object_open(struct object *o, struct resolver *r, const struct ht_module *m)
{
	const char *path = tally_string(r->t, m->path), *why = NULL;
	*o = (struct object){0};
	if (is_vdso(path))
		return;
	if (!image_open(&o->own, path, &why)) {
		if (image_is(&o->own, m)) {
			object_use(o, &o->own);
		} else {
			why = "its build-id is not the recorded one";
			image_close(&o->own);
		}
	}
	for (size_t i = 0; i < r->n_debug_files && m->build_id_bytes; i++)
		if (image_is(&r->debug_files[i], m))
			object_use(o, &r->debug_files[i]);
	if (!object_complete(o) && m->build_id_bytes)
		object_find_by_build_id(o, m);
	if (!object_complete(o) && o->own.elf)
		object_find_by_link(o, m);
	if (!o->own.elf && !o->syms && !o->debug) {
		warn(r, "%s cannot be used for names (%s): its frames stay %s+0xoffset.",
			*path ? path : "A module without a path", why, base_name(path));
		return;
	}
	if (o->own.elf) {
		o->cfi = dwarf_getcfi_elf(o->own.elf);
		object_load_eh_table(o);
	}
	const struct image *symbols = o->syms ? o->syms : &o->own;
	if ((symbols->elf && object_load_symbols(o, symbols)) || (o->debug && object_load_dwarf(o)))
		r->failed = true;
}

/* ---- DWARF: functions and what is inlined in them ---- */

/* Whether functions can be below; they cannot below most of a unit's entries. */
static bool tag_holds_functions(int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type: /* in Rust they have methods */
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
	case DW_TAG_imported_unit:
		return true;
	default:
		return false;
	}
}

static bool unit_collect(struct unit *u, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	if (depth > DIE_DEPTH_MAX || dwarf_child(parent, &die))
		return true;
	do {
		int tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram) {
			Dwarf_Addr base, low, high;
			bool first = true;
			for (ptrdiff_t at = 0;
				(at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;
				first = false) {
				if (first) {
					if (!grow(&u->subprograms, u->n, &u->cap,
						    sizeof(*u->subprograms)))
						return false;
					u->subprograms[u->n++] = (struct subprogram){.die = die};
				}
				if (!ranges_add(&u->ranges, low, high, (uint32_t)(u->n - 1)))
					return false;
			}
		}
		if (tag_holds_functions(tag) && dwarf_haschildren(&die) > 0 &&
			!unit_collect(u, &die, depth + 1))
			return false;
	} while (!dwarf_siblingof(&die, &die));
	return true;
}

static bool object_collect_inlined(struct object *o, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	if (depth > DIE_DEPTH_MAX || dwarf_child(parent, &die))
		return true;
	do {
		int tag = dwarf_tag(&die);
		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block)
			continue;
		Dwarf_Addr base, low, high;
		for (ptrdiff_t at = 0; tag == DW_TAG_inlined_subroutine &&
				       (at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;) {
			if (!grow(&o->inlined, o->n_inlined, &o->cap_inlined, sizeof(*o->inlined)))
				return false;
			o->inlined[o->n_inlined++] =
				(struct inlined){.low = low, .high = high, .die = die};
		}
		if (dwarf_haschildren(&die) > 0 && !object_collect_inlined(o, &die, depth + 1))
			return false;
	} while (!dwarf_siblingof(&die, &die));
	return true;
}

static uint32_t symbol_function(struct resolver *r, struct object *o, uint32_t module,
	const struct range *found, const char *file)
{
	struct symbol *s = &o->symbols[found->item];
	if (!file && s->made.module == module)
		return s->made.function;
	const char *name = elf_strptr(o->symbols_elf, o->strings_index, s->name);
	uint32_t function = name && *name ? function_named(r, module, name, file)
					  : function_unnamed(r, module, found->low);
	if (!file)
		s->made = (struct made){function, module};
	return function;
}

/*
 * The function a DIE is an instance of. low: where its code starts, for the symbol's name, which for C is what people
 * call it by (malloc, not __libc_malloc); 0 for inlined ones. file: used when the DIE has none.
 */
static uint32_t die_function(struct resolver *r, struct object *o, uint32_t module, Dwarf_Die *die,
	struct made *made, uint64_t low, const char *file)
{
	if (made->module == module)
		return made->function;
	Dwarf_Attribute a;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &a));
	const char *declared = dwarf_decl_file(die);
	if (!name)
		name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &a));
	if (declared)
		file = declared;
	const struct range *symbol = !name && low ? ranges_find(&o->symbol_ranges, low) : NULL;
	if (!name)
		name = dwarf_diename(die);
	made->module = module;
	if (symbol && symbol->low == low)
		made->function = symbol_function(r, o, module, symbol, file);
	else if (name)
		made->function = function_named(r, module, name, file);
	else
		made->function = function_unnamed(r, module, low);
	return made->function;
}

/* The line, if it is one of the function's file: an #include in a function's middle would make it mean nothing. */
static int line_in(const struct resolver *r, uint32_t function, const char *file, int line)
{
	const char *own = function < r->n_functions ? r->names + r->functions[function].file : "";
	return file && !strcmp(own, file) ? line : 0;
}

static void call_position(struct unit *u, Dwarf_Die *call, const char **file, int *line)
{
	Dwarf_Attribute a;
	Dwarf_Word value;
	Dwarf_Files *files;
	size_t n;
	*file = NULL;
	*line = 0;
	if (!dwarf_formudata(dwarf_attr(call, DW_AT_call_line, &a), &value) && value <= INT32_MAX)
		*line = (int)value;
	if (!dwarf_formudata(dwarf_attr(call, DW_AT_call_file, &a), &value) &&
		!dwarf_getsrcfiles(&u->top, &files, &n) && value < n)
		*file = dwarf_filesrc(files, value, NULL, NULL);
}

/* Whether DWARF names the address; if so its frames are in place. */
static bool locate_by_dwarf(
	struct resolver *r, struct object *o, struct ht_location *l, uint64_t address)
{
	const struct range *in = ranges_find(&o->unit_ranges, address);
	if (!in)
		return false;
	struct unit *u = &o->units[in->item];
	if (!u->loaded) {
		u->loaded = true;
		if (!unit_collect(u, &u->top, 0))
			r->failed = true;
		ranges_sort(&u->ranges);
	}
	int line = 0;
	const char *file = NULL;
	Dwarf_Line *at = dwarf_getsrc_die(&u->die, address);
	if (at && !dwarf_lineno(at, &line))
		file = dwarf_linesrc(at, NULL, NULL);

	const struct range *body = ranges_find(&u->ranges, address);
	if (!body) { /* assembly: lines without functions */
		const struct range *symbol = ranges_find(&o->symbol_ranges, address);
		if (!symbol || !file)
			return false;
		frame_add(r, l, symbol_function(r, o, l->module, symbol, file), line);
		return true;
	}
	struct subprogram *s = &u->subprograms[body->item];
	if (o->inlined_in != s) {
		o->inlined_in = s;
		o->n_inlined = 0;
		if (!object_collect_inlined(o, &s->die, 0))
			r->failed = true;
	}
	/* the entries are in preorder: those around the address are the chain, outermost first */
	struct inlined *chain[FRAMES_MAX - 1];
	size_t n = 0;
	for (size_t i = 0; i < o->n_inlined && n < FRAMES_MAX - 1; i++)
		if (o->inlined[i].low <= address && address < o->inlined[i].high)
			chain[n++] = &o->inlined[i];
	while (n--) {
		uint32_t function =
			die_function(r, o, l->module, &chain[n]->die, &chain[n]->made, 0, file);
		frame_add(r, l, function, line_in(r, function, file, line));
		call_position(u, &chain[n]->die, &file, &line);
	}
	Dwarf_Addr low;
	if (dwarf_entrypc(&s->die, &low))
		low = body->low;
	uint32_t function = die_function(r, o, l->module, &s->die, &s->made, low, file);
	frame_add(r, l, function, line_in(r, function, file, line));
	return true;
}

/* ---- one location ---- */

/*
 * Where the function around an address starts, by its unwind data. libdw only tells where the function's row of
 * rules starts; the header's table has the functions.
 */
static bool fde_start(struct object *o, uint64_t address, uint64_t *start)
{
	Dwarf_Frame *frame;
	size_t low = 0, high = o->n_eh;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (o->eh_address + (uint64_t)o->eh_table[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || !o->cfi || dwarf_cfi_addrframe(o->cfi, address, &frame))
		return false;
	free(frame);
	*start = o->eh_address + (uint64_t)o->eh_table[low - 1].start;
	return true;
}

static void locate(struct resolver *r, struct object *o, struct ht_location *l)
{
	/* the call is before the address it returns to, which can be the next function's or the next line's */
	uint64_t address = l->offset - 1, start;
	l->first_frame = (uint32_t)r->n_frames;
	l->n_frames = 0;
	if (o->n_units && locate_by_dwarf(r, o, l, address))
		return;
	const struct range *symbol = ranges_find(&o->symbol_ranges, address);
	uint32_t function;
	if (symbol)
		function = symbol_function(r, o, l->module, symbol, NULL);
	else
		function = function_unnamed(
			r, l->module, fde_start(o, address, &start) ? start : l->offset);
	frame_add(r, l, function, 0);
}

/* ---- all of them ---- */

static int location_compare(const void *a, const void *b)
{
	const struct ht_location *x = a, *y = b;
	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int resolver_collect(struct resolver *r)
{
	const struct tally *t = r->t;
	r->locations = reallocarray(NULL, (size_t)t->n_sites + 1, sizeof(*r->locations));
	if (!r->locations)
		return -1;
	size_t n = 0, kept = 0;
	for (uint32_t i = 0; i < t->n_sites; i++)
		if (t->sites[i].module)
			r->locations[n++] = (struct ht_location){
				.offset = t->sites[i].offset, .module = t->sites[i].module};
	qsort(r->locations, n, sizeof(*r->locations), location_compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || location_compare(&r->locations[kept - 1], &r->locations[i]))
			r->locations[kept++] = r->locations[i];
	r->n_locations = kept;
	return 0;
}

static int resolver_open_debug_files(struct resolver *r, const char *const *paths, struct error *e)
{
	size_t n = 0;
	while (paths && paths[n])
		n++;
	if (!n)
		return 0;
	r->debug_files = calloc(n, sizeof(*r->debug_files));
	if (!r->debug_files)
		return error_set(e, "Out of memory.");
	for (size_t i = 0; i < n; i++) {
		struct image *image = &r->debug_files[i];
		const char *why;
		bool matches = false;
		if (image_open(image, paths[i], &why))
			return error_set(e, "%s: %s.", paths[i], why);
		r->n_debug_files++;
		if (!image->build_id_bytes)
			return error_set(e, "%s has no build-id to match it by.", paths[i]);
		for (uint32_t m = 1; m < r->t->n_modules && !matches; m++)
			matches = image_is(image, &r->t->modules[m]);
		if (!matches)
			return error_set(e, "%s matches no module of %s: no build-id is the same.",
				paths[i], r->t->path);
	}
	return 0;
}

/* One module's share of the locations. */
struct share {
	uint32_t first, end;
	uint16_t module;
};

static bool same_object(const struct tally *t, const struct share *a, const struct share *b)
{
	const struct ht_module *x = &t->modules[a->module], *y = &t->modules[b->module];
	return x->build_id_bytes == y->build_id_bytes &&
	       !memcmp(x->build_id, y->build_id, x->build_id_bytes) &&
	       !strcmp(tally_string(t, x->path), tally_string(t, y->path));
}

static int share_compare(const void *a, const void *b, void *arg)
{
	const struct tally *t = arg;
	const struct share *x = a, *y = b;
	const struct ht_module *p = &t->modules[x->module], *q = &t->modules[y->module];
	int order = strcmp(tally_string(t, p->path), tally_string(t, q->path));
	if (!order)
		order = memcmp(p->build_id, q->build_id, sizeof(p->build_id));
	return order ? order : (int)x->module - (int)y->module;
}

/* -1 when out of memory */
static int resolver_run(struct resolver *r, const struct symbols_options *o)
{
	size_t n = 0, cap = 0;
	struct share *shares = NULL;
	for (size_t i = 0; i < r->n_locations; i++) {
		uint16_t module = r->locations[i].module;
		if (!n || shares[n - 1].module != module) {
			if (!grow(&shares, n, &cap, sizeof(*shares))) {
				free(shares);
				return -1;
			}
			shares[n++] = (struct share){.first = (uint32_t)i, .module = module};
		}
		shares[n - 1].end = (uint32_t)i + 1;
	}
	/* a file that was loaded again and again is opened once */
	if (n)
		qsort_r(shares, n, sizeof(*shares), share_compare, (void *)r->t);
	struct object object = {0};
	unsigned long done = 0;
	for (size_t i = 0; i < n && !r->failed; i++) {
		if (!i || !same_object(r->t, &shares[i - 1], &shares[i])) {
			object_close(&object);
			object_open(&object, r, &r->t->modules[shares[i].module]);
		}
		for (uint32_t j = shares[i].first; j < shares[i].end && !r->failed; j++) {
			locate(r, &object, &r->locations[j]);
			if (++done % PROGRESS_LOCATIONS == 0 && o->progress)
				o->progress(o->progress_arg, done, r->n_locations);
		}
	}
	object_close(&object);
	free(shares);
	if (o->progress)
		o->progress(o->progress_arg, done, r->n_locations);
	return r->failed ? -1 : 0;
}

static void resolver_release(struct resolver *r)
{
	struct string *s, *next_string;
	HASH_ITER(hh, r->strings, s, next_string)
	{
		HASH_DEL(r->strings, s);
		free(s);
	}
	struct function *f, *next_function;
	HASH_ITER(hh, r->function_table, f, next_function)
	{
		HASH_DEL(r->function_table, f);
		free(f);
	}
	for (size_t i = 0; i < r->n_debug_files; i++)
		image_close(&r->debug_files[i]);
	free(r->debug_files);
	free(r->names);
	free(r->functions);
	free(r->frames);
	free(r->locations);
	free(r->warnings);
}

int symbols_resolve(
	struct tally *t, const struct symbols_options *o, char **warnings, struct error *e)
{
	static const struct symbols_options none;
	struct resolver r = {.t = t};
	if (warnings)
		*warnings = NULL;
	if (t->locations)
		return 0;
	if (!o)
		o = &none;
	elf_version(EV_CURRENT);
	if (resolver_open_debug_files(&r, o->debug_files, e)) {
		resolver_release(&r);
		return -1;
	}
	/* offset 0 is "" */
	r.names_cap = 1u << 16;
	r.names = malloc(r.names_cap);
	r.names_bytes = 1;
	if (!r.names || (r.names[0] = '\0', resolver_collect(&r)) ||
		!grow(&r.functions, 0, &r.cap_functions, sizeof(*r.functions)) ||
		!grow(&r.frames, 0, &r.cap_frames, sizeof(*r.frames)) || resolver_run(&r, o)) {
		resolver_release(&r);
		return error_set(e, "%s: out of memory while looking up names.", t->path);
	}
	t->names = r.names;
	t->names_bytes = r.names_bytes;
	t->functions = r.functions;
	t->n_functions = (uint32_t)r.n_functions;
	t->frames = r.frames;
	t->n_frames = (uint32_t)r.n_frames;
	t->locations = r.locations;
	t->n_locations = (uint32_t)r.n_locations;
	if (warnings) {
		*warnings = r.warnings;
		r.warnings = NULL;
	}
	r.names = NULL;
	r.functions = NULL;
	r.frames = NULL;
	r.locations = NULL;
	resolver_release(&r);
	return 0;
}
