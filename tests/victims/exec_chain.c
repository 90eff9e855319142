/* SPDX-License-Identifier: MIT */
/* Executes itself N times in the same process, each image with other work and a ledger .N of its own. */
#include "victim.h"

VICTIM void victim_image(unsigned n)
{
	struct ledger *l = led_section(__func__);

	for (unsigned i = 0; i < 10 * n + 1; i++)
		led_malloc(l, 100 + n);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)argv[1][0] - '0' : 0;
	char next[2] = {(char)('0' + n - 1), 0}, suffix[3] = {'.', (char)('0' + n), 0};
	char *arguments[] = {argv[0], next, NULL};

	victim_image(n);
	led_report_as(suffix);
	if (n == 0)
		return 0;
	execv("/proc/self/exe", arguments);
	return 1;
}
