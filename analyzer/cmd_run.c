/* SPDX-License-Identifier: MIT */
/*
 * heaptally run: starts a program with the shim preloaded, waits for it, finishes the tallies that it and its
 * children left, and says what there is to see. Exits as the program did.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "catalog.h"
#include "cmd.h"
#include "profile.h"
#include "views/figures.h"

#define DEFAULT_SAMPLE "524288"
#define MOST_NUMBER    999999999999999u

#define SHIM      "libheaptally.so"
#define INSTALLED "../lib/heaptally"

enum { EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

struct options {
	struct args args;
	const char *output, *only, *min_size, *depth, *sample;
	char **command;
};

struct found {
	char *path;
	uint32_t pid;
	struct totals total;
	uint64_t peak_bytes;
	double seconds;
	bool killed;
};

struct run {
	uint64_t id;
	char directory[PATH_MAX];
	struct found *tallies;
	size_t n_tallies;
	pid_t child;
};

enum { OPT_ONLY = 0x100, OPT_MIN_SIZE, OPT_DEPTH, OPT_SAMPLE };

static const struct argp_option run_options[] = {
	{"output", 'o', "DIR", 0, "Put the tallies in DIR; default: $HEAPTALLY_OUT, else here", 0},
	{"only", OPT_ONLY, "PATTERN", 0,
		"Record only programs whose base name matches PATTERN (* and ?); default: all", 0},
	{"min-size", OPT_MIN_SIZE, "BYTES", 0,
		"Keep tallies of processes that allocated at least BYTES in all; default: 1000000",
		0},
	{"depth", OPT_DEPTH, "FRAMES", 0, "Keep at most FRAMES of a stack; default: 512", 0},
	{"sample", OPT_SAMPLE, "BYTES", OPTION_ARG_OPTIONAL,
		"Record one allocation in BYTES requested, on average; default for "
		"BYTES: " DEFAULT_SAMPLE "; without this option, record them all",
		0},
	{0},
};

static const struct argp_child shared[] = {{.argp = &args_debug_files}, {0}};

/* The value goes on to the shim as it is. */
static const char *number(const struct argp_state *state, const char *option, const char *arg)
{
	args_number(state, option, arg, "a number", 0, MOST_NUMBER);
	return arg;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return args_share(state, shared, &o->args);
	case 'o':
		o->output = arg;
		return 0;
	case OPT_ONLY:
		o->only = arg;
		return 0;
	case OPT_MIN_SIZE:
		o->min_size = number(state, "--min-size", arg);
		return 0;
	case OPT_DEPTH:
		o->depth = number(state, "--depth", arg);
		return 0;
	case OPT_SAMPLE:
		o->sample = number(state, "--sample", arg ? arg : DEFAULT_SAMPLE);
		return 0;
	case ARGP_KEY_ARG:
		/* The program and everything behind it are not ours to read. */
		o->command = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->command)
			argp_failure(state, EXIT_UNUSABLE, 0, "which program? See --help");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp run_argp = {
	.options = run_options,
	.parser = parse,
	.args_doc = "[--] PROGRAM [ARGUMENT...]",
	.children = shared,
	.doc = "Records PROGRAM and the processes it starts, one tally each, and exits as PROGRAM "
	       "did."
	       "\vExit status: PROGRAM's own, or 128 + the signal that ended it; 127 when PROGRAM "
	       "does "
	       "not exist, 126 when it cannot be run, 2 for wrong arguments.",
};

/* The shim lies beside the command in a build tree, and in ../lib/heaptally where both are installed. */
static int find_shim(char *path, size_t size)
{
	static const char *const places[] = {SHIM, INSTALLED "/" SHIM};
	ssize_t n = readlink("/proc/self/exe", path, size - sizeof(INSTALLED "/" SHIM));

	if (n <= 0)
		return -1;
	path[n] = '\0';
	char *end = strrchr(path, '/') + 1;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		strcpy(end, places[i]);
		if (access(path, R_OK) == 0)
			return 0;
	}
	return -1;
}

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
}

