/* SPDX-License-Identifier: MIT */
/* ELF files that may have names: opened, looked over, matched with a module by build-id. */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbols_internal.h"

void image_close(struct image *i)
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

int image_open(struct image *i, const char *path, const char **why)
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

bool image_is(const struct image *i, const struct ht_module *m)
{
	size_t n = i->build_id_bytes < BUILD_ID_BYTES ? i->build_id_bytes : BUILD_ID_BYTES;
	return n == m->build_id_bytes && (!n || !memcmp(i->build_id, m->build_id, n));
}

Elf_Data *image_section_at(const struct image *i, uint64_t address, uint64_t *start)
{
	for (Elf_Scn *s = NULL; (s = elf_nextscn(i->elf, s));) {
		GElf_Shdr header;
		if (!gelf_getshdr(s, &header) || !(header.sh_flags & SHF_ALLOC) ||
			header.sh_type == SHT_NOBITS || address - header.sh_addr >= header.sh_size)
			continue;
		*start = header.sh_addr;
		return elf_rawdata(s, NULL);
	}
	return NULL;
}
