/* SPDX-License-Identifier: MIT */
/* heaptally claims: what a document says about a program's memory, held against a tally. */
#include <stdio.h>

#include "cmd.h"
#include "views/advice.h"
#include "views/inventory_view.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	return key == ARGP_KEY_INIT ? args_share(state, args_of_advice, state->input)
				    : ARGP_ERR_UNKNOWN;
}

static int judge(
	const struct evidence *v, const struct catalog *c, const struct args *a, struct error *e)
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

/* An exit code; *e has a sentence unless that is 0. */
static int claims(struct subject *s, const struct args *a, struct error *e)
{
	if (!s->evidence.modules) {
		error_set(e, "%s does not say how many modules were built: give --modules N",
			a->tallies[0]);
		return EXIT_UNUSABLE;
	}
	return judge(&s->evidence, &s->catalog, a, e) ? EXIT_UNWRITTEN : 0;
}

int cmd_claims(int argc, char **argv)
{
	static const struct argp argp = {0, parse, "X.tally",
		"Holds the catalog's claims about memory against a tally.", args_of_advice, 0, 0};
	struct args a = {.wanted = 1};
	struct subject s;
	struct error e;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	int ret = subject_open(&s, &a) ? EXIT_UNUSABLE : 0;
	if (!ret) {
		ret = claims(&s, &a, &e);
		if (ret)
			cmd_complain("%s", e.text);
		subject_close(&s);
	}
	args_release(&a);
	return ret;
}
