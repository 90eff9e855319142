/* SPDX-License-Identifier: MIT */
/* mimalloc's names and arguments. */
#ifndef ADOPT_TOY_H
#define ADOPT_TOY_H

#include <stddef.h>

void *mi_malloc_aligned(size_t size, size_t align);
void *mi_zalloc_aligned(size_t size, size_t align);
void *mi_realloc_aligned(void *at, size_t size, size_t align);
void mi_free(void *at);

#endif
