/* SPDX-License-Identifier: MIT */
/*
 * The module table. _dl_find_object (glibc 2.35) tells the module of an address without locks, so this can run inside
 * any allocation, also one made by the loader itself.
 */
#include "modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "adopt.h"
#include "cfi.h"
#include "tallyfile.h"

#define MAX_MODULES 65535u
/* A table with less than one entry per this many bytes of code is left over from start-up files: rspack's release
 * binding has one per 130 KB, ordinary builds one per 100 to 500 bytes. */
#define SPARSE_CODE_BYTES 16384u

static struct module
	*modules; /* append-only; entry i is module i of the tally; 0 is the pseudo module */
static uint32_t n_modules;
static struct sys_lock add_lock;
static const struct module *self_module;

static void read_notes(const uint8_t *at, const uint8_t *end, struct ht_module *out)
{
	while ((size_t)(end - at) > sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		const uint8_t *name = at + sizeof(*note);
		const uint8_t *desc = name + ((note->n_namesz + 3) & ~3u);

		if (desc > end || note->n_descsz > (size_t)(end - desc))
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
			memcmp(name, "GNU", 4) == 0) {
			out->build_id_bytes = note->n_descsz < sizeof(out->build_id)
						      ? (uint8_t)note->n_descsz
						      : (uint8_t)sizeof(out->build_id);
			memcpy(out->build_id, desc, out->build_id_bytes);
			return;
		}
		at = desc + ((note->n_descsz + 3) & ~3u);
	}
}

/* The program headers of the object around `found`. The loader gives the executable's by segment, so its own place is
 * told by the kernel; libraries are one mapping that starts with the ELF header. */
static const ElfW(Phdr) * program_headers(const struct dl_find_object *found, size_t *count)
{
	const ElfW(Ehdr) *elf = found->dlfo_map_start;

	if (found->dlfo_link_map->l_name[0] == '\0') {
		*count = getauxval(AT_PHNUM);
		return (const void *)getauxval(AT_PHDR);
	}
	*count = 0;
	if (memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_phentsize != sizeof(ElfW(Phdr)) ||
		elf->e_phoff + elf->e_phnum * sizeof(ElfW(Phdr)) > SYS_PAGE_BYTES)
		return NULL;
	*count = elf->e_phnum;
	return (const void *)((uintptr_t)elf + elf->e_phoff);
}

struct extent {
	uintptr_t start, end;
	size_t code_bytes;
};

/* What the program headers say: where the object lies, how much of it is code, and its build-id. */
static struct extent read_headers(const struct dl_find_object *found, struct ht_module *out)
{
	struct extent e = {(uintptr_t)found->dlfo_map_start, (uintptr_t)found->dlfo_map_end, 0};
	uintptr_t bias = found->dlfo_link_map->l_addr;
	size_t count;
	const ElfW(Phdr) *p = program_headers(found, &count);

	for (size_t i = 0; i < count; i++) {
		uintptr_t at = bias + p[i].p_vaddr, end = at + p[i].p_memsz;
		if (p[i].p_type != PT_LOAD)
			continue;
		if ((at & ~(SYS_PAGE_BYTES - 1)) < e.start)
			e.start = at & ~(SYS_PAGE_BYTES - 1);
		if (end > e.end)
			e.end = end;
		if (p[i].p_flags & PF_X)
			e.code_bytes += p[i].p_memsz;
	}
	for (size_t i = 0; i < count && !out->build_id_bytes; i++) {
		const uint8_t *note = (const uint8_t *)(bias + p[i].p_vaddr);
		if (p[i].p_type == PT_NOTE && (uintptr_t)note >= e.start &&
			(uintptr_t)note + p[i].p_memsz <= e.end)
			read_notes(note, note + p[i].p_memsz, out);
	}
	return e;
}

/* The path as the analyzer can open it, also when the host was started as ./program. */
static uint32_t record_path(const char *name)
{
	char path[4096];

	if (name[0] == '\0')
		return tally.header->exe;
	if (name[0] == '/' || !strchr(name, '/'))
		return tallyfile_string(name);
	sys_current_directory(path, sizeof(path) - 1);
	size_t n = strlen(path), more = strlen(name);
	if (n + more + 2 > sizeof(path))
		return tallyfile_string(name);
	path[n] = '/';
	memcpy(path + n + 1, name, more + 1);
	return tallyfile_string(path);
}

