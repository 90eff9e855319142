/* SPDX-License-Identifier: MIT */
/* heaptally claims: what a document says about a program's memory, held against a tally. */
#include <argp.h>
#include <stdlib.h>

#include "cmd.h"
#include "views/advice.h"
#include "views/inventory_view.h"

enum key {
	KEY_MODULES = 0x100,
	KEY_JSON,
	KEY_CATALOG,
	KEY_DEBUG_FILE,
};

struct arguments {
	const char *path, *catalog;
	const char **debug_files; /* NULL-terminated; room for every argument */
	size_t n_debug_files;
	uint64_t modules;
	bool json;
};

static const struct argp_option options[] = {
	{"modules", KEY_MODULES, "N", 0,
		"The run built N modules; default: as its marks say (modules=N)", 0},
	{"json", KEY_JSON, 0, 0, "Write JSON with exact figures", 0},
	{"catalog", KEY_CATALOG, "FILE", 0, "Merge FILE over the built-in catalog", 0},
	{"debug-file", KEY_DEBUG_FILE, "FILE", 0,
		"Take symbols from FILE too, for the module with its build-id; may be repeated", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	char *end;

	switch (key) {
	case KEY_MODULES:
		a->modules = strtoull(arg, &end, 10);
		if (*end || !a->modules || a->modules > 1000000000 || *arg < '0' || *arg > '9')
			argp_failure(state, EXIT_UNUSABLE, 0,
				"--modules takes a number of modules, not '%s'", arg);
		return 0;
	case KEY_JSON:
		a->json = true;
		return 0;
	case KEY_CATALOG:
		a->catalog = arg;
		return 0;
	case KEY_DEBUG_FILE:
		a->debug_files[a->n_debug_files++] = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->path)
			argp_failure(state, EXIT_UNUSABLE, 0,
				"one tally at a time, not '%s' as well", arg);
		a->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->path)
			argp_failure(state, EXIT_UNUSABLE, 0, "which tally? See --help");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int judge(const struct evidence *v, const struct catalog *c, const struct arguments *a,
	struct error *e)
{
	struct findings fs;
	struct inventory t;
	struct claims cs;
	int ret = -1;

	if (patterns_find(&fs, v, c, NULL, 0, e))
		return -1;
	if (!inventory_init(&t, v, c, e)) {
		if (!claims_init(&cs, v, c, &t, &fs, e)) {
			ret = a->json ? claims_json_write(stdout, &cs, v, e)
				      : claims_text_write(
						stdout, &cs, v, cmd_columns(), cmd_styled(), e);
			claims_release(&cs);
		}
		inventory_release(&t);
	}
	findings_release(&fs);
	return ret;
}

/* An exit code. */
static int claims(
	const struct tally *t, const struct catalog *c, const struct arguments *a, struct error *e)
{
	struct profile p;
	struct evidence v;
	int ret = EXIT_UNWRITTEN;

	if (profile_init(&p, t, c->plumbing, e))
		return ret;
	if (!evidence_init(&v, &p, e)) {
		if (a->modules)
			v.modules = a->modules;
		if (!v.modules) {
			error_set(e,
				"%s does not say how many modules were built: give --modules N",
				a->path);
			ret = EXIT_UNUSABLE;
		} else if (!judge(&v, c, a, e)) {
			ret = 0;
		}
		evidence_release(&v);
	}
	profile_release(&p);
	return ret;
}

int cmd_claims(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "X.tally",
		"Holds the catalog's claims about memory against a tally.", 0, 0, 0};
	struct arguments a = {0};
	char name[] = "heaptally claims";
	struct catalog c;
	struct tally t;
	struct error e;
	int ret = EXIT_UNUSABLE;

	a.debug_files = calloc((size_t)argc + 1, sizeof(*a.debug_files));
	if (!a.debug_files)
		return EXIT_UNWRITTEN;
	argv[0] = name; /* for argp's messages */
	argp_err_exit_status = EXIT_UNUSABLE;
	argp_parse(&argp, argc, argv, 0, NULL, &a);

	if (catalog_init(&c, a.catalog, &e)) {
		cmd_complain("%s", e.text);
	} else {
		if (!cmd_open(&t, a.path, a.debug_files)) {
			ret = claims(&t, &c, &a, &e);
			if (ret)
				cmd_complain("%s", e.text);
			tally_release(&t);
		}
		catalog_release(&c);
	}
	free(a.debug_files);
	return ret;
}
