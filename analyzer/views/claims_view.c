/* SPDX-License-Identifier: MIT */
/* Claims with their verdicts: see inventory_view.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../utf8.h"
#include "figures.h"
#include "inventory_view.h"
#include "lines.h"
#include "values.h"

#define VERDICT_AT 13 /* columns before the words */

static const char *const units[] = {"count", "bytes", "ns", "share", "ratio"};

static const char *said(char *out, enum unit unit, double value)
{
	uint64_t whole = value > 0 ? (uint64_t)(value < 1e19 ? value + 0.5 : 1e19) : 0;

	if (unit == UNIT_SHARE)
		return figure_share(out, value);
	return unit == UNIT_BYTES ? figure_bytes(out, whole) : figure_count(out, whole);
}

static void put_claim(FILE *out, const struct claim *r, unsigned columns)
{
	char value[FIGURE_SIZE], verdict[16], *text = NULL, *clean;
	size_t bytes;
	FILE *line = open_memstream(&text, &bytes);

	if (!line)
		return;
	fprintf(line, "%s", r->claim->says);
	if (r->measured)
		fprintf(line, ": %s", said(value, r->unit, r->value));
	if (r->why)
		fprintf(line, "%s%s", r->measured ? ", " : ": ", r->why);
	fclose(line);
	if (r->verdict == VERDICT_OFF && r->factor > 0)
		snprintf(verdict, sizeof(verdict), "off x%.3g", r->factor);
	else
		snprintf(verdict, sizeof(verdict), "%s", verdict_name(r->verdict));
	clean = utf8_clean(text, bytes + 1);
	fprintf(out, "%-*s", VERDICT_AT, verdict);
	line_wrapped(out, clean ? clean : "", VERDICT_AT, columns);
	free(clean);
	free(text);
}

int claims_text_write(FILE *out, const struct claims *cs, const struct evidence *v,
	unsigned columns, bool style, struct error *e)
{
	const char *section = "";

	fprintf(out, "%u claims: %u hold, %u are off by a factor, %u changed, %u not visible\n",
		cs->n, cs->verdicts[VERDICT_HOLDS], cs->verdicts[VERDICT_OFF],
		cs->verdicts[VERDICT_CHANGED], cs->verdicts[VERDICT_NOT_VISIBLE]);
	fprintf(out, "measured with %llu modules; figures for more or fewer are scaled by %.3g\n",
		(unsigned long long)v->modules, cs->scale);
	for (uint32_t i = 0; i < cs->n; i++) {
		if (strcmp(section, cs->rows[i].claim->section)) {
			section = cs->rows[i].claim->section;
			line_heading(out, style, section);
		}
		put_claim(out, &cs->rows[i], columns);
	}
	if (fflush(out) || ferror(out))
		return error_set(e, "cannot write the claims: %s", strerror(errno));
	return 0;
}

static json_t *claim_json(const struct claim *r)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:s?}", "section",
		r->claim->section, "says", r->claim->says, "measure", r->claim->measure, "unit",
		units[r->unit], "claimed",
		r->claim->value > 0 ? json_real(r->claim->value) : json_null(), "measured",
		r->measured ? json_real(r->value) : json_null(), "verdict",
		verdict_name(r->verdict), "factor",
		r->factor > 0 ? json_real(r->factor) : json_null(), "why", r->why);
}

int claims_json_write(FILE *out, const struct claims *cs, const struct evidence *v, struct error *e)
{
	json_t *rows = json_array(), *all;
	int bad = 0;

	for (uint32_t i = 0; i < cs->n; i++)
		bad |= json_array_append_new(rows, claim_json(&cs->rows[i]));
	all = json_pack("{s:i, s:I, s:f, s:o}", "version", 1, "modules", (json_int_t)v->modules,
		"scale", cs->scale, "claims", rows);
	return values_write(out, all, bad, "the claims", e);
}
