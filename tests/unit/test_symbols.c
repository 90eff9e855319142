/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses, tried on this very program: its functions are here with their lines, and objcopy and strip make
 * of a copy what people have: stripped files, separate debug files, wrong ones.
 */
#include <criterion/criterion.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../analyzer/symbols.h"

#define NOINLINE __attribute__((noinline, used))

/* ---- three functions, two of them in one frame ---- */

static uintptr_t call_address;
static int innermost_line, middle_line, outer_line;

static NOINLINE void symbols_test_leaf(void)
{
	call_address = (uintptr_t)__builtin_return_address(0);
	__asm__ volatile("" ::: "memory");
}

static inline __attribute__((always_inline)) void symbols_test_innermost(void)
{
	innermost_line = __LINE__ + 1;
	symbols_test_leaf();
	__asm__ volatile("" ::: "memory");
}

static inline __attribute__((always_inline)) void symbols_test_middle(void)
{
	middle_line = __LINE__ + 1;
	symbols_test_innermost();
	__asm__ volatile("" ::: "memory");
}

static NOINLINE void symbols_test_outer(void)
{
	outer_line = __LINE__ + 1;
	symbols_test_middle();
	__asm__ volatile("" ::: "memory");
}

/* ---- a tally of addresses in files ---- */

struct fixture {
	struct tally t;
	char strings[4096];
	struct ht_module modules[4];
	struct ht_site sites[16];
	char *warnings;
	struct error e;
};

static int find_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uintptr_t *)arg = info->dlpi_addr;
	return 1; /* the program is the first */
}

static int find_extent(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct ht_module *m = arg;
	(void)size;
	m->bias = info->dlpi_addr;
	m->start = UINT64_MAX;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD)
			continue;
		if (m->bias + p->p_vaddr < m->start)
			m->start = m->bias + p->p_vaddr;
		if (m->bias + p->p_vaddr + p->p_memsz > m->end)
			m->end = m->bias + p->p_vaddr + p->p_memsz;
	}
	return 1;
}

static uint64_t offset_of(uintptr_t address)
{
	uintptr_t bias = 0;
	dl_iterate_phdr(find_bias, &bias);
	return address - bias;
}

static char own_path[1024];
static unsigned char own_id[20];
static char directory[64];

static void init(void)
{
	ssize_t n = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);
	cr_assert(n > 0);
	own_path[n] = '\0';
	elf_version(EV_CURRENT);
	int fd = open(own_path, O_RDONLY);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	const void *id;
	cr_assert_eq(dwelf_elf_gnu_build_id(elf, &id), 20, "link with --build-id=sha1");
	memcpy(own_id, id, 20);
	elf_end(elf);
	close(fd);
	strcpy(directory, "/tmp/test_symbols.XXXXXX");
	cr_assert(mkdtemp(directory));
	symbols_test_outer();
}

