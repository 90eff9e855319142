/* SPDX-License-Identifier: MIT */
/* Folded stacks: see folded.h. */
#include "folded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../utf8.h"

struct pending {
	uint32_t node;
	size_t prefix_len; /* of the path that its caller left */
};

struct folded {
	const struct profile_tree *tree;
	char **names; /* by function; made when first met */
	struct pending *stack;
	char *path;
	size_t path_bytes;
};

static int folded_name(struct folded *f, const struct profile *p, uint32_t node)
{
	uint32_t function = f->tree->nodes[node].function;

	if (f->names[function])
		return 0;
	f->names[function] = utf8_clean(p->functions[function].brief, SIZE_MAX);
	if (!f->names[function])
		return -1;
	for (char *s = f->names[function]; (s = strchr(s, ';'));)
		*s = ',';
	return 0;
}

/* Descending, because the last one pushed is the first one written. */
static int by_name(const void *a, const void *b, void *arg)
{
	const struct folded *f = arg;
	uint32_t x = ((const struct pending *)a)->node, y = ((const struct pending *)b)->node;
	uint32_t fx = f->tree->nodes[x].function, fy = f->tree->nodes[y].function;
	int c = strcmp(f->names[fy], f->names[fx]);

	return c ? c : (fx < fy) - (fx > fy);
}

/* Appends name to the first len bytes of the path; the new length, or 0 when out of memory. */
static size_t folded_append(struct folded *f, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len + n + 2 > f->path_bytes) {
		size_t bytes = (len + n + 2) * 2;
		char *path = realloc(f->path, bytes);
		if (!path)
			return 0;
		f->path = path;
		f->path_bytes = bytes;
	}
	if (len)
		f->path[len++] = ';';
	memcpy(f->path + len, name, n + 1);
	return len + n;
}

/* Depth first over an own stack: a hostile tally can be deeper than the process's. */
static int folded_walk(struct folded *f, FILE *out, const struct profile *p, const char *root,
	enum profile_metric metric)
{
	const struct profile_node *nodes = f->tree->nodes;
	size_t n = 0;

	f->stack[n++] = (struct pending){0, 0};
	while (n) {
		struct pending at = f->stack[--n];
		const char *name = at.node ? f->names[nodes[at.node].function] : root;
		size_t len = folded_append(f, at.prefix_len, name), first = n;
		uint64_t value = totals_metric(&nodes[at.node].self, metric);
		if (!len)
			return -1;
		if (value)
			fprintf(out, "%s %" PRIu64 "\n", f->path, value);
		for (uint32_t c = nodes[at.node].first_child; c; c = nodes[c].next_sibling) {
			if (folded_name(f, p, c) < 0)
				return -1;
			f->stack[n++] = (struct pending){c, len};
		}
		qsort_r(f->stack + first, n - first, sizeof(*f->stack), by_name, f);
	}
	return 0;
}

int folded_write(FILE *out, const struct profile *p, const struct profile_tree *tree,
	enum profile_metric metric, struct error *e)
{
	const char *program = tally_string(p->tally, p->tally->header.program);
	struct folded f = {.tree = tree};
	char *root = utf8_clean(*program ? program : "all", SIZE_MAX);
	int rc = -1;

	f.names = calloc((size_t)p->n_functions + 1, sizeof(*f.names));
	f.stack = malloc(((size_t)tree->n_nodes + 1) * sizeof(*f.stack));
	if (root && f.names && f.stack) {
		for (char *s = root; (s = strchr(s, ';'));)
			*s = ',';
		rc = folded_walk(&f, out, p, root, metric);
	}
	if (rc < 0)
		error_set(e, "out of memory");
	for (uint32_t i = 0; f.names && i < p->n_functions; i++)
		free(f.names[i]);
	free(f.names);
	free(f.stack);
	free(f.path);
	free(root);
	return rc;
}
