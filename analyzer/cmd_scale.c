/* SPDX-License-Identifier: MIT */
/*
 * heaptally scale: runs a command at several sizes under the shim and says what its memory comes to at another size.
 * The runs are made by `heaptally run`, in a directory that goes afterwards.
 */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "scale.h"
#include "views/scale_text.h"

#define PLACE     "{n}"
#define MOST_SIZE 1000000000000ull
#define LOG       "log"

struct options {
	unsigned long long sizes[FIT_MAX_SIZES], project;
	unsigned n_sizes;
	char **command;
	int n_words;
};

enum { OPT_AT = 0x100, OPT_PROJECT };

static const struct argp_option scale_options[] = {
	{"at", OPT_AT, "N,N,N...", 0, "Run at these sizes, three or more", 0},
	{"project", OPT_PROJECT, "N", 0, "Project to this size", 0},
	{0},
};

/* The size at *rest, which is in arg; `end` may follow it. */
static unsigned long long size_of(
	struct argp_state *state, const char *option, const char *arg, char end, const char **rest)
{
	char *stop;

	errno = 0;
	unsigned long long n = strtoull(*rest, &stop, 10);
	if (**rest < '0' || **rest > '9' || errno || (*stop && *stop != end) || n == 0 ||
		n > MOST_SIZE)
		argp_failure(state, EXIT_UNUSABLE, 0, "%s takes %s, not '%s'", option,
			end ? "sizes with commas between them" : "a size", arg);
	*rest = *stop ? stop + 1 : stop;
	return n;
}