static const struct module *lookup(uintptr_t pc)
{
	/* acquire: entries up to the count are whole. Latest first: that is where new code runs. */
	for (uint32_t i = __atomic_load_n(&n_modules, __ATOMIC_ACQUIRE); i-- > 1;)
		if (pc >= modules[i].start && pc < modules[i].end && !modules[i].gone)
			return &modules[i];
	return NULL;
}

static const struct module *add(uintptr_t pc)
{
	struct dl_find_object found;
	const struct module *known;

	if (_dl_find_object((void *)pc, &found) != 0)
		return NULL;
	sys_lock(&add_lock);
	known = lookup(pc);
	if (known || n_modules == MAX_MODULES || !tallyfile_room(HT_SEC_MODULES, n_modules + 1)) {
		sys_unlock(&add_lock);
		return known;
	}
	struct module *m = &modules[n_modules];
	struct ht_module *out = &tally.modules[n_modules];
	struct extent extent = read_headers(&found, out);
	m->index = (uint16_t)n_modules;
	m->probe = pc;
	m->start = extent.start;
	m->end = extent.end;
	m->bias = found.dlfo_link_map->l_addr;
	out->bias = m->bias;
	out->start = m->start;
	out->end = m->end;
	out->loaded_ticks = sys_ticks();
	out->path = record_path(found.dlfo_link_map->l_name);
	if (found.dlfo_link_map->l_name[0] == '\0')
		out->flags |= HT_MODULE_MAIN;
	if (found.dlfo_eh_frame) {
		const uint8_t *header = found.dlfo_eh_frame;
		size_t entries = cfi_entries(header, (const uint8_t *)m->end);
		if (entries > 0 && extent.code_bytes / entries < SPARSE_CODE_BYTES)
			m->frame_header = header;
	}
	if (!m->frame_header)
		out->flags |= HT_MODULE_NO_TABLES;
	/* release: both for lookup and for readers of the file */
	__atomic_store_n(&tally.header->n_modules, n_modules + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&n_modules, n_modules + 1, __ATOMIC_RELEASE);
	sys_unlock(&add_lock);
	return m;
}

const struct module *modules_find(uintptr_t pc)
{
	const struct module *m = lookup(pc);

	return m ? m : add(pc);
}

const ElfW(Phdr) * modules_headers(const struct module *m, size_t *count)
{
	struct dl_find_object found;

	*count = 0;
	return _dl_find_object((void *)m->probe, &found) == 0 ? program_headers(&found, count)
							      : NULL;
}

const struct module *modules_self(void)
{
	return self_module;
}

bool modules_init(void)
{
	memset(&add_lock, 0, sizeof(add_lock));
	modules = sys_reserve(sizeof(struct module) * (MAX_MODULES + 1));
	if (!modules)
		return false;
	n_modules = 1;
	tally.header->n_modules = 1;
	self_module = modules_find((uintptr_t)modules_init);
	if (self_module)
		tally.modules[self_module->index].flags |= HT_MODULE_SHIM;
	return true;
}

static int scan_one(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD) {
			modules_find(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
			break;
		}
	return 0;
}

void modules_scan(void (*each)(const struct module *m))
{
	dl_iterate_phdr(scan_one, NULL);
	for (uint32_t i = 1; each && i < __atomic_load_n(&n_modules, __ATOMIC_ACQUIRE); i++)
		if (!modules[i].gone)
			each(&modules[i]);
}

bool modules_sweep(void (*unloaded)(const struct module *m))
{
	bool any = false;

	for (uint32_t i = 1; i < __atomic_load_n(&n_modules, __ATOMIC_ACQUIRE); i++) {
		struct module *m = &modules[i];
		struct ht_module *out = &tally.modules[i];
		struct dl_find_object found;
		struct ht_module now = {0};

		if (m->gone)
			continue;
		if (_dl_find_object((void *)m->probe, &found) == 0) {
			struct extent e = read_headers(&found, &now);
			if (e.start == m->start && e.end == m->end &&
				memcmp(now.build_id, out->build_id, sizeof(now.build_id)) == 0)
				continue;
		}
		m->gone = true;
		out->unloaded_ticks = sys_ticks();
		out->flags |= HT_MODULE_GONE;
		unloaded(m);
		any = true;
	}
	return any;
}

void modules_count_map(uintptr_t caller, uint64_t mapped_bytes, uint64_t unmapped_bytes)
{
	const struct module *m = modules_find(caller);
	if (m && mapped_bytes)
		adopt_consider(m);
	struct ht_module *out = &tally.modules[m ? m->index : 0];

	__atomic_fetch_add(&out->map_bytes, mapped_bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&out->unmap_bytes, unmapped_bytes, __ATOMIC_RELAXED);
}
