/* SPDX-License-Identifier: MIT */
/* The data files under catalog/, built into the command. */
#ifndef HEAPTALLY_CATALOG_H
#define HEAPTALLY_CATALOG_H

/* Crates whose frames are plumbing; NULL-terminated, lives as long as the program. NULL only without memory. */
const char *const *catalog_plumbing(void);

#endif
