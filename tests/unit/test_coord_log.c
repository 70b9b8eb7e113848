#include "coord/log.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What a call writes to standard error. */
static char written[8192];
static void capture(void (*what)(void))
{
    int ends[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    what();
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ssize_t n = read(ends[0], written, sizeof written - 1);
    written[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(saved);
}

static void one_event(void)
{
    veld_event(VELD_LOG_INFO, "registered", VELD_TEXT("name", "a \"b\"\n"),
               VELD_TEXT("key", "k1"), VELD_NUMBER("revision", 18446744073709551615u));
}

static void one_message(void)
{
    veld_warn("disk is %s", "slow");
    veld_debug("not at this level");
}

TestSuite(coord_log, .timeout = 10);

Test(coord_log, text_quotes_what_could_be_read_as_more_fields)
{
    unsetenv("JOURNAL_STREAM");
    veld_event_log_start(VELD_LOG_TEXT);
    capture(one_event);
    cr_assert_eq(written[10], 'T');
    cr_assert_str_eq(written + 25, "info  event=registered name=\"a \\\"b\\\"?\" key=k1 "
                                   "revision=18446744073709551615\n");
}

Test(coord_log, plain_messages_become_events)
{
    unsetenv("JOURNAL_STREAM");
    veld_event_log_start(VELD_LOG_TEXT);
    capture(one_message);
    cr_assert_str_eq(written + 25, "warn  event=message text=\"disk is slow\"\n");
}

Test(coord_log, json_is_one_object_a_line)
{
    veld_event_log_start(VELD_LOG_JSON);
    capture(one_event);
    json_t *o = json_loads(written, 0, NULL);
    cr_assert(o, "%s", written);
    cr_assert_str_eq(json_string_value(json_object_get(o, "event")), "registered");
    cr_assert_str_eq(json_string_value(json_object_get(o, "level")), "info");
    cr_assert_str_eq(json_string_value(json_object_get(o, "name")), "a \"b\"?");
    json_decref(o);
}

static void endless_event(void)
{
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    struct veld_field f[VELD_EVENT_FIELDS_MAX + 4];
    for (size_t i = 0; i < VELD_ARRAY_LEN(f); i++)
        f[i] = VELD_TEXT("field", text);
    veld_event_write(VELD_LOG_INFO, "endless", f, VELD_ARRAY_LEN(f));
}

Test(coord_log, lines_are_bounded_and_end)
{
    unsetenv("JOURNAL_STREAM");
    veld_event_log_start(VELD_LOG_TEXT);
    capture(endless_event);
    cr_assert_leq(strlen(written), 4096);
    cr_assert_eq(written[strlen(written) - 1], '\n');
}
