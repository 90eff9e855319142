/* SPDX-License-Identifier: MIT */
/* See values.h. */
#include "values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../utf8.h"

json_t *value_integer(uint64_t value)
{
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

json_t *value_text(const char *text, size_t max_bytes)
{
	char *clean = *text ? utf8_clean(text, max_bytes) : strdup("");
	json_t *value = clean ? json_string(clean) : NULL;

	free(clean);
	return value;
}

int values_write(FILE *out, json_t *all, bool bad, const char *what, struct error *e)
{
	int ret = 0;

	if (!all || bad)
		ret = error_set(e, "out of memory for %s", what);
	else if (json_dumpf(all, out, JSON_INDENT(1)) || fputc('\n', out) == EOF || fflush(out) ||
		 ferror(out))
		ret = error_set(e, "cannot write %s: %s", what, strerror(errno));
	json_decref(all);
	return ret;
}
