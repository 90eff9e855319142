/* SPDX-License-Identifier: MIT */
/*
 * What victims share: a ledger of their own, kept beside every allocation they make and written to the file that
 * VICTIM_LEDGER names. It never allocates and never touches stdio, so that it adds no event to what is tested. One
 * section per victim function: the tests compare it with the buckets whose stacks pass through that function.
 * Functions here are called led_*, never victim_*: they are inlined, and inlined frames have names too.
 */
#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LED_INLINE static inline __attribute__((always_inline, unused))
/* Out of line, and kept as it is: no clone and no other name. */
#ifdef __clang__
#define VICTIM static __attribute__((noinline, used))
#else
#define VICTIM static __attribute__((noinline, noclone, used))
#endif
/* Put after a call to keep it from becoming a tail call. */
#define LED_BARRIER() __asm__ volatile("" ::: "memory")
/* Makes the compiler forget what it knows of a pointer, for uses it would warn of. */
#define LED_HIDE(p) __asm__ volatile("" : "+r"(p))

#define LED_FIELDS(X)                                                                              \
	X(allocs)                                                                                  \
	X(alloc_bytes)                                                                             \
	X(frees)                                                                                   \
	X(freed_bytes)                                                                             \
	X(reallocs)                                                                                \
	X(realloc_from_bytes)                                                                      \
	X(realloc_to_bytes)                                                                        \
	X(moved)                                                                                   \
	X(copied_bytes)                                                                            \
	X(live_count)                                                                              \
	X(live_bytes)                                                                              \
	X(peak_count)                                                                              \
	X(peak_bytes)                                                                              \
	X(usable_bytes)                                                                            \
	X(temporary)                                                                               \
	X(foreign_frees)                                                                           \
	X(min_bytes)                                                                               \
	X(max_bytes)                                                                               \
	X(zero_sizes)                                                                              \
	X(failures)                                                                                \
	X(failed_bytes)

struct ledger {
	const char *name;
#define X(field) unsigned long field;
	LED_FIELDS(X)
#undef X
};

/* Section 0 is the sum of all others, and the only one with a peak. */
static struct ledger led_all[48];
static unsigned led_count;
static int led_fd = -1;

struct led_extra {
	const char *key;
	unsigned long value;
};
static struct led_extra led_extras[48];
static unsigned led_n_extras;

/* To be called by one thread at a time; others may use the sections that exist. */
LED_INLINE struct ledger *led_section(const char *name)
{
	unsigned i;

	if (led_count == 0) {
		led_all[0].name = "all";
		led_all[0].min_bytes = ~0ul;
		led_count = 1;
	}
	for (i = 1; i < led_count; i++)
		if (strcmp(led_all[i].name, name) == 0)
			return &led_all[i];
	if (i == sizeof(led_all) / sizeof(led_all[0]))
		_exit(99);
	led_all[i].name = name;
	led_all[i].min_bytes = ~0ul;
	led_count = i + 1;
	return &led_all[i];
}

/* A figure of the victim's own. */
LED_INLINE void led_note(const char *key, unsigned long value)
{
	unsigned i;

	for (i = 0; i < led_n_extras; i++)
		if (strcmp(led_extras[i].key, key) == 0)
			break;
	if (i == sizeof(led_extras) / sizeof(led_extras[0]))
		_exit(99);
	led_extras[i].key = key;
	led_extras[i].value = value;
	if (i == led_n_extras)
		led_n_extras = i + 1;
}

#define LED_ADD(l, field, n)                                                                       \
	do {                                                                                       \
		__atomic_fetch_add(&(l)->field, (n), __ATOMIC_RELAXED);                            \
		__atomic_fetch_add(&led_all[0].field, (n), __ATOMIC_RELAXED);                      \
	} while (0)

