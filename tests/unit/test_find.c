/* SPDX-License-Identifier: MIT */
/*
 * The finder. Instruction lengths are read off Intel's manual; entry points are held against dlsym's answer for
 * allocators that the system has as shared libraries, once from the file and once from memory.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../preload/find.h"
#include "../../preload/find_code.h"

static void *map_scratch(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

static void unmap_scratch(void *at, size_t bytes)
{
	munmap(at, bytes);
}

static void *map_nothing(size_t bytes)
{
	(void)bytes;
	return NULL;
}

static const struct find_memory memory = {map_scratch, unmap_scratch};

static const struct {
	const char *what;
	uint8_t code[16];
	unsigned length;
	bool rip_relative, branch;
} instructions[] = {
	{"nop", {0x90}, 1, false, false},
	{"endbr64", {0xf3, 0x0f, 0x1e, 0xfa}, 4, false, false},
	{"push %r15", {0x41, 0x57}, 2, false, false},
	{"mov $1,%esi", {0xbe, 1, 0, 0, 0}, 5, false, false},
	{"movabs $1,%rax", {0x48, 0xb8, 1}, 10, false, false},
	{"mov $1,%ax", {0x66, 0xb8, 1, 0}, 4, false, false},
	{"mov %fs:0,%rax", {0x64, 0x48, 0x8b, 0x04, 0x25}, 9, false, false},
	{"mov 0(%rip),%rax", {0x48, 0x8b, 0x05}, 7, true, false},
	{"cmpq $1,0(%rip)", {0x48, 0x83, 0x3d, 0, 0, 0, 0, 1}, 8, true, false},
	{"lea 8(%rax,%rbx,4),%rcx", {0x48, 0x8d, 0x4c, 0x98, 8}, 5, false, false},
	{"call *0(%rip)", {0xff, 0x15}, 6, true, false},
	{"addr32 call", {0x67, 0xe8}, 6, false, true},
	{"jmp rel8", {0xeb, 0xfe}, 2, false, true},
	{"je rel32", {0x0f, 0x84}, 6, false, true},
	{"test $1,%al by F6", {0xf6, 0xc0, 1}, 3, false, false},
	{"not %eax", {0xf7, 0xd0}, 2, false, false},
	{"test $1,%eax by F7", {0xf7, 0xc0, 1, 0, 0, 0}, 6, false, false},
	{"lock cmpxchg %rcx,(%rdi)", {0xf0, 0x48, 0x0f, 0xb1, 0x0f}, 5, false, false},
	{"pshufd $0,%xmm0,%xmm0", {0x66, 0x0f, 0x70, 0xc0, 0}, 5, false, false},
	{"vzeroupper", {0xc5, 0xf8, 0x77}, 3, false, false},
	{"vpermq $0,%ymm0,%ymm0", {0xc4, 0xe3, 0xfd, 0x00, 0xc0, 0}, 6, false, false},
	{"vmovdqu64 (%rax),%zmm0", {0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x00}, 6, false, false},
	{"no instruction: 06", {0x06}, 0, false, false},
	{"no instruction: a second map's 04", {0x0f, 0x04}, 0, false, false},
};

Test(find, instruction_lengths)
{
	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		bool rip_relative, branch;
		size_t n =
			find_instruction_length(instructions[i].code, 16, &rip_relative, &branch);
		cr_expect_eq(n, instructions[i].length, "%s: %zu", instructions[i].what, n);
		cr_expect_eq(
			rip_relative, instructions[i].rip_relative, "%s", instructions[i].what);
		cr_expect_eq(branch, instructions[i].branch, "%s", instructions[i].what);
		/* cut off, it is none */
		for (size_t cut = 0; cut < instructions[i].length; cut++)
			cr_expect_eq(find_instruction_length(instructions[i].code, cut, NULL, NULL),
				0, "%s cut at %zu", instructions[i].what, cut);
	}
}

struct module {
	const char *name;
	struct find_image image;
	char path[4096];
};

static int match_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct module *m = arg;
	(void)size;
	if (!strstr(info->dlpi_name, m->name))
		return 0;
	m->image = (struct find_image){.loaded = true,
		.bias = info->dlpi_addr,
		.headers = info->dlpi_phdr,
		.n_headers = info->dlpi_phnum};
	strcpy(m->path, info->dlpi_name);
	return 1;
}

static uint8_t *map_file(const char *path, size_t *n)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	cr_assert(fd >= 0 && !fstat(fd, &st), "%s", path);
	uint8_t *file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	cr_assert_neq((void *)file, MAP_FAILED);
	close(fd);
	*n = (size_t)st.st_size;
	return file;
}

