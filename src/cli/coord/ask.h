/*
 * Questions to the person at the terminal.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_ASK_H
#define VELD_CLI_COORD_ASK_H

#include <stdbool.h>

/* Is there anybody: standard input and standard error are terminals. */
bool veld_can_ask(void);
/*
 * `question` and " [y/N] " on standard error, and one line from standard input:
 * true for "y" and "yes" alone, whatever the case. What came before the question is not taken for an answer.
 */
bool veld_ask(const char *question);

#endif
