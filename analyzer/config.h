/* SPDX-License-Identifier: MIT */
/*
 * TOML for C: a file becomes a tree of plain structs that remember their line. The parser is toml++; config.cpp is the
 * only C++ here.
 */
#ifndef HEAPTALLY_CONFIG_H
#define HEAPTALLY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "error.h"

enum config_type {
	CONFIG_TABLE, /* items with keys, sorted by key */
	CONFIG_ARRAY, /* items without keys, as written */
	CONFIG_STRING,
	CONFIG_INTEGER,
	CONFIG_REAL,
	CONFIG_BOOL,
	CONFIG_OTHER, /* dates and times */
};

struct config_node {
	enum config_type type;
	uint32_t line; /* of the key, or of the value in an array; 1 for the root */
	char *key;     /* NULL in arrays and for the root */
	char *string;  /* of a CONFIG_STRING, else NULL */
	double number; /* of an integer or real; 1 or 0 for a bool */
	struct config_node *items;
	uint32_t n_items;
};

/*
 * Parses n bytes of TOML into *root, to be given to config_release. `name` is what errors call the file: on -1 *e reads
 * "name:12: what is wrong", and *root needs no release.
 */
int config_parse(
	struct config_node *root, const char *text, size_t n, const char *name, struct error *e);
/* The same from a file, which errors call by its path. */
int config_read(struct config_node *root, const char *path, struct error *e);
void config_release(struct config_node *root);

#ifdef __cplusplus
}
#endif

#endif
