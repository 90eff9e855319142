/* SPDX-License-Identifier: MIT */
/* Reads the built-in catalog: plumbing.txt has a crate a line, `#` starts a comment. */
#include "catalog.h"

#include <stdlib.h>
#include <string.h>

__asm__(".section .rodata\n"
	"catalog_plumbing_text: .incbin \"analyzer/catalog/plumbing.txt\"\n.byte 0\n"
	".previous\n");
extern const char catalog_plumbing_text[] __attribute__((visibility("hidden")));

const char *const *catalog_plumbing(void)
{
	static const char **crates;
	size_t n = 0, room = 1;

	if (crates)
		return crates;
	for (const char *s = catalog_plumbing_text; *s; s++)
		room += *s == '\n';
	char *text = strdup(catalog_plumbing_text);
	const char **list = calloc(room + 1, sizeof(*list));
	if (!text || !list) {
		free(text);
		free(list);
		return NULL;
	}
	for (char *rest, *line = strtok_r(text, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest)) {
		line[strcspn(line, "# \t\r")] = '\0';
		if (*line)
			list[n++] = line;
	}
	return crates = list;
}