static int by_size(const void *a, const void *b)
{
	const unsigned long long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void check(struct options *o, struct argp_state *state)
{
	bool placed = false;

	if (!o->command)
		argp_failure(state, EXIT_UNUSABLE, 0, "which command? See --help");
	for (int i = 0; i < o->n_words; i++)
		placed |= strstr(o->command[i], PLACE) != NULL;
	if (!placed)
		argp_failure(state, EXIT_UNUSABLE, 0,
			"no word of the command has " PLACE ", which stands for the size");
	if (o->n_sizes)
		qsort(o->sizes, o->n_sizes, sizeof(*o->sizes), by_size);
	for (unsigned i = 1; i < o->n_sizes; i++)
		if (o->sizes[i] == o->sizes[i - 1])
			argp_failure(state, EXIT_UNUSABLE, 0, "--at has %llu twice", o->sizes[i]);
	if (o->n_sizes < FIT_MIN_SIZES)
		argp_failure(state, EXIT_UNUSABLE, 0,
			"a law of growth takes %u sizes or more: give them with --at",
			FIT_MIN_SIZES);
	if (!o->project)
		argp_failure(state, EXIT_UNUSABLE, 0, "project to which size? Give --project");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	const char *rest = arg;

	switch (key) {
	case OPT_AT:
		do {
			if (o->n_sizes == FIT_MAX_SIZES)
				argp_failure(state, EXIT_UNUSABLE, 0, "--at takes %u sizes at most",
					FIT_MAX_SIZES);
			o->sizes[o->n_sizes++] = size_of(state, "--at", arg, ',', &rest);
		} while (*rest);
		return 0;
	case OPT_PROJECT:
		o->project = size_of(state, "--project", arg, '\0', &rest);
		return 0;
	case ARGP_KEY_ARG:
		o->command = &state->argv[state->next - 1];
		o->n_words = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		check(o, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp scale_argp = {
	.options = scale_options,
	.parser = parse,
	.args_doc = "[--] PROGRAM [ARGUMENT...]",
	.doc = "Runs PROGRAM at several sizes, each in place of " PLACE
	       " in its arguments, finds how each "
	       "data structure grows, and projects the peak to another size.",
};

/* The word with the size in place of every {n}; NULL: out of memory. */
static char *with_size(const char *word, unsigned long long size)
{
	char digits[24], *out, *at;
	size_t places = 0;

	snprintf(digits, sizeof(digits), "%llu", size);
	for (const char *s = word; (s = strstr(s, PLACE)); s += strlen(PLACE))
		places++;
	out = at = malloc(strlen(word) + places * sizeof(digits) + 1);
	for (const char *s; out && (s = strstr(word, PLACE)); word = s + strlen(PLACE)) {
		at = mempcpy(at, word, (size_t)(s - word));
		at = stpcpy(at, digits);
	}
	if (out)
		strcpy(at, word);
	return out;
}

/* In the child: `heaptally run` with everything that is said going to a file. Never returns. */
static void start_run(const struct options *o, const char *directory, unsigned long long size)
{
	char log[PATH_MAX + sizeof(LOG)];
	char **words = calloc((size_t)o->n_words + 6, sizeof(*words));
	int n = 0;

	snprintf(log, sizeof(log), "%s/%s", directory, LOG);
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!words || fd < 0)
		_exit(EXIT_UNUSABLE);
	words[n++] = strdup("heaptally");
	words[n++] = strdup("run");
	words[n++] = strdup("-o");
	words[n++] = strdup(directory);
	words[n++] = strdup("--");
	for (int i = 0; i < o->n_words; i++)
		words[n++] = with_size(o->command[i], size);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execv("/proc/self/exe", words);
	_exit(EXIT_UNUSABLE);
}

/* The last line that the program said, or else the first that `heaptally run` did; for a complaint. */
static void last_line(const char *directory, char *out, size_t bytes)
{
	char path[PATH_MAX + sizeof(LOG)], line[512];

	*out = '\0';
	snprintf(path, sizeof(path), "%s/%s", directory, LOG);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		bool own = strncmp(line, "heaptally: ", 11) == 0;
		if (own && *out)
			break;
		if (!line[strspn(line, " \n")])
			continue;
		snprintf(out, bytes, "%.*s", (int)strcspn(line, "\n"), line);
		if (own)
			break;
	}
	if (f)
		fclose(f);
}

/* 0, or -1 when the sentence has been printed. */
static int run_at(const struct options *o, const char *directory, unsigned long long size)
{
	char said[256];
	int status;

	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		start_run(o, directory, size);
	if (child < 0 || waitpid(child, &status, 0) < 0) {
		cmd_complain("cannot start a process: %s", strerror(errno));
		return -1;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	last_line(directory, said, sizeof(said));
	cmd_complain("the command failed at size %llu, with %s %d%s%s", size,
		WIFSIGNALED(status) ? "signal" : "exit code",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), *said ? ": " : "",
		said);
	return -1;
}

static bool is_tally(const char *name)
{
	size_t n = strlen(name);

	return strncmp(name, "heaptally.", 10) == 0 && n > 6 && strcmp(name + n - 6, ".tally") == 0;
}

/* The tally with the highest peak; NULL: there is none, or no memory. */
static char *main_tally(const char *directory)
{
	DIR *d = opendir(directory);
	char *best = NULL;
	uint64_t peak = 0;

	for (struct dirent *entry; d && (entry = readdir(d));) {
		struct ht_header h;
		char *path;
		if (!is_tally(entry->d_name) ||
			asprintf(&path, "%s/%s", directory, entry->d_name) < 0)
			continue;
		FILE *f = fopen(path, "rb");
		if (f && fread(&h, sizeof(h), 1, f) == 1 && (!best || h.peak_bytes > peak)) {
			free(best);
			best = path;
			path = NULL;
			peak = h.peak_bytes;
		}
		if (f)
			fclose(f);
		free(path);
	}
	if (d)
		closedir(d);
	return best;
}

static int gather(
	struct scale *s, const struct catalog *c, const char *path, unsigned long long size)
{
	struct tally t;
	struct profile p;
	struct evidence v;
	struct inventory inventory;
	struct error e;
	int rc = -1;

	if (cmd_open(&t, path, NULL) < 0)
		return -1;
	if (profile_init(&p, &t, c->plumbing, &e) == 0) {
		if (evidence_init(&v, &p, &e) == 0) {
			if (inventory_init(&inventory, &v, c, &e) == 0) {
				rc = scale_add(s, (double)size, &v, &inventory, &e);
				inventory_release(&inventory);
			}
			evidence_release(&v);
		}
		profile_release(&p);
	}
	tally_release(&t);
	if (rc < 0)
		cmd_complain("%s", e.text);
	return rc;
}

static void empty(const char *directory)
{
	DIR *d = opendir(directory);

	for (struct dirent *entry; d && (entry = readdir(d));)
		if (is_tally(entry->d_name) || strcmp(entry->d_name, LOG) == 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
}

static int measure(
	struct scale *s, const struct options *o, const struct catalog *c, const char *directory)
{
	for (unsigned i = 0; i < o->n_sizes; i++) {
		fprintf(stderr, "running at %llu\n", o->sizes[i]);
		if (run_at(o, directory, o->sizes[i]) < 0)
			return -1;
		char *path = main_tally(directory);
		if (!path) {
			cmd_complain(
				"no tally at size %llu: the command allocated too little, or is "
				"statically linked",
				o->sizes[i]);
			return -1;
		}
		int rc = gather(s, c, path, o->sizes[i]);
		free(path);
		empty(directory);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int cmd_scale(int argc, char **argv)
{
	struct options o = {0};
	struct scale s = {0};
	struct catalog c;
	struct error e;
	const char *tmp = getenv("TMPDIR");
	char directory[PATH_MAX];
	int rc = EXIT_UNUSABLE;

	argp_parse(&scale_argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (catalog_init(&c, NULL, &e) < 0) {
		cmd_complain("%s", e.text);
		return EXIT_UNUSABLE;
	}
	snprintf(directory, sizeof(directory), "%s/heaptally-scale.XXXXXX",
		tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(directory)) {
		cmd_complain("cannot write to %s: %s", directory, strerror(errno));
		rc = EXIT_UNWRITTEN;
		goto out;
	}
	if (measure(&s, &o, &c, directory) == 0) {
		rc = 0;
		if (scale_text(stdout, &s, (double)o.project, cmd_columns(), cmd_styled(), &e) <
			0) {
			cmd_complain("%s", e.text);
			rc = EXIT_UNWRITTEN;
		} else if (fflush(stdout) || ferror(stdout)) {
			cmd_complain("cannot write the projection: %s", strerror(errno));
			rc = EXIT_UNWRITTEN;
		}
	}
	empty(directory);
	rmdir(directory);
out:
	scale_release(&s);
	catalog_release(&c);
	return rc;
}
