/* SPDX-License-Identifier: MIT */
/* heaptally scan: which allocator a file has linked in, how its code reaches it, and whether it can be adopted. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../preload/find.h"
#include "cmd.h"
#include "symbols.h"
#include "views/values.h"

enum key { KEY_JSON = 0x100 };

struct arguments {
	char **paths; /* in argv */
	int n_paths;
	bool json;
};

static const struct argp_option options[] = {
	{"json", KEY_JSON, 0, 0, "Write JSON: an array with one object per file", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	(void)arg;
	switch (key) {
	case KEY_JSON:
		a->json = true;
		return 0;
	case ARGP_KEY_ARGS:
		a->paths = state->argv + state->next;
		a->n_paths = state->argc - state->next;
		return 0;
	case ARGP_KEY_END:
		if (!a->n_paths)
			argp_failure(state, EXIT_UNUSABLE, 0, "which file? See --help");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void *map_scratch(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	madvise(at, bytes, MADV_HUGEPAGE); /* a quarter of the time went into faults */
	return at;
}

static void unmap_scratch(void *at, size_t bytes)
{
	munmap(at, bytes);
}

/* -1 with a sentence in *e. */
static int scan(struct find_result *r, const char *path, struct error *e)
{
	const struct find_memory memory = {map_scratch, unmap_scratch};
	struct find_image image = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st)) {
		error_set(e, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISREG(st.st_mode) || !st.st_size) {
		close(fd);
		return error_set(e, "%s: it is not an ELF file", path);
	}
	image.n_file = (size_t)st.st_size;
	void *file = mmap(NULL, image.n_file, PROT_READ, MAP_PRIVATE, fd, 0);
	int failed = errno;
	close(fd);
	if (file == MAP_FAILED)
		return error_set(e, "%s: %s", path, strerror(failed));
	image.file = file;
	int ret = find_entries(r, &image, &memory);
	munmap(file, image.n_file);
	return ret ? error_set(e, "%s: %s", path, r->unable) : 0;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned)(part * 100 / whole) : 0;
}

static uint64_t calls_of(const struct find_entry *e)
{
	return (uint64_t)e->slot_calls + e->slot_tails + e->calls + e->tails + e->shim_calls;
}

/* NULL, or why this entry cannot be adopted. */
static const char *obstacle(const struct find_entry *e)
{
	if (e->by_slot)
		return NULL;
	if (e->movable < 5)
		return "its entry is too short or branched into";
	/* a jump is written by one aligned store */
	return e->function % 8 <= 3 ? NULL : "its entry does not lie in one word";
}

static bool has_role(const struct find_result *r, unsigned group, enum find_role role)
{
	for (uint32_t i = 0; i < r->n_entries; i++)
		if (r->entries[i].group == group && r->entries[i].role == role)
			return true;
	return false;
}

static void print_entry(const struct find_entry *e)
{
	const struct find_evidence *v = &e->evidence;
	const char *why = obstacle(e);

	printf("  %-12s %-22s 0x%" PRIx64, find_role_name(e->role), find_shape_name(e->shape),
		e->function);
	for (uint32_t i = 0; i < e->n_slots; i++)
		printf("%s 0x%" PRIx64, i ? "," : "  slot", e->slots[i]);
	if (e->name[0])
		printf("  %s", e->name);
	printf("\n      %" PRIu64 " call sites: %u through slots, %u direct, %u through shims; "
	       "address taken by code %u times, by data %u\n",
		calls_of(e), e->slot_calls + e->slot_tails, e->calls + e->tails, e->shim_calls,
		e->slot_loads + e->leas, e->pointers);
	if (v->sites)
		printf("      evidence from %u: alignment in rsi %u%%, in rdx %u%%; size in rdi "
		       "known %u%%; "
		       "result tested %u%%, used %u%%\n",
			v->sites, v->rsi_alignment, v->rdx_alignment, v->rdi_immediate,
			v->result_tested, v->result_used);
	if (why)
		printf("      not adoptable: %s\n", why);
	else
		printf("      adoptable by its %s\n", e->by_slot ? "slot" : "first instructions");
}

static void print_text(const char *path, const struct find_result *r, unsigned told)
{
	printf("%s\n  build-id ", path);
	for (uint32_t i = 0; i < r->n_build_id; i++)
		printf("%02x", r->build_id[i]);
	printf("%s\n  allocator: %s%s%s\n", r->n_build_id ? "" : "none",
		r->allocator[0] ? r->allocator : "none that names itself", r->version[0] ? " " : "",
		r->version);
	printf("  libc: %u call sites allocate, %u free\n", r->libc_allocs, r->libc_frees);
	printf("  stacks: unwind tables cover %u%% of the code (%u functions)\n",
		percent(r->unwound_bytes, r->code_bytes), r->functions);
	if (r->symbols)
		printf("  symbols: of %u functions", r->symbols);
	else
		fputs("  symbols: none", stdout);
	printf("; panics tell the source file of %u\n", told);
	if (r->unable)
		printf("  nothing to adopt: %s\n", r->unable);
	for (uint32_t i = 0; i < r->n_entries; i++)
		print_entry(&r->entries[i]);
	for (unsigned g = 0; g < r->n_groups; g++)
		for (unsigned role = 0; role < FIND_ROLES; role++)
			if (role != FIND_ALLOC_ZEROED && !has_role(r, g, (enum find_role)role))
				printf("  no %s was found\n", find_role_name((enum find_role)role));
}

static json_t *hex(uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

static json_t *entry_json(const struct find_entry *e)
{
	const struct find_evidence *v = &e->evidence;
	const char *why = obstacle(e);
	json_t *slots = json_array();

	for (uint32_t i = 0; i < e->n_slots; i++)
		json_array_append_new(slots, hex(e->slots[i]));
	return json_pack(
		"{s:s, s:s, s:s*, s:i, s:o, s:o, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s*,"
		" s:{s:I, s:i, s:i, s:i, s:i, s:i, s:i}}",
		"role", find_role_name(e->role), "arguments", find_shape_name(e->shape), "name",
		e->name[0] ? e->name : NULL, "allocator", e->group, "function", hex(e->function),
		"slots", slots, "hook", e->by_slot ? "slot" : "function", "nested", e->nested,
		"slot_calls", (json_int_t)e->slot_calls + e->slot_tails, "direct_calls",
		(json_int_t)e->calls + e->tails, "shim_calls", (json_int_t)e->shim_calls, "loads",
		(json_int_t)e->slot_loads, "leas", (json_int_t)e->leas, "pointers",
		(json_int_t)e->pointers, "adoptable", why == NULL, "obstacle", why, "evidence",
		"sites", (json_int_t)v->sites, "rsi_alignment_percent", v->rsi_alignment,
		"rdx_alignment_percent", v->rdx_alignment, "rcx_set_percent", v->rcx_set,
		"rdi_immediate_percent", v->rdi_immediate, "result_tested_percent",
		v->result_tested, "result_used_percent", v->result_used);
}

static json_t *result_json(const char *path, const struct find_result *r, unsigned told)
{
	char id[sizeof(r->build_id) * 2 + 1] = "";
	json_t *entries = json_array();

	for (uint32_t i = 0; i < r->n_build_id; i++)
		snprintf(id + 2 * i, 3, "%02x", r->build_id[i]);
	for (uint32_t i = 0; i < r->n_entries; i++)
		json_array_append_new(entries, entry_json(&r->entries[i]));
	return json_pack("{s:o, s:s, s:s*, s:s*, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s*, s:o}",
		"path", value_text(path, PATH_MAX), "build_id", id, "allocator",
		r->allocator[0] ? r->allocator : NULL, "version", r->version[0] ? r->version : NULL,
		"libc_alloc_sites", (json_int_t)r->libc_allocs, "libc_free_sites",
		(json_int_t)r->libc_frees, "code_bytes", (json_int_t)r->code_bytes, "unwound_bytes",
		(json_int_t)r->unwound_bytes, "unwound_functions", (json_int_t)r->functions,
		"symbols", (json_int_t)r->symbols, "told_functions", (json_int_t)told,
		"nothing_to_adopt", r->unable, "entries", entries);
}

int cmd_scan(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "FILE...",
		"Says which allocator a program or shared object has linked in, how its code calls "
		"it, and "
		"whether a run can adopt it. Nothing is run.",
		0, 0, 0};
	struct arguments a = {0};
	json_t *all = json_array();
	struct error e;
	int ret = 0, bad = !all;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	for (int i = 0; i < a.n_paths; i++) {
		struct find_result r;
		if (scan(&r, a.paths[i], &e)) {
			cmd_complain("%s", e.text);
			ret = EXIT_UNUSABLE;
			continue;
		}
		unsigned told = symbols_told(a.paths[i]);
		if (a.json)
			bad |= json_array_append_new(all, result_json(a.paths[i], &r, told));
		else
			print_text(a.paths[i], &r, told);
	}
	if (bad || json_array_size(all)) {
		bad = values_write(stdout, all, bad, "what was found", &e);
	} else {
		json_decref(all);
		bad = fflush(stdout) || ferror(stdout);
		if (bad)
			error_set(&e, "cannot write what was found: %s", strerror(errno));
	}
	if (bad) {
		cmd_complain("%s", e.text);
		ret = ret ? ret : EXIT_UNWRITTEN;
	}
	return ret;
}
