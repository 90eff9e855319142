/* SPDX-License-Identifier: MIT */
/*
 * What the finder said of a module, kept in the user's cache directory ($XDG_CACHE_HOME/heaptally or
 * ~/.cache/heaptally) by build-id, or by path, size and time where a file has none. An entry that is damaged, or of
 * another version, is as good as none; what a sound one says is proven anew in each process.
 */
#ifndef HEAPTALLY_ADOPT_CACHE_H
#define HEAPTALLY_ADOPT_CACHE_H

#include <stdbool.h>

#include "find.h"
#include "format.h"

/* For a home directory ("" or NULL: no cache). Called once, before the others. */
void adopt_cache_init(const char *xdg_cache_home, const char *home);

/* path: of the module's file. */
bool adopt_cache_load(const struct ht_module *m, const char *path, struct find_result *found);
void adopt_cache_store(const struct ht_module *m, const char *path, const struct find_result *found);

#endif
