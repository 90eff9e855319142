/* SPDX-License-Identifier: MIT */
/*
 * What patterns about single blocks ask of a group: are they of fixed size, what does the allocator add to each, where do
 * they lie.
 */
#ifndef HEAPTALLY_PATTERNS_BLOCKS_H
#define HEAPTALLY_PATTERNS_BLOCKS_H

#include "pattern.h"

/* glibc's malloc puts 8 bytes in front of each block; they are in no usable size. An adopted allocator has none. */
#define BLOCK_HEADER_BYTES 8u

/* Every bucket holds blocks of one size, and none was made or changed by realloc. */
bool group_is_fixed(const struct evidence *v, const struct group *g);

/* The blame function has a name and it is Rust's, or it has none and may be. */
bool group_is_rust(const struct evidence *v, const struct group *g);

/* Over the blocks live at the peak: usable size less requested size, and headers. */
struct overhead {
	double slack_bytes, header_bytes;
};
struct overhead group_overhead(const struct evidence *v, const struct group *g);

/* Pages that have a block of the group over the pages that these blocks would fill, by the sampled pages. 0: not known. */
double group_scatter(const struct evidence *v, const struct group *g);

#endif
