#include "coord/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every line as Prometheus' text format has it; a metric's help and type come before it, once. */
Test(coord_metrics, the_text_is_prometheus_own)
{
    struct veld_metrics_numbers s = {.server = {.service.members = 7, .gate.open = 3},
                                     .stun.answered = 9};
    s.server.faults[VELD_HTTP2_HEADERS] = 5;
    size_t len;
    char *text = veld_metrics_text(&s, &len), *rest = text, *line;
    char typed[4096] = " ";
    cr_assert_eq(strlen(text), len);
    cr_assert_eq(text[len - 1], '\n');
    cr_assert(strstr(text, "\nveld_members 7\n"), "%s", text);
    cr_assert(strstr(text, "\nveld_connections_open 3\n"));
    cr_assert(strstr(text, "\nveld_stun_requests_total{result=\"answered\"} 9\n"));
    cr_assert(strstr(text, "\nveld_connections_broken_total{reason=\"headers\"} 5\n"));
    while ((line = strsep(&rest, "\n")) && *line) {
        char name[128], kind[16];
        if (sscanf(line, "# TYPE %127s %15s", name, kind) == 2) {
            char again[160];
            snprintf(again, sizeof again, " %s ", name);
            cr_assert(!strstr(typed, again), "%s is typed twice", name);
            strcat(strcat(typed, name), " ");
            bool counts = strcmp(kind, "counter") == 0;
            cr_assert(counts || strcmp(kind, "gauge") == 0, "%s", line);
            cr_assert_eq(counts, strcmp(name + strlen(name) - 6, "_total") == 0, "%s", line);
        } else if (line[0] != '#') {
            char spaced[160];
            snprintf(spaced, sizeof spaced, " %.*s ", (int)strcspn(line, "{ "), line);
            cr_assert(strstr(typed, spaced), "%s has no type", line);
            cr_assert(strrchr(line, ' ') && strspn(strrchr(line, ' ') + 1, "0123456789") > 0);
        }
    }
    free(text);
}