/* Both readings name each of these functions, at the address that dlsym says. */
static void expect_names(const char *library, const char *const *names, const enum find_role *roles)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	cr_assert(handle, "%s", dlerror());
	struct module m = {.name = library};
	cr_assert_eq(dl_iterate_phdr(match_module, &m), 1);
	struct find_image file = {0};
	file.file = map_file(m.path, &file.n_file);
	const struct find_image *images[] = {&m.image, &file};
	for (unsigned k = 0; k < 2; k++) {
		struct find_result r;
		cr_assert_eq(find_entries(&r, images[k], &memory), 0, "%s", r.unable);
		for (unsigned i = 0; names[i]; i++) {
			uint64_t want = (uintptr_t)dlsym(handle, names[i]) - m.image.bias;
			bool found = false;
			for (uint32_t e = 0; e < r.n_entries; e++)
				found |= r.entries[e].function == want && r.entries[e].by_name &&
					 r.entries[e].role == roles[i];
			cr_expect(found, "%s in %s, %s", names[i], library, k ? "file" : "memory");
		}
	}
}

Test(find, names_of_jemalloc)
{
	static const char *const names[] = {"mallocx", "rallocx", "sdallocx", "calloc", NULL};
	static const enum find_role roles[] = {
		FIND_ALLOC, FIND_REALLOC, FIND_DEALLOC, FIND_ALLOC_ZEROED};
	/* its thread-local data does not fit where a late module's goes */
	if (!dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL))
		cr_skip_test("libjemalloc.so.2 cannot be loaded here");
	expect_names("libjemalloc.so.2", names, roles);
}

Test(find, names_of_mimalloc)
{
	static const char *const names[] = {
		"mi_malloc_aligned", "mi_realloc_aligned", "mi_free", "mi_zalloc_aligned", NULL};
	static const enum find_role roles[] = {
		FIND_ALLOC, FIND_REALLOC, FIND_DEALLOC, FIND_ALLOC_ZEROED};
	expect_names("libmimalloc.so.2", names, roles);
}

Test(find, nothing_in_a_library_without)
{
	void *handle = dlopen("libjansson.so.4", RTLD_NOW | RTLD_LOCAL);
	struct module m = {.name = "libjansson.so.4"};
	struct find_result r;
	cr_assert(handle && dl_iterate_phdr(match_module, &m) == 1);
	cr_assert_eq(find_entries(&r, &m.image, &memory), 0);
	cr_expect_eq(r.n_entries, 0);
	cr_expect_not_null(r.unable);
}

Test(find, refuses_what_is_no_module)
{
	struct find_result r;
	uint64_t text[32] = {0};
	struct find_image image = {.file = (const uint8_t *)text, .n_file = sizeof(text)};
	cr_expect_eq(find_entries(&r, &image, &memory), -1);
	cr_expect_str_eq(r.unable, "it is not an ELF file");
	size_t n;
	image.file = map_file("/proc/self/exe", &n);
	image.n_file = n;
	((Elf64_Ehdr *)image.file)->e_machine = EM_AARCH64;
	cr_expect_eq(find_entries(&r, &image, &memory), -1);
	cr_expect_str_eq(r.unable, "it is not for x86-64");
}

Test(find, without_memory)
{
	const struct find_memory none = {map_nothing, unmap_scratch};
	struct find_image image = {0};
	struct find_result r;
	image.file = map_file("/proc/self/exe", &image.n_file);
	cr_expect_eq(find_entries(&r, &image, &none), -1);
	cr_expect_str_eq(r.unable, "there is no memory to look at it");
}

/* A file cut off anywhere, or with any of its headers' bytes wrong, is answered somehow and read inside its bounds. */
Test(find, damaged_files, .timeout = 60)
{
	size_t n;
	uint8_t *whole = map_file("/usr/lib/x86_64-linux-gnu/libjansson.so.4", &n);
	size_t room = (n + 4095) & ~(size_t)4095;
	uint8_t *copy = map_scratch(room + 4096);
	mprotect(copy + room, 4096, PROT_NONE);
	for (size_t cut = 0; cut < n; cut += 997) {
		/* ends where the next page cannot be read; 8-byte aligned as a mapping is */
		size_t left = cut & ~(size_t)7;
		struct find_image image = {.file = copy + room - left, .n_file = left};
		struct find_result r;
		memcpy(copy + room - left, whole, left);
		cr_assert(!find_entries(&r, &image, &memory) || r.unable);
	}
	uint32_t random = 1;
	for (unsigned i = 0; i < 300; i++) {
		uint8_t *start = copy + room - (n & ~(size_t)7);
		struct find_image image = {.file = start, .n_file = n & ~(size_t)7};
		struct find_result r;
		memcpy(start, whole, image.n_file);
		for (unsigned k = 0; k < 8; k++) {
			random = random * 1664525 + 1013904223;
			start[64 + (random >> 8) % 4096] ^= (uint8_t)(random >> 3);
		}
		cr_assert(!find_entries(&r, &image, &memory) || r.unable);
	}
}
