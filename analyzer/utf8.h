/* SPDX-License-Identifier: MIT */
/*
 * Names come from other people's binaries and may hold any bytes. Views clean them once, so that what they write is
 * valid UTF-8, valid in XML and JSON, and moves no cursor.
 */
#ifndef HEAPTALLY_UTF8_H
#define HEAPTALLY_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character at s, which a NUL ends, and its code point; 0: there is none. */
size_t utf8_sequence(const unsigned char *s, uint32_t *code);

/*
 * A fresh copy of text in which invalid UTF-8, control characters and U+FFFE/U+FFFF are U+FFFD. More than max_bytes
 * lose their middle to "…". "?" for an empty text. NULL only when out of memory.
 */
char *utf8_clean(const char *text, size_t max_bytes);

/* Bytes of clean text that fill at most `columns` of a monospaced line; East Asian characters take two. */
size_t utf8_fit(const char *clean, size_t columns);

#endif
