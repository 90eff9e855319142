/* SPDX-License-Identifier: MIT */
/* Program headers, the dynamic section, notes and symbol tables. */
#include "find_elf.h"

#include <string.h>

const uint8_t *elf_at(const struct elf_view *view, uint64_t vaddr, size_t n)
{
	for (unsigned i = 0; i < view->n_loads; i++) {
		const struct elf_range *load = &view->loads[i];
		uint64_t offset = vaddr - load->vaddr;
		if (vaddr >= load->vaddr && offset <= load->n && n <= load->n - offset)
			return load->bytes + offset;
	}
	return NULL;
}

bool elf_executable(const struct elf_view *view, uint64_t vaddr)
{
	for (unsigned i = 0; i < view->n_loads; i++)
		if (vaddr - view->loads[i].vaddr < view->loads[i].n && (view->flags[i] & PF_X))
			return true;
	return false;
}

const char *elf_name(const struct elf_symbols *symbols, const Elf64_Sym *symbol)
{
	return symbol->st_name < symbols->n_strings ? symbols->strings + symbol->st_name : "";
}

bool elf_same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

bool elf_starts(const char *name, const char *prefix)
{
	while (*prefix && *name == *prefix)
		name++, prefix++;
	return !*prefix;
}

/* A table whose last string does not end is not used at all. */
static void keep_terminated(struct elf_symbols *symbols)
{
	if (symbols->n_strings && symbols->strings[symbols->n_strings - 1])
		*symbols = (struct elf_symbols){0};
}

/* How many symbols the hash tables say there are: the dynamic section does not. */
static size_t count_by_hash(const struct elf_view *view, uint64_t hash, uint64_t gnu_hash)
{
	const uint32_t *words;
	if ((uintptr_t)elf_at(view, hash, 0) % 4 || (uintptr_t)elf_at(view, gnu_hash, 0) % 4)
		return 0;
	if (hash && (words = (const uint32_t *)elf_at(view, hash, 8)))
		return words[1];
	if (!gnu_hash || !(words = (const uint32_t *)elf_at(view, gnu_hash, 16)))
		return 0;
	uint32_t n_buckets = words[0], first = words[1], n_bloom = words[2], last = 0;
	uint64_t buckets = gnu_hash + 16 + (uint64_t)n_bloom * 8;
	const uint32_t *bucket = (const uint32_t *)elf_at(view, buckets, (size_t)n_buckets * 4);
	if (!bucket)
		return 0;
	for (uint32_t i = 0; i < n_buckets; i++)
		if (bucket[i] > last)
			last = bucket[i];
	if (last < first)
		return first;
	uint64_t chain = buckets + (uint64_t)n_buckets * 4;
	const uint32_t *link;
	while ((link = (const uint32_t *)elf_at(view, chain + (uint64_t)(last - first) * 4, 4)) &&
		!(*link & 1))
		last++;
	return (size_t)last + 1;
}

/* In a loaded image glibc has added the bias to some of the dynamic section's pointers, and others not. */
static uint64_t unbiased(
	const struct elf_view *view, const struct find_image *image, uint64_t value)
{
	if (image->loaded && (value < view->low || value >= view->high) &&
		value - image->bias >= view->low && value - image->bias < view->high)
		return value - image->bias;
	return value;
}

static const void *table(const struct elf_view *view, uint64_t vaddr, uint64_t bytes)
{
	const void *at = vaddr && bytes ? elf_at(view, vaddr, bytes) : NULL;
	return (uintptr_t)at % 8 ? NULL : at;
}

