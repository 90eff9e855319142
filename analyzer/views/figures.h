/* SPDX-License-Identifier: MIT */
/* Numbers as people read them: decimal units, three significant digits. */
#ifndef HEAPTALLY_VIEWS_FIGURES_H
#define HEAPTALLY_VIEWS_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Figures for people, three significant digits: "987 B", "1.23 kB", "45.6 MB" (MB is 10^6 bytes), counts exact below
 * 100,000 and then "123 k", "1.23 M". At most 7 columns. All write at most FIGURE_SIZE bytes with the NUL and return
 * `out`.
 */
#define FIGURE_SIZE 32
char *figure_bytes(char *out, uint64_t bytes);
char *figure_count(char *out, uint64_t count);
char *figure_time(char *out, uint64_t ns);     /* "12 ms", "2.71 s", "754 s" */
char *figure_duration(char *out, double ns);   /* "35 ns", "412 us", and from a millisecond on as a time */
char *figure_exact(char *out, uint64_t count); /* "12,605,123" */
char *figure_share(char *out, double share);   /* "41.2%", "100%", "<0.1%": at most 5 columns */

/* And back: "400 MB", "500kB", "1.5 GB" or 4096 where `bytes`, else "12 k", "1.2M" or 4096. Negative: no such thing. */
double figure_parse(const char *s, bool bytes);

#endif
