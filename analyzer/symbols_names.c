/* SPDX-License-Identifier: MIT */
/*
 * What a resolver has made so far: strings, functions and frames, each once, and warnings. Tables by uthash, which
 * says that it is out of memory by losing the element.
 */
#include <stdarg.h>
#include <stdio.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#include "rust.h"
#include "symbols_internal.h"

#define CRATE_SIZE sizeof(((struct rust_name *)0)->crate)

struct string {
	UT_hash_handle hh;
	uint32_t offset;
	bool lost;
	char text[];
};

struct function {
	UT_hash_handle hh;
	struct {
		uint32_t name, file, module;
	} key;
	uint32_t index;
	bool lost;
};

static uint32_t intern(struct resolver *r, const char *text)
{
	struct string *s;
	size_t n = strlen(text);
	if (!n)
		return 0;
	HASH_FIND(hh, r->strings, text, n, s);
	if (s)
		return s->offset;
	if (r->names_bytes + n + 1 > r->names_cap) {
		size_t cap = 2 * r->names_cap + n + 1;
		char *names = realloc(r->names, cap);
		if (!names)
			goto fail;
		r->names = names;
		r->names_cap = cap;
	}
	if (r->names_bytes + n + 1 > UINT32_MAX)
		goto fail;
	s = malloc(sizeof(*s) + n + 1);
	if (!s)
		goto fail;
	s->offset = (uint32_t)r->names_bytes;
	s->lost = false;
	memcpy(s->text, text, n + 1);
	HASH_ADD(hh, r->strings, text, n, s);
	if (s->lost) {
		free(s);
		goto fail;
	}
	memcpy(r->names + r->names_bytes, text, n + 1);
	r->names_bytes += n + 1;
	return s->offset;
fail:
	r->failed = true;
	return 0;
}

static uint32_t function_add(struct resolver *r, uint32_t module, uint32_t name, uint32_t file,
	uint32_t crate, uint16_t flags)
{
	struct function *f, key = {.key = {name, file, module}};
	HASH_FIND(hh, r->function_table, &key.key, sizeof(key.key), f);
	if (f)
		return f->index;
	f = malloc(sizeof(*f));
	if (!f || !grow(&r->functions, r->n_functions, &r->cap_functions, sizeof(*r->functions)) ||
		r->n_functions >= UINT32_MAX) {
		free(f);
		r->failed = true;
		return 0;
	}
	*f = key;
	f->index = (uint32_t)r->n_functions;
	HASH_ADD(hh, r->function_table, key, sizeof(f->key), f);
	if (f->lost) {
		free(f);
		r->failed = true;
		return 0;
	}
	if (!file)
		flags |= HT_FUNCTION_NO_LINES;
	r->functions[r->n_functions++] = (struct ht_function){.name = name,
		.file = file,
		.module = (uint16_t)module,
		.flags = flags,
		.crate = crate};
	return f->index;
}

uint32_t resolver_function(
	struct resolver *r, uint32_t module, const char *linker_name, const char *file)
{
	char *name = symbols_demangle(linker_name);
	char *clean = file ? symbols_clean(file) : NULL;
	char crate[CRATE_SIZE] = "";
	uint32_t function = 0;
	rust_impl_crate(crate, sizeof(crate), linker_name);
	if (name && (clean || !file))
		function = function_add(r, module, intern(r, name), clean ? intern(r, clean) : 0,
			intern(r, crate), 0);
	else
		r->failed = true;
	free(name);
	free(clean);
	return function;
}

uint32_t resolver_unnamed(struct resolver *r, uint32_t module, const char *source, uint64_t offset)
{
	const char *base =
		source ? source : base_name(tally_string(r->t, r->t->modules[module].path));
	char *text = NULL, *clean = NULL;
	uint32_t function = 0;
	if (asprintf(&text, "%s+0x%llx", *base ? base : "?", (unsigned long long)offset) >= 0) {
		clean = symbols_clean(text);
		free(text);
	}
	if (clean)
		function = function_add(r, module, intern(r, clean), 0, 0,
			HT_FUNCTION_UNNAMED | (source ? HT_FUNCTION_BY_SOURCE : 0));
	else
		r->failed = true;
	free(clean);
	return function;
}

void resolver_frame(struct resolver *r, struct ht_location *l, uint32_t function, int line)
{
	if (!grow(&r->frames, r->n_frames, &r->cap_frames, sizeof(*r->frames)) ||
		r->n_frames >= UINT32_MAX) {
		r->failed = true;
		return;
	}
	r->frames[r->n_frames++] =
		(struct ht_frame){.function = function, .line = line > 0 ? (uint32_t)line : 0};
	l->n_frames++;
}

void resolver_warn(struct resolver *r, const char *format, ...)
{
	char *line = NULL;
	va_list ap;
	va_start(ap, format);
	int n = vasprintf(&line, format, ap);
	va_end(ap);
	char *text = n < 0 ? NULL : realloc(r->warnings, r->warnings_bytes + (size_t)n + 2);
	if (!text) {
		r->failed = true;
	} else {
		r->warnings = text;
		memcpy(text + r->warnings_bytes, line, (size_t)n);
		r->warnings_bytes += (size_t)n;
		strcpy(text + r->warnings_bytes++, "\n");
	}
	if (n >= 0)
		free(line);
}

void resolver_names_release(struct resolver *r)
{
	struct string *s, *next_string;
	HASH_ITER(hh, r->strings, s, next_string)
	{
		HASH_DEL(r->strings, s);
		free(s);
	}
	struct function *f, *next_function;
	HASH_ITER(hh, r->function_table, f, next_function)
	{
		HASH_DEL(r->function_table, f);
		free(f);
	}
	free(r->names);
	free(r->functions);
	free(r->frames);
	free(r->warnings);
}
