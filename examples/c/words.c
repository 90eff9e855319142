/* SPDX-License-Identifier: MIT */
/*
 * Counts the words of its standard input, the way a first draft does: a list that regrows one word at a time, a fresh
 * string for every word seen, a copy of each just to compare it. Something for a report to find.
 *   cc -O2 -g -o words words.c && heaptally run -- ./words <some.txt
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
	char *text;
	unsigned long count;
};

struct list {
	struct word *words;
	size_t length;
};

static void *checked(void *p)
{
	if (p)
		return p;
	fputs("words: out of memory\n", stderr);
	exit(1);
}

/* A copy for every comparison: temporary allocations. */
static char *lower_case(const char *text)
{
	char *copy = checked(strdup(text));

	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

static struct word *list_find(struct list *list, const char *text)
{
	for (size_t i = 0; i < list->length; i++) {
		char *copy = lower_case(text);
		int same = strcmp(copy, list->words[i].text) == 0;
		free(copy);
		if (same)
			return &list->words[i];
	}
	return NULL;
}

/* Regrown by one each time: as many reallocs as words. */
static struct word *list_add(struct list *list, const char *text)
{
	list->words = checked(realloc(list->words, (list->length + 1) * sizeof(*list->words)));
	list->words[list->length] = (struct word){lower_case(text), 0};
	return &list->words[list->length++];
}

static int by_count(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

int main(void)
{
	struct list list = {NULL, 0};
	char text[256];

	while (scanf(" %255[A-Za-z']%*[^A-Za-z']", text) == 1) {
		struct word *word = list_find(&list, text);
		if (!word)
			word = list_add(&list, text);
		word->count++;
	}
	if (list.length > 0)
		qsort(list.words, list.length, sizeof(*list.words), by_count);
	for (size_t i = 0; i < list.length && i < 10; i++)
		printf("%8lu %s\n", list.words[i].count, list.words[i].text);
	/* the list is left to exit: leaked, as reports call it */
	return 0;
}
