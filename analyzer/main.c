/* SPDX-License-Identifier: MIT */
/* The command: finds the subcommand and hands over. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

#ifndef HEAPTALLY_VERSION
#define HEAPTALLY_VERSION "unknown"
#endif

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"run", cmd_run, "record a program and its children"},
	{"report", cmd_report, "what a tally says, as text or JSON"},
	{"advise", cmd_advise, "which patterns cost memory or time, and what fixes them"},
	{"claims", cmd_claims, "what a document says about memory, held against a tally"},
	{"flame", cmd_flame, "a tally as flame graph or folded stacks"},
	{"diff", cmd_diff, "what changed between two tallies"},
	{"check", cmd_check, "whether a tally keeps to a budget, for CI"},
	{"scale", cmd_scale, "run at several sizes, and project the memory to another"},
	{"scan", cmd_scan, "which allocator a file has linked in, and whether it can be adopted"},
	{"finish", cmd_finish, "name and compress the tally of a shim preloaded by hand"},
};

static void usage(FILE *out)
{
	fputs("Usage: heaptally COMMAND [ARGUMENT...]\n"
	      "Tallies the memory of a Rust-based JavaScript bundler by call-site and size "
	      "class.\n\n",
		out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].what);
	fputs("\nheaptally COMMAND --help tells more; so does man heaptally-COMMAND.\n", out);
}

int main(int argc, char **argv)
{
	argp_err_exit_status = EXIT_UNUSABLE;
	if (argc < 2) {
		usage(stderr);
		return EXIT_UNUSABLE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("heaptally " HEAPTALLY_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name)) {
			/* argp says "Usage: NAME", so NAME is both words */
			char name[64];
			snprintf(name, sizeof(name), "heaptally %s", commands[i].name);
			argv[1] = name;
			return commands[i].run(argc - 1, argv + 1);
		}
	cmd_complain("no command '%s'; heaptally --help lists them", argv[1]);
	return EXIT_UNUSABLE;
}
