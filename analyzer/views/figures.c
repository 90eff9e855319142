/* SPDX-License-Identifier: MIT */
/* Numbers as people read them. The report, the flame graph and `run` all take them from here. */
#include "figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Three significant digits and a unit. */
static char *scaled(char *out, uint64_t value, const char *unit)
{
	static const char prefixes[] = "kMGTPE";
	double v = (double)value / 1000;
	int p = 0;

	for (; v >= 999.5 && prefixes[p + 1]; p++)
		v /= 1000;
	snprintf(out, FIGURE_SIZE, "%.*f %c%s",
		v < 9.995   ? 2
		: v < 99.95 ? 1
			    : 0,
		v, prefixes[p], unit);
	return out;
}

char *figure_bytes(char *out, uint64_t bytes)
{
	if (bytes >= 1000)
		return scaled(out, bytes, "B");
	snprintf(out, FIGURE_SIZE, "%u B", (unsigned)bytes);
	return out;
}

char *figure_count(char *out, uint64_t count)
{
	if (count >= 100000)
		return scaled(out, count, "");
	snprintf(out, FIGURE_SIZE, "%u", (unsigned)count);
	return out;
}

char *figure_time(char *out, uint64_t ns)
{
	if (ns < 1000000000)
		snprintf(out, FIGURE_SIZE, "%u ms", (unsigned)(ns / 1000000));
	else if (ns < 100000000000)
		snprintf(out, FIGURE_SIZE, "%.2f s", (double)ns / 1e9);
	else
		snprintf(out, FIGURE_SIZE, "%llu s", (unsigned long long)(ns / 1000000000));
	return out;
}

char *figure_duration(char *out, double ns)
{
	if (ns < 1e6)
		snprintf(out, FIGURE_SIZE, ns < 9995 ? "%.0f ns" : "%.0f us",
			ns < 9995 ? ns : ns / 1e3);
	else
		figure_time(out, ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18);
	return out;
}

char *figure_exact(char *out, uint64_t count)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	char *o = out;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*o++ = ',';
		*o++ = digits[i];
	}
	*o = '\0';
	return out;
}

char *figure_share(char *out, double share)
{
	if (share <= 0)
		strcpy(out, "0%");
	else if (share < 0.0005)
		strcpy(out, "<0.1%");
	else if (share >= 0.9995)
		strcpy(out, "100%");
	else
		snprintf(out, FIGURE_SIZE, "%.1f%%", share * 100);
	return out;
}

double figure_parse(const char *s, bool bytes)
{
	static const struct {
		const char *unit;
		double times;
		bool bytes, counts;
	} units[] = {{"", 1, true, true}, {"B", 1, true, false}, {"kB", 1e3, true, false},
		{"MB", 1e6, true, false}, {"GB", 1e9, true, false}, {"k", 1e3, false, true},
		{"M", 1e6, false, true}};
	char *end;

	if (*s < '0' || *s > '9')
		return -1;
	double value = strtod(s, &end);
	end += *end == ' ';
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].unit) && (bytes ? units[i].bytes : units[i].counts))
			return isfinite(value) ? value * units[i].times : -1;
	return -1;
}