static void fini(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

/* Runs a command where $D is the scratch directory and $P this program. */
static void run(const char *command)
{
	setenv("D", directory, 1);
	setenv("P", own_path, 1);
	cr_assert_eq(system(command), 0, "%s", command);
}

static const char *in_directory(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->t.path = (char *)"test.tally";
	f->t.strings = f->strings;
	f->t.strings_bytes = 1;
	f->t.modules = f->modules;
	f->t.n_modules = 1;
	f->t.sites = f->sites;
	f->t.n_sites = 1;
}

/* id: 20 bytes or NULL */
static uint16_t fixture_module(struct fixture *f, const char *path, const void *id)
{
	struct ht_module *m = &f->modules[f->t.n_modules];
	m->path = (uint32_t)f->t.strings_bytes;
	strcpy(f->strings + f->t.strings_bytes, path);
	f->t.strings_bytes += strlen(path) + 1;
	if (id) {
		memcpy(m->build_id, id, 20);
		m->build_id_bytes = 20;
	}
	return (uint16_t)f->t.n_modules++;
}

static void fixture_site(struct fixture *f, uint16_t module, uint64_t offset)
{
	f->sites[f->t.n_sites++] = (struct ht_site){.module = module, .offset = offset};
}

static int fixture_resolve(struct fixture *f, const char *debug_file)
{
	const char *const files[] = {debug_file, NULL};
	struct symbols_options o = {.debug_files = debug_file ? files : NULL};
	return symbols_resolve(&f->t, &o, &f->warnings, &f->e);
}

static void fixture_release(struct fixture *f)
{
	free(f->t.names);
	free(f->t.functions);
	free(f->t.frames);
	free(f->t.locations);
	free(f->warnings);
}

static const struct ht_function *function_at(
	const struct fixture *f, uint32_t location, uint32_t frame)
{
	const struct ht_location *l = &f->t.locations[location];
	cr_assert_lt(location, f->t.n_locations);
	cr_assert_lt(frame, l->n_frames);
	cr_assert_leq(l->first_frame + l->n_frames, f->t.n_frames);
	uint32_t function = f->t.frames[l->first_frame + frame].function;
	cr_assert_lt(function, f->t.n_functions);
	return &f->t.functions[function];
}

static const char *name_at(const struct fixture *f, uint32_t location, uint32_t frame)
{
	return tally_name(&f->t, function_at(f, location, frame)->name);
}

static void expect_inlined_frames(const struct fixture *f, uint32_t location)
{
	static const char *const names[] = {
		"symbols_test_innermost", "symbols_test_middle", "symbols_test_outer"};
	const int lines[] = {innermost_line, middle_line, outer_line};
	const struct ht_location *l = &f->t.locations[location];
	cr_assert_eq(l->n_frames, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct ht_function *function = function_at(f, location, i);
		const char *file = tally_name(&f->t, function->file);
		cr_expect_str_eq(name_at(f, location, i), names[i]);
		cr_expect(strlen(file) >= 14 && !strcmp(file + strlen(file) - 14, "test_symbols.c"),
			"file %s", file);
		cr_expect_eq(f->t.frames[l->first_frame + i].line, (uint32_t)lines[i]);
		cr_expect_eq(function->flags, 0);
	}
}

static void expect_outer_only(const struct fixture *f, uint32_t location)
{
	cr_assert_eq(f->t.locations[location].n_frames, 1);
	cr_expect_str_eq(name_at(f, location, 0), "symbols_test_outer");
	cr_expect_eq(f->t.frames[f->t.locations[location].first_frame].line, 0);
	cr_expect_eq(function_at(f, location, 0)->flags, HT_FUNCTION_NO_LINES);
}

static void expect_unnamed(const struct fixture *f, uint32_t location, const char *name)
{
	cr_assert_eq(f->t.locations[location].n_frames, 1);
	cr_expect_str_eq(name_at(f, location, 0), name);
	cr_expect(function_at(f, location, 0)->flags & HT_FUNCTION_UNNAMED);
}

/* One address of the program, looked up in `path`. */
static void resolve_one(struct fixture *f, const char *path, const void *id, const char *debug_file)
{
	fixture_init(f);
	fixture_site(f, fixture_module(f, path, id), offset_of(call_address));
	cr_assert_eq(fixture_resolve(f, debug_file), 0, "%s", f->e.text);
	cr_assert_eq(f->t.n_locations, 1);
}

TestSuite(symbols, .init = init, .fini = fini);

Test(symbols, inlined_frames_and_lines)
{
	struct fixture f;
	resolve_one(&f, own_path, own_id, NULL);
	expect_inlined_frames(&f, 0);
	cr_expect_null(f.warnings);
	fixture_release(&f);
}

Test(symbols, locations_are_sorted_and_distinct)
{
	struct fixture f;
	uint64_t here = offset_of(call_address);
	fixture_init(&f);
	uint16_t a = fixture_module(&f, own_path, own_id);
	uint16_t b = fixture_module(&f, "linux-vdso.so.1", NULL);
	fixture_site(&f, b, 0x900);
	fixture_site(&f, a, here);
	fixture_site(&f, 0, HT_PSEUDO_JIT);
	fixture_site(&f, a, here);
	fixture_site(&f, a, offset_of((uintptr_t)symbols_test_leaf) + 1);
	fixture_site(&f, b, 0);
	cr_assert_eq(fixture_resolve(&f, NULL), 0);
	cr_assert_eq(f.t.n_locations, 4);
	for (uint32_t i = 0; i < 4; i++) {
		cr_expect_eq(f.t.locations[i].module, i < 2 ? a : b);
		if (i % 2)
			cr_expect_lt(f.t.locations[i - 1].offset, f.t.locations[i].offset);
		if (i < 2 && f.t.locations[i].offset == here)
			expect_inlined_frames(&f, i);
		else if (i < 2)
			cr_expect_str_eq(name_at(&f, i, 0), "symbols_test_leaf");
	}
	expect_unnamed(&f, 2, "linux-vdso.so.1+0x0");
	expect_unnamed(&f, 3, "linux-vdso.so.1+0x900");
	cr_expect_null(f.warnings);

	/* a second time changes nothing */
	const struct ht_location *before = f.t.locations;
	cr_expect_eq(fixture_resolve(&f, "/no/such/file"), 0);
	cr_expect_eq(f.t.locations, before);
	fixture_release(&f);
}

/* The return address of a call that ends a function is the next function's. */
Test(symbols, looks_up_the_call_not_the_return)
{
	struct fixture f;
	fixture_init(&f);
	uint16_t a = fixture_module(&f, own_path, own_id);
	fixture_site(&f, a, offset_of((uintptr_t)symbols_test_outer));
	fixture_site(&f, a, offset_of((uintptr_t)symbols_test_outer) + 1);
	cr_assert_eq(fixture_resolve(&f, NULL), 0);
	cr_assert_eq(f.t.n_locations, 2);
	cr_expect_str_neq(name_at(&f, 0, 0), "symbols_test_outer");
	const struct ht_location *l = &f.t.locations[1];
	cr_expect_str_eq(name_at(&f, 1, l->n_frames - 1u), "symbols_test_outer");
	fixture_release(&f);
}

Test(symbols, symbol_table_alone)
{
	struct fixture f;
	run("objcopy --strip-debug $P $D/nodebug");
	resolve_one(&f, in_directory("nodebug"), own_id, NULL);
	expect_outer_only(&f, 0);
	fixture_release(&f);
}

/* Stripped: addresses of one function are one, named by where its unwind data starts. */
Test(symbols, stripped)
{
	struct fixture f;
	char name[64];
	uint64_t start = offset_of((uintptr_t)symbols_test_outer);
	run("objcopy --strip-all $P $D/bare");
	fixture_init(&f);
	uint16_t a = fixture_module(&f, in_directory("bare"), own_id);
	fixture_site(&f, a, offset_of(call_address));
	fixture_site(&f, a, start + 1);
	fixture_site(&f, a, 3); /* no code there */
	cr_assert_eq(fixture_resolve(&f, NULL), 0);
	cr_assert_eq(f.t.n_locations, 3);
	cr_assert_eq(f.t.n_functions, 2);
	snprintf(name, sizeof(name), "bare+0x%llx", (unsigned long long)start);
	expect_unnamed(&f, 0, "bare+0x3");
	expect_unnamed(&f, 1, name);
	expect_unnamed(&f, 2, name);
	cr_expect_null(f.warnings);
	fixture_release(&f);
}

Test(symbols, debug_file_by_build_id)
{
	struct fixture f;
	char debug[128];
	run("objcopy --strip-all $P $D/bare; objcopy --only-keep-debug $P $D/x.debug");
	strcpy(debug, in_directory("x.debug"));
	resolve_one(&f, in_directory("bare"), own_id, debug);
	expect_inlined_frames(&f, 0);
	fixture_release(&f);
	/* the program itself may be gone by then */
	resolve_one(&f, "/no/such/program", own_id, debug);
	expect_inlined_frames(&f, 0);
	cr_expect_null(f.warnings);
	fixture_release(&f);
}

Test(symbols, debug_file_with_symbols_only_and_compressed)
{
	struct fixture f;
	char debug[128];
	run("objcopy --strip-all $P $D/bare;"
	    "objcopy --only-keep-debug --compress-debug-sections=zlib $P $D/z.debug");
	run("objcopy --strip-debug $D/z.debug $D/s.debug");
	strcpy(debug, in_directory("s.debug"));
	resolve_one(&f, in_directory("bare"), own_id, debug);
	expect_outer_only(&f, 0);
	fixture_release(&f);
	strcpy(debug, in_directory("z.debug"));
	resolve_one(&f, in_directory("bare"), own_id, debug);
	expect_inlined_frames(&f, 0);
	fixture_release(&f);
}

Test(symbols, debug_link)
{
	struct fixture f;
	run("objcopy --only-keep-debug $P $D/x.debug && objcopy --strip-all $P $D/bare &&"
	    "cd $D && objcopy --add-gnu-debuglink=x.debug bare");
	resolve_one(&f, in_directory("bare"), own_id, NULL);
	expect_inlined_frames(&f, 0);
	fixture_release(&f);
	run("mkdir $D/.debug && mv $D/x.debug $D/.debug");
	resolve_one(&f, in_directory("bare"), own_id, NULL);
	expect_inlined_frames(&f, 0);
	fixture_release(&f);
}

/* Without a build-id the checksum decides. */
Test(symbols, debug_link_checksum)
{
	struct fixture f;
	run("objcopy --remove-section=.note.gnu.build-id $P $D/noid &&"
	    "objcopy --only-keep-debug $D/noid $D/x.debug 2>/dev/null && objcopy --strip-all "
	    "$D/noid $D/bare &&"
	    "cd $D && objcopy --add-gnu-debuglink=x.debug bare");
	resolve_one(&f, in_directory("bare"), NULL, NULL);
	expect_inlined_frames(&f, 0);
	fixture_release(&f);
	run("printf x >> $D/x.debug");
	resolve_one(&f, in_directory("bare"), NULL, NULL);
	cr_expect(function_at(&f, 0, 0)->flags & HT_FUNCTION_UNNAMED);
	fixture_release(&f);
}

Test(symbols, another_build_is_not_used)
{
	struct fixture f;
	unsigned char other[20];
	char name[64];
	memcpy(other, own_id, 20);
	other[19] ^= 1;
	snprintf(name, sizeof(name), "copy+0x%llx", (unsigned long long)offset_of(call_address));
	run("cp $P $D/copy");
	const char *copy = in_directory("copy");
	resolve_one(&f, copy, other, NULL);
	expect_unnamed(&f, 0, name);
	cr_assert_not_null(f.warnings);
	cr_expect(strstr(f.warnings, copy) && strstr(f.warnings, "build-id"), "%s", f.warnings);
	cr_expect_eq(f.warnings[strlen(f.warnings) - 1], '\n');
	fixture_release(&f);
	/* recorded without one, and now there is one */
	resolve_one(&f, copy, NULL, NULL);
	expect_unnamed(&f, 0, name);
	cr_expect_not_null(f.warnings);
	fixture_release(&f);
}

Test(symbols, what_cannot_be_read_is_said)
{
	static const char *const paths[] = {
		"/no/such/file", "/dev/zero", "/proc", "", "/etc/passwd"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct fixture f;
		resolve_one(&f, paths[i], NULL, NULL);
		cr_expect(function_at(&f, 0, 0)->flags & HT_FUNCTION_UNNAMED);
		cr_assert_not_null(f.warnings, "%s", paths[i]);
		cr_expect(strstr(f.warnings, paths[i]), "%s", f.warnings);
		fixture_release(&f);
	}
}

/* Symbol tables and debug sections of any bytes must do no harm. */
Test(symbols, damaged_files_do_no_harm, .timeout = 60)
{
	run("cp $P $D/copy");
	const char *path = in_directory("copy");
	unsigned seed = 7;
	for (int round = 0; round < 30; round++) {
		struct stat st;
		cr_assert_eq(stat(path, &st), 0);
		int fd = open(path, O_WRONLY);
		for (int i = 0; i < 200; i++) {
			char byte = (char)rand_r(&seed);
			off_t at = (off_t)((double)rand_r(&seed) / RAND_MAX *
					   (double)(st.st_size - 1));
			if (at >= 4096) /* keep the build-id, or nothing would be read */
				cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
		}
		close(fd);
		struct fixture f;
		resolve_one(&f, path, own_id, NULL);
		cr_expect_geq(f.t.locations[0].n_frames, 1);
		fixture_release(&f);
	}
	for (int percent = 95; percent >= 0; percent -= 5) {
		char command[128];
		snprintf(command, sizeof(command),
			"head -c $(($(stat -c %%s $P) * %d / 100)) $P > $D/copy", percent);
		run(command);
		struct fixture f;
		resolve_one(&f, path, own_id, NULL);
		fixture_release(&f);
	}
}

static void expect_error(const char *debug_file, const char *says)
{
	struct fixture f;
	fixture_init(&f);
	fixture_site(&f, fixture_module(&f, "/no/such/file", NULL), 5);
	cr_assert_eq(fixture_resolve(&f, debug_file), -1);
	cr_expect(strstr(f.e.text, debug_file) && strstr(f.e.text, says), "%s", f.e.text);
	cr_expect_null(f.t.names);
	cr_expect_null(f.t.locations);
	cr_expect_null(f.warnings);
}

Test(symbols, debug_file_must_match)
{
	expect_error("/no/such/debug", "No such file");
	expect_error("/etc/passwd", "not an ELF file");
	expect_error(own_path, "no module of test.tally has its build-id");
	run("objcopy --remove-section=.note.gnu.build-id $P $D/noid");
	expect_error(in_directory("noid"), "cannot be read");
}

/* Where the module has no build-id its file must be as the debug file tells, and as large as what ran. */
Test(symbols, debug_file_without_build_id)
{
	struct fixture f;
	char debug[128];
	run("objcopy --remove-section=.note.gnu.build-id $P $D/noid;"
	    "objcopy --only-keep-debug $D/noid $D/x.debug 2>/dev/null; objcopy --strip-all $D/noid "
	    "$D/bare");
	strcpy(debug, in_directory("x.debug"));
	for (unsigned larger = 0; larger < 2; larger++) {
		fixture_init(&f);
		uint16_t a = fixture_module(&f, in_directory("bare"), NULL);
		dl_iterate_phdr(find_extent, &f.modules[a]);
		f.modules[a].end += larger * 4096;
		fixture_site(&f, a, offset_of(call_address));
		cr_assert_eq(fixture_resolve(&f, debug), larger ? -1 : 0, "%s", f.e.text);
		if (larger)
			cr_expect(
				strstr(f.e.text, "bare is not the file that ran"), "%s", f.e.text);
		else
			expect_inlined_frames(&f, 0);
		cr_expect_null(f.warnings);
		fixture_release(&f);
	}
}

Test(symbols, empty_tally)
{
	struct fixture f;
	fixture_init(&f);
	cr_assert_eq(fixture_resolve(&f, NULL), 0);
	cr_expect_eq(f.t.n_locations, 0);
	cr_expect_eq(f.t.n_functions, 0);
	cr_expect(f.t.locations && f.t.functions && f.t.frames && f.t.names);
	cr_expect_eq(f.t.names_bytes, 1);
	fixture_release(&f);
}

static void count(void *arg, unsigned long done, unsigned long total)
{
	unsigned long *last = arg;
	cr_expect_geq(done, last[0]);
	last[0] = done;
	last[1] = total;
}

Test(symbols, progress_ends_at_the_total)
{
	struct fixture f;
	unsigned long last[2] = {0};
	fixture_init(&f);
	fixture_site(&f, fixture_module(&f, own_path, own_id), 77);
	struct symbols_options o = {.progress = count, .progress_arg = last};
	cr_assert_eq(symbols_resolve(&f.t, &o, NULL, NULL), 0);
	cr_expect_eq(last[0], 1);
	cr_expect_eq(last[1], 1);
	fixture_release(&f);
}

/* ---- demangling ---- */

static void expect_name(const char *linker_name, const char *name)
{
	char *got = symbols_demangle(linker_name);
	cr_assert_not_null(got);
	cr_expect_str_eq(got, name, "%s: %s", linker_name, got);
	free(got);
}

/* Mangled names as rustc 1.95 and gcc wrote them. */
Test(demangle, names)
{
	expect_name("_RNvCs4fqI2P2rA04_1a4main", "a::main");
	expect_name("_RNCNvCs4fqI2P2rA04_1a4main0", "a::main::{closure#0}");
	expect_name(
		"_RINvCs4fqI2P2rA04_1a3genNCNvB2_4mains_0EB2_", "a::gen::<a::main::{closure#1}>");
	expect_name("_RNvCs4fqI2P2rA04_1a4main.llvm.1234567", "a::main");
	expect_name(
		"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt");
	expect_name("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE.llvm.12",
		"core::fmt::Write::write_fmt");
	expect_name("_ZN3foo3barEi", "foo::bar(int)");
	expect_name("_ZN3foo3barEi.cold", "foo::bar(int)");
	expect_name("_ZN3fooL3barIiEEvT_.part.0.isra.0", "foo::bar<int>(int)");
	expect_name("_Znwm", "operator new(unsigned long)");
	expect_name("malloc", "malloc");
	expect_name("memcpy@@GLIBC_2.14", "memcpy");
	expect_name("foo.constprop.0.cold", "foo");
	expect_name("main.0", "main.0");
	expect_name("a.b.c", "a.b.c");
	expect_name(".cold", ".cold");
	expect_name("", "");
	expect_name("_R", "_R");
	expect_name("_ZN", "_ZN");
	expect_name("_RNvC3foo", "_RNvC3foo");
	expect_name("a\xff\nb\xc3", "a??b?");
	expect_name("größe", "größe");
}

Test(demangle, long_cxx_names)
{
	/* longer than libiberty's own limit of 1024 */
	char name[4096], want[8192] = "";
	strcpy(name, "_ZN");
	for (int i = 0; i < 150; i++) {
		strcat(name, "9namespace");
		strcat(want, "namespace::");
	}
	strcat(name, "1fEv");
	strcat(want, "f()");
	expect_name(name, want);
}

/* A back reference of v0: base 62, from after "_R". */
static void put_backref(char *to, size_t position)
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char text[16];
	int n = 0;
	strcat(to, "B");
	if (position--) {
		do
			text[n++] = digits[position % 62];
		while (position /= 62);
		for (size_t end = strlen(to); n; end++) {
			to[end] = text[--n];
			to[end + 1] = '\0';
		}
	}
	strcat(to, "_");
}

