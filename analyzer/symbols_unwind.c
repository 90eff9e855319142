/* SPDX-License-Identifier: MIT */
/* Where functions start, by a file's unwind tables: for those without a name, and to tell whether names fit. */
#include <dwarf.h>

#include "symbols_internal.h"

/* Takes the table in the one encoding that linkers write. */
void image_eh_table(const struct image *i, struct eh_table *out)
{
	size_t n;
	*out = (struct eh_table){0};
	if (elf_getphdrnum(i->elf, &n))
		return;
	for (size_t k = 0; k < n; k++) {
		GElf_Phdr header;
		if (!gelf_getphdr(i->elf, (int)k, &header) || header.p_type != PT_GNU_EH_FRAME)
			continue;
		Elf_Data *data = elf_getdata_rawchunk(
			i->elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_BYTE);
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
		*out = (struct eh_table){
			(const struct eh_entry *)(bytes + 12), count, header.p_vaddr};
		return;
	}
}

/* libdw only tells where the function's row of rules starts; the header's table has the functions. */
bool object_function(struct object *o, uint64_t address, uint64_t *start, uint64_t *next)
{
	Dwarf_Frame *frame;
	size_t low = 0, high = o->eh.n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (eh_start(&o->eh, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || !o->cfi || dwarf_cfi_addrframe(o->cfi, address, &frame))
		return false;
	free(frame);
	*start = eh_start(&o->eh, low - 1);
	*next = eh_start(&o->eh, low);
	return true;
}

bool image_unwound_functions(const struct image *i, struct ranges *out)
{
	enum {
		START = 8,
		LENGTH = 12,
		END = 16
	}; /* in an entry, after its own length and its parent's place */
	struct eh_table table;
	Elf_Data *frames = NULL;
	uint64_t from = 0;
	image_eh_table(i, &table);
	for (size_t k = 0; k < table.n; k++) {
		uint64_t at = table.address + (uint64_t)table.entries[k].fde;
		uint64_t function = table.address + (uint64_t)table.entries[k].start;
		int32_t start;
		uint32_t length;
		if (!frames || at - from >= frames->d_size)
			frames = image_section_at(i, at, &from);
		if (!frames || frames->d_size < END || at - from > frames->d_size - END)
			continue;
		memcpy(&start, (const char *)frames->d_buf + (at - from) + START, sizeof(start));
		memcpy(&length, (const char *)frames->d_buf + (at - from) + LENGTH, sizeof(length));
		/* else it is not encoded like that */
		if (at + START + (uint64_t)(int64_t)start == function &&
			!ranges_add(out, function, function + length, (uint32_t)k))
			return false;
	}
	ranges_sort(out);
	return true;
}