/* In the child: environment, then the program. Never returns. */
static void start_program(const struct run *run, const struct options *o, const char *shim)
{
	char id[24], preload[2 * PATH_MAX];
	const char *others = getenv("LD_PRELOAD");

	snprintf(id, sizeof(id), "%llu", (unsigned long long)run->id);
	snprintf(preload, sizeof(preload), "%s%s%s", shim, others && *others ? ":" : "",
		others ? others : "");
	set("LD_PRELOAD", preload);
	set("HEAPTALLY_OUT", run->directory);
	set("HEAPTALLY_RUN", id);
	set("HEAPTALLY_ONLY", o->only);
	set("HEAPTALLY_MIN_SIZE", o->min_size);
	set("HEAPTALLY_DEPTH", o->depth);
	set("HEAPTALLY_SAMPLE", o->sample);
	execvp(o->command[0], o->command);
	int code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	cmd_complain("cannot run %s: %s", o->command[0], strerror(errno));
	_exit(code);
}

static volatile sig_atomic_t forward_to;

static void forward(int signal)
{
	if (forward_to > 0)
		kill(forward_to, signal);
}

/* The program's exit status as a shell would give it. */
static int wait_for(struct run *run)
{
	int status;

	forward_to = run->child;
	/* The terminal sends these to the program as well; our part is to outlive it. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGTERM, forward);
	signal(SIGHUP, forward);
	while (waitpid(run->child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_CANNOT_RUN;
	forward_to = 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool running(uint32_t pid)
{
	return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

/* Reads just the header, to see whether a file is ours. */
static bool is_ours(const struct run *run, const char *path, struct ht_header *h)
{
	FILE *f = fopen(path, "rb");
	bool ours = f && fread(h, sizeof(*h), 1, f) == 1 &&
		    !memcmp(h->magic, HT_MAGIC, sizeof(h->magic)) && h->run == run->id;

	if (f)
		fclose(f);
	return ours;
}

/* Finishes one tally and notes what the summary needs. */
static int finish(struct run *run, const struct options *o, char *path)
{
	struct tally t;
	struct error e;
	struct found *more = realloc(run->tallies, (run->n_tallies + 1) * sizeof(*more));

	if (!more)
		return -1;
	run->tallies = more;
	if (cmd_open(&t, path, o->args.debug_files) < 0)
		return -1;
	struct found *f = &run->tallies[run->n_tallies++];
	*f = (struct found){
		.path = path,
		.pid = t.header.pid,
		.peak_bytes = t.header.peak_bytes,
		.seconds = (double)(t.header.last_ns - t.header.start_ns) / 1e9,
		.killed = !(t.header.state & HT_STATE_EXITED),
	};
	struct profile p;
	int r = profile_init(&p, &t, catalog_plumbing(), &e);
	if (r < 0) {
		cmd_complain("%s", e.text);
	} else {
		f->total = p.total;
		profile_release(&p);
	}
	if (!f->killed || !running(t.header.pid)) {
		r = tally_write(&t, path, &e);
		if (r < 0)
			cmd_complain("%s", e.text);
	}
	tally_release(&t);
	return r;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int finish_all(struct run *run, const struct options *o)
{
	DIR *d = opendir(run->directory);
	char **paths = NULL;
	size_t n = 0;
	int r = 0;

	if (!d) {
		cmd_complain("cannot read %s: %s", run->directory, strerror(errno));
		return -1;
	}
	for (struct dirent *entry; (entry = readdir(d));) {
		struct ht_header h;
		char *path, **more;
		if (strncmp(entry->d_name, "heaptally.", 10) != 0)
			continue;
		if (asprintf(&path, "%s/%s", run->directory, entry->d_name) < 0)
			continue;
		more = is_ours(run, path, &h) ? realloc(paths, (n + 1) * sizeof(*more)) : NULL;
		if (!more) {
			free(path);
			continue;
		}
		paths = more;
		paths[n++] = path;
	}
	closedir(d);
	qsort(paths, n, sizeof(*paths), by_path);
	for (size_t i = 0; i < n; i++)
		if (finish(run, o, paths[i]) < 0)
			r = -1;
	free(paths); /* the strings belong to run->tallies now */
	return r;
}

/* How the user would write the path. */
static const char *shown_path(const struct options *o, const char *path)
{
	return o->output ? path : strrchr(path, '/') + 1;
}

static void summarize(const struct run *run, const struct options *o, double seconds)
{
	const struct found *main = NULL;
	char count[5][FIGURE_SIZE], bytes[5][FIGURE_SIZE];

	for (size_t i = 0; i < run->n_tallies; i++)
		if (!main || run->tallies[i].total.alloc_bytes > main->total.alloc_bytes)
			main = &run->tallies[i];
	if (!main) {
		cmd_complain("no tally: %s allocated too little, is statically linked, or did not "
			     "match --only",
			o->command[0]);
		return;
	}
	const struct totals *t = &main->total;
	uint64_t allocs = t->allocs + t->reallocs;
	fprintf(stderr, "\nheaptally: %s\n", shown_path(o, main->path));
	fprintf(stderr, "  allocations %s, %s of them reallocations, %s in all\n",
		figure_count(count[0], allocs), figure_count(count[1], t->reallocs),
		figure_bytes(bytes[0], t->alloc_bytes + t->realloc_bytes));
	fprintf(stderr, "  peak        %s of heap\n", figure_bytes(bytes[1], main->peak_bytes));
	fprintf(stderr, "  leaked      %s in %s, live at the end\n",
		figure_bytes(bytes[2], totals_metric(t, METRIC_LEAKED)),
		figure_count(count[2], at_least_zero(t->live_count)));
	fprintf(stderr, "  temporary   %s (%.0f%%)\n", figure_count(count[3], t->temporary),
		allocs ? 100.0 * (double)t->temporary / (double)allocs : 0);
	fprintf(stderr, "  wall time   %.2f s%s\n", seconds,
		main->killed ? running(main->pid)
				       ? "; still running, the tally grows on"
				       : "; ended without exit, the tally is whole up to there"
			     : "");
	for (size_t i = 0; i < run->n_tallies; i++) {
		const struct found *f = &run->tallies[i];
		if (f != main)
			fprintf(stderr, "  also        %s: %s in %s\n", shown_path(o, f->path),
				figure_bytes(bytes[3], f->total.alloc_bytes),
				figure_count(count[4], f->total.allocs));
	}
	fprintf(stderr, "next: heaptally report %s\n", shown_path(o, main->path));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int cmd_run(int argc, char **argv)
{
	struct options o = {0};
	struct run run = {.id = (uint64_t)getpid() << 32 | (uint32_t)time(NULL)};
	char shim[PATH_MAX];
	struct stat st;

	argp_parse(&run_argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (!o.output)
		o.output = getenv("HEAPTALLY_OUT");
	if (!realpath(o.output ? o.output : ".", run.directory) || stat(run.directory, &st) < 0 ||
		!S_ISDIR(st.st_mode) || access(run.directory, W_OK | X_OK) < 0) {
		cmd_complain("cannot write tallies to %s: %s", o.output ? o.output : ".",
			strerror(errno ? errno : ENOTDIR));
		return EXIT_UNUSABLE;
	}
	if (find_shim(shim, sizeof(shim)) < 0) {
		cmd_complain("%s is neither beside this command nor in %s", SHIM, INSTALLED);
		return EXIT_UNUSABLE;
	}
	double start = now();
	fflush(NULL);
	run.child = fork();
	if (run.child < 0) {
		cmd_complain("cannot start a process: %s", strerror(errno));
		return EXIT_CANNOT_RUN;
	}
	if (run.child == 0)
		start_program(&run, &o, shim);
	int status = wait_for(&run);
	double seconds = now() - start;
	int r = finish_all(&run, &o);
	if (run.n_tallies > 0 || (status != EXIT_NOT_FOUND && status != EXIT_CANNOT_RUN))
		summarize(&run, &o, seconds);
	for (size_t i = 0; i < run.n_tallies; i++)
		free(run.tallies[i].path);
	free(run.tallies);
	args_release(&o.args);
	return status == 0 && r < 0 ? EXIT_UNWRITTEN : status;
}