/* Each tuple holds the one before twice: 300 bytes that stand for 2^40. */
Test(demangle, exponential_names_are_cut, .timeout = 10)
{
	char name[2048] = "_RINvC1a1f";
	size_t before = strlen(name) - 2;
	strcat(name, "Thhhh"
		     "E");
	for (int i = 0; i < 40; i++) {
		size_t here = strlen(name) - 2;
		strcat(name, "T");
		put_backref(name, before);
		put_backref(name, before);
		strcat(name, "E");
		before = here;
	}
	strcat(name, "E");
	char *got = symbols_demangle(name);
	cr_assert_not_null(got);
	size_t n = strlen(got);
	cr_expect_eq(n, 65536 + 3, "%zu", n);
	cr_expect_str_eq(got + n - 3, "…");
	static const char start[] =
		"a::f::<(u8, u8, u8, u8), ((u8, u8, u8, u8), (u8, u8, u8, u8)), ";
	cr_expect_eq(strncmp(got, start, sizeof(start) - 1), 0);
	free(got);
}

Test(demangle, hostile_names, .timeout = 20)
{
	static const char *const units[] = {"P", "N", "I", "T", "1a", "B_", "S_", "C", "RINv",
		"TB_B_", "K", "J", "N1a", "u9zzzzzzzzz", "X", "_", ".", ".part", "\xff", "17h"};
	static const char *const heads[] = {
		"_R", "_RINvC1a1f", "_ZN", "_Z1fI", "_Z", "__ZN", "_ZTS", "x"};
	enum { SIZE = 1 << 20 };
	char *name = malloc(SIZE + 16);
	cr_assert(name);
	for (size_t h = 0; h < sizeof(heads) / sizeof(*heads); h++)
		for (size_t u = 0; u < sizeof(units) / sizeof(*units); u++)
			for (size_t size = 2000; size <= SIZE; size = size * 23 + 95) {
				size_t n = strlen(units[u]), at = strlen(heads[h]);
				strcpy(name, heads[h]);
				for (; at + n <= size && at + n <= SIZE; at += n)
					memcpy(name + at, units[u], n);
				name[at] = '\0';
				char *got = symbols_demangle(name);
				cr_assert_not_null(got);
				cr_expect_leq(strlen(got), 65536 + 3);
				free(got);
			}
	/* random ones from the letters that mean something */
	static const char letters[] = "RNINCMXYTSBEvupPhjs0123_aKZIL";
	unsigned seed = 3;
	for (int round = 0; round < 50000; round++) {
		int n = 2 + rand_r(&seed) % 60;
		strcpy(name, round % 2 ? "_R" : "_Z");
		for (int i = 2; i < n; i++)
			name[i] = letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
		name[n] = '\0';
		char *got = symbols_demangle(name);
		cr_assert_not_null(got);
		free(got);
	}
	free(name);
}
