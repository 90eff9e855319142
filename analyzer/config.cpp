/* SPDX-License-Identifier: MIT */
/* From toml++'s document to plain C structs: see config.h. No exception leaves this file. */
#include "config.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#define TOML_EXCEPTIONS        0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#define FILE_MAX_BYTES (16u << 20)

namespace
{

char *copy(std::string_view s)
{
	char *c = static_cast<char *>(malloc(s.size() + 1));

	if (!c)
		throw std::bad_alloc();
	memcpy(c, s.data(), s.size());
	c[s.size()] = '\0';
	return c;
}

void fill(config_node *to, const toml::node &from);

/* The items are in *to before they are filled, so that config_release finds them whatever happens. */
config_node *room(config_node *to, size_t n)
{
	to->items = static_cast<config_node *>(calloc(n + 1, sizeof(*to->items)));
	if (!to->items)
		throw std::bad_alloc();
	to->n_items = static_cast<uint32_t>(n);
	return to->items;
}

void fill(config_node *to, const toml::node &from)
{
	to->line = from.source().begin.line;
	if (const toml::table *table = from.as_table()) {
		to->type = CONFIG_TABLE;
		config_node *item = room(to, table->size());
		for (auto &&[key, value] : *table) {
			fill(item, value);
			item->key = copy(key.str());
			item->line = key.source().begin.line;
			item++;
		}
	} else if (const toml::array *array = from.as_array()) {
		to->type = CONFIG_ARRAY;
		config_node *item = room(to, array->size());
		for (auto &&value : *array)
			fill(item++, value);
	} else if (auto text = from.as_string()) {
		to->type = CONFIG_STRING;
		to->string = copy(text->get());
	} else if (auto integer = from.as_integer()) {
		to->type = CONFIG_INTEGER;
		to->number = static_cast<double>(integer->get());
	} else if (auto real = from.as_floating_point()) {
		to->type = CONFIG_REAL;
		to->number = real->get();
	} else if (auto boolean = from.as_boolean()) {
		to->type = CONFIG_BOOL;
		to->number = boolean->get();
	} else {
		to->type = CONFIG_OTHER;
	}
}

} // namespace

extern "C" int config_parse(
	config_node *root, const char *text, size_t n, const char *name, error *e)
{
	*root = config_node();
	try {
		toml::parse_result parsed = toml::parse(std::string_view(text, n));
		if (!parsed) {
			std::string what(parsed.error().description());
			return error_set(e, "%s:%u: %s", name,
				static_cast<unsigned>(parsed.error().source().begin.line),
				what.c_str());
		}
		fill(root, parsed.table());
		root->line = 1;
		return 0;
	} catch (...) {
		config_release(root);
		return error_set(e, "out of memory for %s", name);
	}
}

extern "C" int config_read(config_node *root, const char *path, error *e)
{
	FILE *f = fopen(path, "re");
	char *text = static_cast<char *>(f ? malloc(FILE_MAX_BYTES) : nullptr);
	size_t n = text ? fread(text, 1, FILE_MAX_BYTES, f) : 0;
	int ret;

	if (!f || !text || ferror(f))
		ret = error_set(e, "%s: %s", path, strerror(errno));
	else if (n == FILE_MAX_BYTES)
		ret = error_set(e, "%s is too large", path);
	else
		ret = config_parse(root, text, n, path, e);
	free(text);
	if (f)
		fclose(f);
	return ret;
}

extern "C" void config_release(config_node *root)
{
	for (uint32_t i = 0; i < root->n_items; i++)
		config_release(&root->items[i]);
	free(root->items);
	free(root->key);
	free(root->string);
	*root = config_node();
}
