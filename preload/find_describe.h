/* SPDX-License-Identifier: MIT */
/* What can be said about a module besides its entry points: allocator, version, unwind tables, libc calls. Pure. */
#ifndef HEAPTALLY_FIND_DESCRIBE_H
#define HEAPTALLY_FIND_DESCRIBE_H

#include "find_sites.h"

void find_describe(struct find_result *r, const struct elf_view *view, const struct sites *sites);

#endif
