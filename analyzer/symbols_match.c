/* SPDX-License-Identifier: MIT */
/*
 * Is a debug file of a module that has no build-id? Told by what stripping keeps: where every section lies and how large
 * it is, their bytes where the debug file still has them, the checksum in a debug link, what is exported from where,
 * and where functions start: by the module's unwind tables, and by what its code calls. One difference is enough to
 * refuse it.
 */
#include <elfutils/libdwelf.h>
#include <stdarg.h>
#include <stdio.h>

#include "../preload/find_code.h"
#include "symbols_internal.h"

#define PAGE_BYTES 4096u
#define STRAY_CALLS                                                                                \
	1000u /* one of so many may go elsewhere: hand-written code and data between it */

/* What was compared of two files, up to the first difference. */
struct comparison {
	const struct image *debug, *own;
	unsigned agreed; /* sections */
	bool code;       /* all code is in both files, and the same */
	char *why; /* malloc'ed, to follow the debug file's name: "its .text ..."; NULL: out of memory */
};

static bool differs(struct comparison *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool differs(struct comparison *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	if (vasprintf(&c->why, format, ap) < 0)
		c->why = NULL;
	va_end(ap);
	return false;
}

static bool same_kind(struct comparison *c)
{
	GElf_Ehdr a, b;
	if (!gelf_getehdr(c->debug->elf, &a) || !gelf_getehdr(c->own->elf, &b) ||
		a.e_machine != b.e_machine || a.e_type != b.e_type ||
		a.e_ident[EI_CLASS] != b.e_ident[EI_CLASS] || a.e_entry != b.e_entry)
		return differs(c, "it is of another kind or entry point than %s", c->own->path);
	return true;
}

static Elf_Scn *next_kept(Elf *elf, Elf_Scn *s, GElf_Shdr *header)
{
	while ((s = elf_nextscn(elf, s)))
		if (gelf_getshdr(s, header) && (header->sh_flags & SHF_ALLOC))
			return s;
	return NULL;
}

static const char *section_name(Elf *elf, const GElf_Shdr *header)
{
	size_t names;
	const char *name =
		elf_getshdrstrndx(elf, &names) ? NULL : elf_strptr(elf, names, header->sh_name);
	return name ? name : "";
}

static bool same_sections(struct comparison *c)
{
	const uint64_t flags = SHF_WRITE | SHF_EXECINSTR | SHF_TLS;
	Elf_Scn *d = NULL, *o = NULL;
	GElf_Shdr a, b;
	unsigned code = 0, compared = 0;
	for (;;) {
		d = next_kept(c->debug->elf, d, &a);
		o = next_kept(c->own->elf, o, &b);
		if (!d || !o)
			break;
		const char *name = section_name(c->own->elf, &b);
		if (strcmp(section_name(c->debug->elf, &a), name) || a.sh_addr != b.sh_addr ||
			a.sh_size != b.sh_size || (a.sh_flags ^ b.sh_flags) & flags)
			return differs(c, "its %s is not placed or sized as %s of %s",
				section_name(c->debug->elf, &a), name, c->own->path);
		code += (b.sh_flags & SHF_EXECINSTR) != 0;
		if (a.sh_type != SHT_NOBITS && b.sh_type != SHT_NOBITS) {
			Elf_Data *x = elf_rawdata(d, NULL), *y = elf_rawdata(o, NULL);
			if (!x || !y || x->d_size != y->d_size ||
				(x->d_size && memcmp(x->d_buf, y->d_buf, x->d_size)))
				return differs(c, "its %s has other contents than that of %s", name,
					c->own->path);
			compared += (b.sh_flags & SHF_EXECINSTR) != 0;
		}
		c->agreed++;
	}
	if (d || o)
		return differs(c, "it has %s sections than %s", d ? "more" : "fewer", c->own->path);
	if (!code)
		return differs(c, "%s has no table of sections to compare", c->own->path);
	c->code = compared == code;
	return true;
}

/* Functions of a symbol table, by address. */
struct functions {
	GElf_Sym *v;
	size_t n;
	Elf *elf;
	size_t strings;
	struct ranges ranges; /* item: of v */
};

static int symbol_compare(const void *a, const void *b)
{
	const GElf_Sym *x = a, *y = b;
	if (x->st_value != y->st_value)
		return x->st_value < y->st_value ? -1 : 1;
	return x->st_size < y->st_size ? -1 : x->st_size > y->st_size;
}

/* Empty when there are none. False when out of memory. */
static bool functions_read(struct functions *f, Elf *elf, Elf_Scn *table)
{
	GElf_Shdr header;
	Elf_Data *data = table && gelf_getshdr(table, &header) ? elf_getdata(table, NULL) : NULL;
	size_t total = data && header.sh_entsize ? data->d_size / header.sh_entsize : 0;
	*f = (struct functions){.elf = elf};
	if (!total || total > INT32_MAX)
		return true;
	f->strings = header.sh_link;
	f->v = reallocarray(NULL, total, sizeof(*f->v));
	if (!f->v)
		return false;
	for (size_t i = 0; i < total; i++) {
		int type;
		if (!gelf_getsym(data, (int)i, &f->v[f->n]) || f->v[f->n].st_shndx == SHN_UNDEF)
			continue;
		type = GELF_ST_TYPE(f->v[f->n].st_info);
		f->n += type == STT_FUNC || type == STT_GNU_IFUNC;
	}
	qsort(f->v, f->n, sizeof(*f->v), symbol_compare);
	for (size_t i = 0; i < f->n; i++)
		if (!ranges_add(&f->ranges, f->v[i].st_value, f->v[i].st_value + f->v[i].st_size,
			    (uint32_t)i))
			return false;
	ranges_sort(&f->ranges);
	return true;
}

static void functions_release(struct functions *f)
{
	free(f->v);
	free(f->ranges.v);
}

static bool functions_starts(const struct functions *f, uint64_t address)
{
	size_t low = 0, high = f->n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (f->v[middle].st_value < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->n && f->v[low].st_value == address;
}

static const char *functions_name(const struct functions *f, size_t i)
{
	const char *name = elf_strptr(f->elf, f->strings, f->v[i].st_name);
	return name && *name ? name : "code";
}

static bool same_exports(
	struct comparison *c, const struct functions *f, const struct functions *exports)
{
	size_t at = 0;
	for (size_t i = 0; i < exports->n; i++) {
		const char *name = functions_name(exports, i);
		bool found = false;
		while (at < f->n && f->v[at].st_value < exports->v[i].st_value)
			at++;
		for (size_t k = at;
			k < f->n && f->v[k].st_value == exports->v[i].st_value && !found; k++) {
			const char *text = functions_name(f, k);
			size_t n = strlen(name);
			/* a version may follow: name@@1.0 */
			found = !strncmp(text, name, n) && (!text[n] || text[n] == '@');
		}
		if (!found)
			return differs(
				c, "it does not have %s where %s has it", name, c->own->path);
	}
	return true;
}

/* None starts inside of a function that has unwind data. */
static bool same_starts(struct comparison *c, const struct functions *f)
{
	struct ranges unwound = {0};
	bool same = image_unwound_functions(c->own, &unwound) || differs(c, "out of memory");
	for (size_t i = 0; i < f->n && same; i++) {
		const struct range *in =
			f->v[i].st_size ? ranges_find(&unwound, f->v[i].st_value) : NULL;
		if (in && in->low != f->v[i].st_value)
			same = differs(c, "its %s starts in the middle of a function of %s",
				functions_name(f, i), c->own->path);
	}
	free(unwound.v);
	return same;
}

/* Calls go to where functions start, and no function ends within an instruction. */
static bool same_calls(struct comparison *c, const struct functions *f)
{
	unsigned long calls = 0, stray = 0;
	uint64_t done = 0; /* other names of the same code are not looked at again */
	const char *first = NULL;
	for (size_t i = 0; i < f->n; i++) {
		const GElf_Sym *s = &f->v[i];
		uint64_t start, end = s->st_value + s->st_size;
		Elf_Data *code = image_section_at(c->own, s->st_value, &start);
		if (!code || s->st_value < done || end < s->st_value || end - start > code->d_size)
			continue;
		done = end;
		const uint8_t *bytes = code->d_buf;
		size_t length;
		for (uint64_t at = s->st_value; at < end; at += length) {
			struct find_instruction in;
			int32_t displacement;
			const uint8_t *here = bytes + (at - start);
			length = find_decode(here, code->d_size - (at - start), &in);
			if (!length)
				break;
			bool wrong = at + length > end;
			if (!wrong && find_is_call(&in) && in.relative_branch) {
				memcpy(&displacement, here + in.immediate, sizeof(displacement));
				uint64_t to = at + length + (uint64_t)(int64_t)displacement;
				const struct range *callee = ranges_find(&f->ranges, to);
				wrong = callee && !functions_starts(f, to);
				calls++;
			}
			stray += wrong;
			if (wrong && !first)
				first = functions_name(f, i);
		}
	}
	return stray * STRAY_CALLS <= calls ||
	       differs(c, "its %s is not what the code of %s calls there", first, c->own->path);
}

static bool same_names(struct comparison *c)
{
	struct functions names, exports = {0};
	bool same;
	if (!functions_read(&names, c->debug->elf, c->debug->symtab) ||
		!functions_read(&exports, c->own->elf, c->own->dynsym))
		same = differs(c, "out of memory");
	else if (!names.n)
		same = differs(c, "it has no functions to compare with those of %s", c->own->path);
	else
		same = same_exports(c, &names, &exports) && same_starts(c, &names) &&
		       same_calls(c, &names);
	functions_release(&names);
	functions_release(&exports);
	return same;
}

/* Fills in *c; why is to be freed. */
static bool same_build(struct comparison *c)
{
	GElf_Word crc;
	if (!same_kind(c) || !same_sections(c))
		return false;
	if (c->code)
		return true;
	if (!dwelf_elf_gnu_debuglink(c->own->elf, &crc))
		return same_names(c);
	return image_crc_is(c->debug, crc) ||
	       differs(c, "its checksum is not the one in the debug link of %s", c->own->path);
}

bool image_fits(const struct image *debug, const struct image *own)
{
	struct comparison c = {.debug = debug, .own = own};
	bool fits = !debug->build_id_bytes && !own->build_id_bytes && same_build(&c);
	free(c.why);
	return fits;
}

/* Is the file what was loaded, as far as its extent tells? */
static bool extent_is(const struct image *own, const struct ht_module *m)
{
	uint64_t low = UINT64_MAX, high = 0;
	size_t n = 0;
	if (elf_getphdrnum(own->elf, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr h;
		if (!gelf_getphdr(own->elf, (int)i, &h) || h.p_type != PT_LOAD)
			continue;
		if (h.p_vaddr < low)
			low = h.p_vaddr;
		if (h.p_vaddr + h.p_memsz > high)
			high = h.p_vaddr + h.p_memsz;
	}
	return (m->start - m->bias) / PAGE_BYTES == low / PAGE_BYTES &&
	       (m->end - m->bias + PAGE_BYTES - 1) / PAGE_BYTES ==
		       (high + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* One module's file against the debug file. */
static bool try_module(
	struct comparison *c, struct image *own, const struct ht_module *m, const char *path)
{
	const char *why;
	if (image_open(own, path, &why))
		return differs(c, "%s, which it may be of, cannot be read (%s)", path, why);
	c->own = own;
	if (own->build_id_bytes || !extent_is(own, m))
		return differs(c, "%s is not the file that ran", path);
	return same_build(c);
}

int resolver_match(struct resolver *r, const struct image *debug, struct error *e)
{
	const struct tally *t = r->t;
	struct image first = {0}; /* that fits */
	char *why = NULL;
	unsigned n = 0, agreed = 0;
	int ret = 0;
	for (uint32_t m = 1; m < t->n_modules && !ret; m++) {
		const char *path = tally_string(t, t->modules[m].path);
		struct comparison c = {.debug = debug};
		struct image own = {0};
		if (t->modules[m].build_id_bytes || is_vdso(path))
			continue;
		n++;
		if (!try_module(&c, &own, &t->modules[m], path)) {
			if (!why || c.agreed > agreed) { /* told of the one that is most alike */
				char *than = why;
				why = c.why;
				c.why = than;
				agreed = c.agreed;
			}
		} else if (first.elf) {
			/* copies of one file are one */
			struct comparison both = {.debug = &first, .own = &own};
			if (!same_build(&both))
				ret = error_set(e,
					"%s is not used: %s and %s both are as it tells, and "
					"differ.",
					debug->path, first.path, own.path);
			free(both.why);
		} else {
			first = own;
			own = (struct image){0};
		}
		image_close(&own);
		free(c.why);
	}
	if (!n)
		ret = error_set(e,
			"%s is not used: it has no build-id, and all modules of %s have one.",
			debug->path, t->path);
	else if (!first.elf)
		ret = error_set(e, "%s is not used: %s%s.", debug->path,
			why ? why : "out of memory",
			n > 1 ? ", the module without a build-id that is most like it" : "");
	image_close(&first);
	free(why);
	return ret;
}
