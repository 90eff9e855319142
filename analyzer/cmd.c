/* SPDX-License-Identifier: MIT */
/* What the subcommands share: opening a named tally, talking to the user. */
#include "cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "symbols.h"

#define COLUMNS 80

static void show_progress(void *arg, unsigned long done, unsigned long total)
{
	bool *shown = arg;

	*shown = true;
	fprintf(stderr, "\rnaming addresses: %lu of %lu", done, total);
}

void cmd_complain(const char *format, ...)
{
	va_list ap;

	fputs("heaptally: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

unsigned cmd_columns(void)
{
	struct winsize w;

	return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) ? w.ws_col : COLUMNS;
}

bool cmd_styled(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
	       !(term && !strcmp(term, "dumb"));
}

int cmd_open(struct tally *t, const char *path, const char *const *debug_files)
{
	bool shown = false;
	struct symbols_options o = {
		.debug_files = debug_files,
		.progress = isatty(STDERR_FILENO) ? show_progress : NULL,
		.progress_arg = &shown,
	};
	char *warnings = NULL, *rest;
	struct error e;

	if (tally_read(t, path, &e) < 0) {
		cmd_complain("%s", e.text);
		return -1;
	}
	if (t->n_locations && debug_files && *debug_files)
		cmd_complain("%s has its names already, --debug-file is not used", path);
	int r = symbols_resolve(t, &o, &warnings, &e);
	if (shown)
		fputs("\r\033[K", stderr);
	for (char *line = warnings ? strtok_r(warnings, "\n", &rest) : NULL; line;
		line = strtok_r(NULL, "\n", &rest))
		cmd_complain("%s", line);
	free(warnings);
	if (r < 0) {
		cmd_complain("%s", e.text);
		tally_release(t);
	}
	return r;
}

int subject_open(struct subject *s, const struct args *a)
{
	struct error e;

	if (catalog_init(&s->catalog, a->catalog, &e)) {
		cmd_complain("%s", e.text);
		return -1;
	}
	if (!cmd_open(&s->tally, a->tallies[0], a->debug_files)) {
		if (!profile_init(&s->profile, &s->tally, s->catalog.plumbing, &e)) {
			if (!evidence_init(&s->evidence, &s->profile, &e)) {
				if (a->modules)
					s->evidence.modules = a->modules;
				return 0;
			}
			profile_release(&s->profile);
		}
		cmd_complain("%s", e.text);
		tally_release(&s->tally);
	}
	catalog_release(&s->catalog);
	return -1;
}

void subject_close(struct subject *s)
{
	evidence_release(&s->evidence);
	profile_release(&s->profile);
	tally_release(&s->tally);
	catalog_release(&s->catalog);
}