LED_INLINE void led_request(struct ledger *l, void *p, size_t size)
{
	struct ledger *each[2] = {l, &led_all[0]};

	__asm__ volatile("" : : "g"(p) : "memory");
	LED_ADD(l, usable_bytes, malloc_usable_size(p));
	if (size == 0)
		LED_ADD(l, zero_sizes, 1);
	for (int i = 0; i < 2; i++) {
		unsigned long seen = __atomic_load_n(&each[i]->min_bytes, __ATOMIC_RELAXED);
		while (size < seen && !__atomic_compare_exchange_n(&each[i]->min_bytes, &seen, size,
					      0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
		seen = __atomic_load_n(&each[i]->max_bytes, __ATOMIC_RELAXED);
		while (size > seen && !__atomic_compare_exchange_n(&each[i]->max_bytes, &seen, size,
					      0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
	}
}

/* The peak is exact while one thread works. */
LED_INLINE void led_peak(void)
{
	if (led_all[0].live_bytes > led_all[0].peak_bytes) {
		led_all[0].peak_bytes = led_all[0].live_bytes;
		led_all[0].peak_count = led_all[0].live_count;
	}
}

/* p came from an allocating function that was asked for `size` bytes. */
LED_INLINE void *led_got(struct ledger *l, void *p, size_t size)
{
	if (!p) {
		LED_ADD(l, failures, 1);
		LED_ADD(l, failed_bytes, size);
		return p;
	}
	LED_ADD(l, allocs, 1);
	LED_ADD(l, alloc_bytes, size);
	LED_ADD(l, live_count, 1);
	LED_ADD(l, live_bytes, size);
	led_request(l, p, size);
	led_peak();
	return p;
}

/* The buffer of `size` bytes is about to be freed, by whichever function. */
LED_INLINE void led_gone(struct ledger *l, size_t size)
{
	LED_ADD(l, frees, 1);
	LED_ADD(l, freed_bytes, size);
	LED_ADD(l, live_count, -1ul);
	LED_ADD(l, live_bytes, -size);
}

LED_INLINE void *led_malloc(struct ledger *l, size_t size)
{
	return led_got(l, malloc(size), size);
}

LED_INLINE void led_free(struct ledger *l, void *p, size_t size)
{
	if (p)
		led_gone(l, size);
	__asm__ volatile("" : : "g"(p) : "memory");
	free(p);
	LED_BARRIER();
}

/* The bookkeeping of realloc(p, after) → q, where p held `before` bytes. */
LED_INLINE void *led_moved(struct ledger *l, uintptr_t p, void *q, size_t before, size_t after)
{
	if (!p)
		return led_got(l, q, after);
	if (!q) {
		if (after == 0) {
			led_gone(l, before);
		} else {
			LED_ADD(l, failures, 1);
			LED_ADD(l, failed_bytes, after);
		}
		return q;
	}
	LED_ADD(l, reallocs, 1);
	LED_ADD(l, realloc_from_bytes, before);
	LED_ADD(l, realloc_to_bytes, after);
	if ((uintptr_t)q != p) {
		LED_ADD(l, moved, 1);
		LED_ADD(l, copied_bytes, before < after ? before : after);
	}
	LED_ADD(l, live_bytes, after - before);
	led_request(l, q, after);
	led_peak();
	return q;
}

LED_INLINE void *led_realloc(struct ledger *l, void *p, size_t before, size_t after)
{
	uintptr_t was = (uintptr_t)p;

	return led_moved(l, was, realloc(p, after), before, after);
}

static void led_write(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(led_fd, text, length);
		if (n <= 0)
			_exit(98);
		text += n;
		length -= (size_t)n;
	}
}

__attribute__((unused)) static void led_line(const char *key, unsigned long value)
{
	char line[128], digits[24];
	size_t at = 0, n = 0;

	while (key[at] && at < 90) {
		line[at] = key[at];
		at++;
	}
	line[at++] = ' ';
	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (n > 0)
		line[at++] = digits[--n];
	line[at++] = '\n';
	led_write(line, at);
}

/* Opens the ledger file now, for victims that lose sight of it later. Nothing happens without VICTIM_LEDGER. */
__attribute__((unused)) static void led_open(const char *suffix)
{
	static char path[4096];
	const char *base = getenv("VICTIM_LEDGER");

	if (!base || strlen(base) + strlen(suffix) >= sizeof(path))
		return;
	strcpy(path, base);
	strcat(path, suffix);
	led_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (led_fd < 0)
		_exit(97);
}

/* Writes the ledger as `key value` lines, each section after a line `section NAME`. */
__attribute__((unused)) static void led_report_as(const char *suffix)
{
	if (led_fd < 0)
		led_open(suffix);
	if (led_fd < 0)
		return;
	for (unsigned i = 0; i < led_count; i++) {
		struct ledger *l = &led_all[i];
		led_write("section ", 8);
		led_write(l->name, strlen(l->name));
		led_write("\n", 1);
#define X(field)                                                                                   \
	if (i == 0 || strncmp(#field, "peak", 4) != 0)                                             \
		led_line(#field, l->field);
		LED_FIELDS(X)
#undef X
	}
	if (led_n_extras)
		led_write("section notes\n", 14);
	for (unsigned i = 0; i < led_n_extras; i++)
		led_line(led_extras[i].key, led_extras[i].value);
}

__attribute__((unused)) static void led_report(void)
{
	led_report_as("");
}

/* For a forked child: nothing of the parent's counts. */
__attribute__((unused)) static void led_reset(void)
{
	memset(led_all, 0, sizeof(led_all));
	led_count = 0;
	led_n_extras = 0;
	led_fd = -1;
}

/* A victim that finds the host's view of the allocator wrong ends here, and the test shows the line. */
#define LED_REQUIRE(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			led_fail(__FILE__ ": " #condition "\n");                                   \
	} while (0)

__attribute__((unused, noreturn)) static void led_fail(const char *text)
{
	ssize_t n = write(2, text, strlen(text));
	(void)n;
	_exit(96);
}

#endif
