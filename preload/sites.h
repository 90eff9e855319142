/* SPDX-License-Identifier: MIT */
/* The site tree: one node per (parent, return address), shared by all threads, in the tally. */
#ifndef HEAPTALLY_SITES_H
#define HEAPTALLY_SITES_H

#include <stdbool.h>
#include <stdint.h>

bool site_tree_init(void);

/* The child of `parent` for an address; made when new. Returns `parent` itself when the table is full. */
uint32_t sites_child(uint32_t parent, uint16_t module, uint64_t offset);

#endif
