/* SPDX-License-Identifier: MIT */
/* One sentence for the user, carried up to the command that prints it. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *e, const char *format, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, format);
		vsnprintf(e->text, sizeof(e->text), format, ap);
		va_end(ap);
	}
	return -1;
}
