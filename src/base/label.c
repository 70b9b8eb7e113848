#include "base/label.h"

#include "base/bytes.h"

#include <ctype.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

void veld_label_from_host(const char *host, char out[VELD_HOST_LABEL_MAX + 1])
{
    size_t n = 0;
    for (const char *p = host; *p && *p != '.' && n < VELD_HOST_LABEL_MAX; p++) {
        bool plain = isascii((unsigned char)*p) && isalnum((unsigned char)*p);
        if (plain)
            out[n++] = (char)tolower((unsigned char)*p);
        else if (n > 0)
            out[n++] = '-';
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    out[n] = '\0';
    if (n == 0)
        strcpy(out, "machine");
}

void veld_label_of_machine(char out[VELD_HOST_LABEL_MAX + 1])
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    veld_label_from_host(host, out);
}

bool veld_interface_name_is_valid(const char *name)
{
    static const char *const taken[] = {".", "..", "lo", "all", "default"};
    size_t len = strlen(name);
    bool good = len > 0 && len < IF_NAMESIZE;
    size_t plain = len > 2 && strcmp(name + len - 2, "%d") == 0 ? len - 2 : len;
    for (size_t i = 0; i < plain && good; i++)
        good = isascii((unsigned char)name[i]) &&
               (isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL);
    for (size_t i = 0; i < VELD_ARRAY_LEN(taken) && good; i++)
        good = strcmp(name, taken[i]) != 0;
    return good;
}
