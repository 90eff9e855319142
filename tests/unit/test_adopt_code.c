/* SPDX-License-Identifier: MIT */
/*
 * The machine code that stands before adopted entry points while sampling, run for what a request can be, and held against
 * the same decision in C.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "../../preload/adopt_code.h"
#include "../../preload/sample.h"

typedef uintptr_t entry(uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static struct call {
	uintptr_t arguments[4];
	bool hook;
} last;

static uintptr_t note(bool hook, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	last = (struct call){{a, b, c, d}, hook};
	return 0x1234567890abcdef;
}

static uintptr_t real(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	return note(false, a, b, c, d);
}

static uintptr_t hook(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	return note(true, a, b, c, d);
}

/* Where the arguments are, by the shape's definition. */
static const struct {
	enum find_role role;
	enum find_shape shape;
	int pointer, size; /* -1: none */
} entries[] = {
	{FIND_ALLOC, FIND_SIZE, -1, 0},
	{FIND_ALLOC, FIND_SIZE_ALIGN, -1, 0},
	{FIND_ALLOC_ZEROED, FIND_SIZE_FLAGS, -1, 0},
	{FIND_ALLOC, FIND_ALIGN_SIZE, -1, 1},
	{FIND_REALLOC, FIND_PTR_NEW, 0, 1},
	{FIND_REALLOC, FIND_PTR_NEW_ALIGN, 0, 1},
	{FIND_REALLOC, FIND_PTR_NEW_FLAGS, 0, 1},
	{FIND_REALLOC, FIND_PTR_OLD_ALIGN_NEW, 0, 3},
	{FIND_DEALLOC, FIND_PTR, 0, -1},
	{FIND_DEALLOC, FIND_PTR_SIZE_ALIGN, 0, -1},
};
static const uint64_t sizes[] = {
	0, 1, 15, 16, 17, 4096, 100000, INT64_MAX, UINT64_MAX - 16, UINT64_MAX};
static const int64_t lefts[] = {
	0, 1, 16, 17, 18, 32, 33, 4112, 4113, 100016, 100017, SAMPLE_UNSEEN_BYTES};
static const uintptr_t pointers[] = {
	0, 0x7f0012345678, 0x7f0012346000, 0x7f0012385678, 0x7f0022345678};

/* Of sampling, all that decides: bytes left, and the pointers that the filter has. */
static void arrange(int64_t left, unsigned known)
{
	memset(sample_filter, 0, sizeof(sample_filter));
	for (unsigned i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++)
		if (known >> i & 1) {
			uint32_t place = sample_place((void *)pointers[i]);
			sample_filter[place / 64] |= 1ull << place % 64;
		}
	sample_left = left;
}

static void check(const uint8_t *code, int pointer, int size, int64_t left, unsigned known,
	uint64_t bytes, uintptr_t p)
{
	uintptr_t a[4] = {0xa0a0, 0xa1a1, 0xa2a2, 0xa3a3};

	if (pointer >= 0)
		a[pointer] = p;
	if (size >= 0)
		a[size] = bytes;
	arrange(left, known);
	bool passes =
		(pointer < 0 || sample_filtered((void *)p)) && (size < 0 || sample_passes(bytes));
	int64_t left_then = sample_left;
	arrange(left, known);
	uintptr_t result = ((entry *)code)(a[0], a[1], a[2], a[3]);
	cr_assert_eq(result, 0x1234567890abcdef);
	cr_assert_eq(last.hook, !passes, "%lu bytes of %ld, at %lx", bytes, left, p);
	cr_assert_eq(sample_left, left_then, "%ld left instead of %ld", sample_left, left_then);
	cr_assert(memcmp(last.arguments, a, sizeof(a)) == 0, "not with the same arguments");
}

static void check_entry(const uint8_t *code, int pointer, int size)
{
	for (unsigned l = 0; l < sizeof(lefts) / sizeof(lefts[0]); l++)
		for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			for (unsigned p = 0; p < sizeof(pointers) / sizeof(pointers[0]); p++)
				for (unsigned known = 0;
					known < 1u << sizeof(pointers) / sizeof(pointers[0]);
					known++)
					check(code, pointer, size, lefts[l], known, sizes[s],
						pointers[p]);
}

Test(adopt_code, passing)
{
	uint8_t *code = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(code, MAP_FAILED);
	for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		memset(code, 0xcc, 4096);
		cr_assert(adopt_passes(entries[i].role, entries[i].shape));
		adopt_put_passing(
			code, entries[i].role, entries[i].shape, (uintptr_t)real, (uintptr_t)hook);
		cr_assert_eq(code[ADOPT_PASSING_BYTES], 0xcc, "it is longer than it says");
		check_entry(code, entries[i].pointer, entries[i].size);
	}
	munmap(code, 4096);
}

/* A product, or a place to write to: the hook has to see it. */
Test(adopt_code, not_passing)
{
	cr_assert_not(adopt_passes(FIND_ALLOC_ZEROED, FIND_COUNT_SIZE));
	cr_assert_not(adopt_passes(FIND_ALLOC, FIND_OUT_ALIGN_SIZE));
}
