/* SPDX-License-Identifier: MIT */
/* See lines.h. */
#include "lines.h"

#include "../rust.h"
#include "../utf8.h"

/* Columns that clean text takes. */
static unsigned width(const char *clean)
{
	unsigned n = 0;

	while (clean[utf8_fit(clean, n)])
		n++;
	return n;
}

void line_look(FILE *out, bool style, enum line_look look)
{
	static const char *const codes[] = {"\033[0m", "\033[1m", "\033[2m"};

	if (style)
		fputs(codes[look], out);
}

void line_heading(FILE *out, bool style, const char *title)
{
	fputc('\n', out);
	line_look(out, style, LINE_BOLD);
	fputs(title, out);
	line_look(out, style, LINE_PLAIN);
	fputc('\n', out);
}

unsigned line_cut(FILE *out, const char *clean, unsigned columns)
{
	if (!clean[utf8_fit(clean, columns)]) {
		fputs(clean, out);
		return width(clean);
	}
	fprintf(out, "%.*s…", (int)utf8_fit(clean, columns - 1), clean);
	return columns;
}

unsigned line_name(FILE *out, const char *clean, unsigned columns)
{
	char brief[512];

	if (!rust_name_source(clean) && !clean[utf8_fit(clean, columns)])
		return line_cut(out, clean, columns);
	rust_name_short(brief, columns + 1 < sizeof(brief) ? columns + 1 : sizeof(brief), clean);
	return line_cut(out, brief, columns);
}

void line_wrapped(FILE *out, const char *clean, unsigned at, unsigned columns)
{
	unsigned room = columns - at;

	while (clean[utf8_fit(clean, room)]) {
		size_t n = utf8_fit(clean, room), space = n;
		while (space && clean[space] != ' ')
			space--;
		n = space ? space : n;
		fprintf(out, "%.*s\n%*s", (int)n, clean, (int)at, "");
		clean += n + (clean[n] == ' ');
	}
	fprintf(out, "%s\n", clean);
}