static void read_dynamic(
	struct elf_view *view, const struct find_image *image, const Elf64_Dyn *dynamic, size_t n)
{
	uint64_t value[DT_RELR + 1] = {0}, gnu_hash = 0;
	for (size_t i = 0; i < n && dynamic[i].d_tag != DT_NULL; i++) {
		if (dynamic[i].d_tag >= 0 && dynamic[i].d_tag <= DT_RELR)
			value[dynamic[i].d_tag] = dynamic[i].d_un.d_val;
		else if (dynamic[i].d_tag == DT_GNU_HASH)
			gnu_hash = unbiased(view, image, dynamic[i].d_un.d_ptr);
	}
	static const unsigned pointers[] = {
		DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_JMPREL, DT_RELR};
	for (size_t i = 0; i < sizeof(pointers) / sizeof(*pointers); i++)
		value[pointers[i]] = unbiased(view, image, value[pointers[i]]);

	view->rela = table(view, value[DT_RELA], value[DT_RELASZ]);
	view->n_rela = view->rela ? value[DT_RELASZ] / sizeof(Elf64_Rela) : 0;
	view->jmprel = table(view, value[DT_JMPREL], value[DT_PLTRELSZ]);
	view->n_jmprel = view->jmprel ? value[DT_PLTRELSZ] / sizeof(Elf64_Rela) : 0;
	view->relr = table(view, value[DT_RELR], value[DT_RELRSZ]);
	view->n_relr = view->relr ? value[DT_RELRSZ] / sizeof(uint64_t) : 0;
	view->relr_bias = image->loaded ? image->bias : 0;
	view->has_relocations = view->rela || view->relr;

	size_t symbols = count_by_hash(view, value[DT_HASH], gnu_hash);
	view->dynamic.symbols =
		table(view, value[DT_SYMTAB], (uint64_t)symbols * sizeof(Elf64_Sym));
	view->dynamic.strings = (const char *)elf_at(view, value[DT_STRTAB], value[DT_STRSZ]);
	view->dynamic.n = view->dynamic.symbols && view->dynamic.strings ? symbols : 0;
	view->dynamic.n_strings = view->dynamic.strings ? value[DT_STRSZ] : 0;
	keep_terminated(&view->dynamic);
}

static void read_note(struct elf_view *view, const uint8_t *note, size_t n)
{
	while (n >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr header;
		memcpy(&header, note, sizeof(header));
		size_t name = ((size_t)header.n_namesz + 3) & ~(size_t)3;
		size_t body = ((size_t)header.n_descsz + 3) & ~(size_t)3;
		if (name + body > n - sizeof(header))
			return;
		note += sizeof(header);
		if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
			!memcmp(note, "GNU", 4)) {
			view->build_id = note + name;
			view->n_build_id = header.n_descsz;
		}
		note += name + body;
		n -= sizeof(header) + name + body;
	}
}

/* .eh_frame lies where its header says; it ends where its list does. */
static void read_frames(struct elf_view *view, uint64_t vaddr)
{
	const uint8_t *header = elf_at(view, vaddr, 12);
	view->frame_hdr = vaddr;
	if (!header || header[0] != 1 ||
		header[1] != 0x1b) /* pcrel, sdata4: what every linker writes */
		return;
	int32_t offset;
	memcpy(&offset, header + 4, 4);
	uint64_t frames = vaddr + 4 + (int64_t)offset;
	for (unsigned i = 0; i < view->n_loads; i++)
		if (frames - view->loads[i].vaddr < view->loads[i].n)
			view->frames = (struct elf_range){
				view->loads[i].bytes + (frames - view->loads[i].vaddr), frames,
				view->loads[i].n - (frames - view->loads[i].vaddr)};
}

/* .symtab, for which section headers are needed. */
static void read_sections(struct elf_view *view, const uint8_t *file, size_t n)
{
	Elf64_Ehdr header;
	memcpy(&header, file, sizeof(header));
	if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shoff > n || header.e_shoff % 8 ||
		(size_t)header.e_shnum * sizeof(Elf64_Shdr) > n - header.e_shoff)
		return;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + header.e_shoff);
	for (unsigned i = 0; i < header.e_shnum; i++) {
		const Elf64_Shdr *s = &sections[i];
		if (s->sh_type != SHT_SYMTAB || s->sh_link >= header.e_shnum)
			continue;
		const Elf64_Shdr *strings = &sections[s->sh_link];
		if (s->sh_offset > n || s->sh_size > n - s->sh_offset || s->sh_offset % 8 ||
			strings->sh_offset > n || strings->sh_size > n - strings->sh_offset)
			continue;
		view->full = (struct elf_symbols){(const Elf64_Sym *)(file + s->sh_offset),
			s->sh_size / sizeof(Elf64_Sym), (const char *)file + strings->sh_offset,
			strings->sh_size};
		keep_terminated(&view->full);
	}
}

