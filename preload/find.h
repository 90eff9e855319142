/* SPDX-License-Identifier: MIT */
#ifndef HEAPTALLY_FIND_H
#define HEAPTALLY_FIND_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
struct find_image {
	const uint8_t *file; 
	size_t n_file;
	bool loaded;
	uint64_t bias;
	const Elf64_Phdr *headers;
	size_t n_headers;
};
#endif
