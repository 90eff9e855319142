/* SPDX-License-Identifier: MIT */
/* See utf8.h. */
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS    "\xe2\x80\xa6"

size_t utf8_sequence(const unsigned char *s, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	if (n == 0 || s[0] >= 0xf8)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0; /* the terminating NUL ends up here too */
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return n;
}

static int utf8_forbidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c & 0xfffe) == 0xfffe;
}

static void utf8_cut_middle(char *text, size_t len, size_t max_bytes)
{
	size_t keep = max_bytes - strlen(ELLIPSIS);
	size_t head = keep - keep / 2, tail = len - keep / 2;

	while (head && ((unsigned char)text[head] & 0xc0) == 0x80)
		head--;
	while (((unsigned char)text[tail] & 0xc0) == 0x80)
		tail++;
	memcpy(text + head, ELLIPSIS, strlen(ELLIPSIS));
	memmove(text + head + strlen(ELLIPSIS), text + tail, len - tail + 1);
}

char *utf8_clean(const char *text, size_t max_bytes)
{
	if (!*text)
		return strdup("?");
	/* one bad byte becomes three */
	char *out = malloc(strlen(text) * 3 + 1), *o = out;
	if (!out)
		return NULL;
	while (*text) {
		uint32_t code = 0;
		size_t n = utf8_sequence((const unsigned char *)text, &code);
		if (n == 0 || utf8_forbidden(code)) {
			o = mempcpy(o, REPLACEMENT, strlen(REPLACEMENT));
			text += n ? n : 1;
		} else {
			o = mempcpy(o, text, n);
			text += n;
		}
	}
	*o = '\0';
	if ((size_t)(o - out) > max_bytes)
		utf8_cut_middle(out, (size_t)(o - out), max_bytes);
	return out;
}

size_t utf8_fit(const char *clean, size_t columns)
{
	const char *s = clean;

	while (*s) {
		uint32_t code = 0;
		size_t n = utf8_sequence((const unsigned char *)s, &code);
		size_t wide = code >= 0x1100 && !(code >= 0x2000 && code < 0x2e80) ? 2 : 1;
		if (n == 0 || columns < wide)
			break;
		columns -= wide;
		s += n;
	}
	return (size_t)(s - clean);
}