static bool plausible(const Elf64_Ehdr *header)
{
	return !memcmp(header->e_ident, ELFMAG, SELFMAG) &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB;
}

int elf_open(struct elf_view *view, const struct find_image *image, const char **why)
{
	*view = (struct elf_view){0};
	const Elf64_Phdr *headers = image->headers;
	size_t n = image->n_headers;
	if (image->file) {
		Elf64_Ehdr header;
		*why = "it is not an ELF file";
		if (image->n_file < sizeof(header) || memcmp(image->file, ELFMAG, SELFMAG))
			return -1;
		memcpy(&header, image->file, sizeof(header));
		*why = "it is not for x86-64";
		if (!plausible(&header) || header.e_machine != EM_X86_64)
			return -1;
		*why = "it is neither a program nor a shared object";
		if (header.e_type != ET_DYN && header.e_type != ET_EXEC)
			return -1;
		if (!image->loaded) {
			*why = "its program headers lie outside of the file";
			if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff % 8 ||
				header.e_phoff > image->n_file ||
				header.e_phnum * sizeof(Elf64_Phdr) >
					image->n_file - header.e_phoff)
				return -1;
			headers = (const Elf64_Phdr *)(image->file + header.e_phoff);
			n = header.e_phnum;
		}
		read_sections(view, image->file, image->n_file);
	}
	view->low = UINT64_MAX;
	for (size_t i = 0; i < n && view->n_loads < ELF_MAX_LOADS; i++) {
		const Elf64_Phdr *p = &headers[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_R) || !p->p_filesz)
			continue;
		*why = "a segment lies outside of the file";
		if (p->p_filesz > p->p_memsz || p->p_vaddr + p->p_memsz < p->p_vaddr)
			return -1;
		if (!image->loaded &&
			(p->p_offset > image->n_file || p->p_filesz > image->n_file - p->p_offset))
			return -1;
		const uint8_t *bytes =
			image->loaded ? (const uint8_t *)(uintptr_t)(image->bias + p->p_vaddr)
				      : image->file + p->p_offset;
		view->flags[view->n_loads] = p->p_flags;
		view->loads[view->n_loads++] = (struct elf_range){bytes, p->p_vaddr, p->p_filesz};
		if (p->p_vaddr < view->low)
			view->low = p->p_vaddr;
		if (p->p_vaddr + p->p_memsz > view->high)
			view->high = p->p_vaddr + p->p_memsz;
	}
	*why = "it has no segments to load";
	if (!view->n_loads)
		return -1;
	*why = "it is larger than 4 GiB";
	if (view->high - view->low > UINT32_MAX)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const Elf64_Phdr *p = &headers[i];
		const uint8_t *at = elf_at(view, p->p_vaddr, p->p_filesz);
		if (p->p_type == PT_INTERP)
			view->program = true;
		if (p->p_type == PT_GNU_RELRO) {
			view->relro = p->p_vaddr;
			view->relro_bytes = p->p_memsz;
		} else if (!at || !p->p_filesz) {
			continue;
		} else if (p->p_type == PT_DYNAMIC && !((uintptr_t)at % 8)) {
			read_dynamic(view, image, (const Elf64_Dyn *)at,
				p->p_filesz / sizeof(Elf64_Dyn));
		} else if (p->p_type == PT_NOTE) {
			read_note(view, at, p->p_filesz);
		} else if (p->p_type == PT_GNU_EH_FRAME) {
			read_frames(view, p->p_vaddr);
		}
	}
	return 0;
}
