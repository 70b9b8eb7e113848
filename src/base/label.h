/*
 * Names: of machines (DNS labels in lower case), and of interfaces.
 *
 * Any thread.
 */
#ifndef VELD_BASE_LABEL_H
#define VELD_BASE_LABEL_H

#include <stdbool.h>

#define VELD_HOST_LABEL_MAX 63 /* characters */

/*
 * The first label of a host name, made one: lower case, anything else but
 * letters and digits a hyphen, none at either end. "machine" when nothing is left.
 */
void veld_label_from_host(const char *host, char out[VELD_HOST_LABEL_MAX + 1]);
/* The same of this machine's host name. */
void veld_label_of_machine(char out[VELD_HOST_LABEL_MAX + 1]);
/* A name that an interface can be given: also "veld%d", whose number the kernel chooses. */
bool veld_interface_name_is_valid(const char *name);

#endif
