/* SPDX-License-Identifier: MIT */
/* All files about one module: its own, those given by the user, those that debug packages leave. */
#include <elfutils/elf-knowledge.h>
#include <elfutils/libdwelf.h>
#include <stdio.h>
#include <zlib.h>

#include "symbols_internal.h"

bool image_crc_is(const struct image *i, uint32_t crc)
{
	size_t n = 0;
	const char *bytes = elf_rawfile(i->elf, &n);
	return bytes && crc32_z(0, (const unsigned char *)bytes, n) == crc;
}

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

void object_close(struct object *o)
{
	object_close_dwarf(o);
	free(o->symbols);
	free(o->symbol_ranges.v);
	free(o->panics);
	if (o->cfi)
		dwarf_cfi_end(o->cfi);
	image_close(&o->own);
	image_close(&o->found[0]);
	image_close(&o->found[1]);
	*o = (struct object){0};
}

bool is_vdso(const char *path)
{
	const char *base = base_name(path);
	return !strcmp(base, "linux-vdso.so.1") || !strcmp(base, "linux-gate.so.1") ||
	       !strcmp(base, "[vdso]");
}

void object_open(struct object *o, struct resolver *r, const struct ht_module *m)
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
	for (size_t i = 0; i < r->n_debug_files; i++)
		if (m->build_id_bytes ? image_is(&r->debug_files[i], m)
				      : o->own.elf && image_fits(&r->debug_files[i], &o->own))
			object_use(o, &r->debug_files[i]);
	if (!object_complete(o) && m->build_id_bytes)
		object_find_by_build_id(o, m);
	if (!object_complete(o) && o->own.elf)
		object_find_by_link(o, m);
	if (!o->own.elf && !o->syms && !o->debug) {
		resolver_warn(r, "%s cannot be used for names (%s): its frames stay %s+0xoffset.",
			*path ? path : "A module without a path", why, base_name(path));
		return;
	}
	if (o->own.elf) {
		o->cfi = dwarf_getcfi_elf(o->own.elf);
		image_eh_table(&o->own, &o->eh);
	}
	const struct image *symbols = o->syms ? o->syms : &o->own;
	if ((symbols->elf && object_load_symbols(o, symbols)) || (o->debug && object_load_dwarf(o)))
		r->failed = true;
}
