#include "coord/log.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Written once before threads start. */
static enum veld_log_format line_format = VELD_LOG_TEXT;

int veld_log_format_parse(const char *text, enum veld_log_format *out)
{
    if (strcmp(text, "text") == 0)
        *out = VELD_LOG_TEXT;
    else if (strcmp(text, "json") == 0)
        *out = VELD_LOG_JSON;
    else
        return VELD_E_FORMAT;
    return 0;
}

static void write_line(const char *line, size_t len)
{
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored; /* nowhere left to report it */
}

static void write_time(char out[32])
{
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03ldZ", ts.tv_nsec / 1000000);
}

/* Printable ASCII as it is, all else as '?': what strangers send must not write to terminals. */
static void clean(char out[VELD_EVENT_TEXT_MAX + 1], const char *text)
{
    size_t n = 0;
    for (; text[n] && n < VELD_EVENT_TEXT_MAX; n++)
        out[n] = isascii(text[n]) && isprint(text[n]) ? text[n] : '?';
    out[n] = '\0';
}

/* ---- Text ---- */

struct line {
    char bytes[4096];
    size_t len; /* leaves room for the newline */
};

static void add(struct line *l, const char *text)
{
    size_t room = sizeof l->bytes - 1 - l->len;
    size_t n = strnlen(text, room);
    memcpy(l->bytes + l->len, text, n);
    l->len += n;
}

/* In quotes when it could be read as more than one field. */
static void add_value(struct line *l, const char *text)
{
    if (text[0] && !strpbrk(text, " =\"\\")) {
        add(l, text);
        return;
    }
    add(l, "\"");
    for (const char *p = text; *p; p++) {
        const char escaped[] = {'\\', *p, '\0'}, plain[] = {*p, '\0'};
        add(l, *p == '"' || *p == '\\' ? escaped : plain);
    }
    add(l, "\"");
}

static void write_text(enum veld_log_level level, const char *event,
                       const struct veld_field *fields, size_t n)
{
    struct line l = {.len = 0};
    char text[VELD_EVENT_TEXT_MAX + 1];
    static const int priority[] = {3, 4, 6, 7}; /* as in syslog */
    if (getenv("JOURNAL_STREAM")) {
        snprintf(text, sizeof text, "<%d>event=", priority[level]);
        add(&l, text);
    } else {
        char time[32];
        write_time(time);
        snprintf(text, sizeof text, "%s %-5s event=", time, veld_log_level_name(level));
        add(&l, text);
    }
    add_value(&l, event);
    for (size_t i = 0; i < n; i++) {
        add(&l, " ");
        add(&l, fields[i].key);
        add(&l, "=");
        if (fields[i].text)
            clean(text, fields[i].text);
        else
            snprintf(text, sizeof text, "%llu", (unsigned long long)fields[i].number);
        add_value(&l, text);
    }
    l.bytes[l.len++] = '\n';
    write_line(l.bytes, l.len);
}

/* ---- JSON ---- */

static void write_json(enum veld_log_level level, const char *event,
                       const struct veld_field *fields, size_t n)
{
    char text[VELD_EVENT_TEXT_MAX + 1], time[32];
    write_time(time);
    json_t *o = json_pack("{s:s, s:s, s:s}", "time", time, "level", veld_log_level_name(level),
                          "event", event);
    for (size_t i = 0; o && i < n; i++) {
        json_t *value;
        if (fields[i].text) {
            clean(text, fields[i].text);
            value = json_string(text);
        } else {
            value = json_integer((json_int_t)fields[i].number);
        }
        if (json_object_set_new(o, fields[i].key, value) < 0)
            break;
    }
    char *line = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (!line)
        return;
    size_t len = strlen(line);
    line[len] = '\n'; /* in place of the NUL */
    write_line(line, len + 1);
    free(line);
}

void veld_event_write(enum veld_log_level level, const char *event,
                      const struct veld_field *fields, size_t n)
{
    if (!veld_log_is_on(level))
        return;
    if (n > VELD_EVENT_FIELDS_MAX)
        n = VELD_EVENT_FIELDS_MAX;
    if (line_format == VELD_LOG_JSON)
        write_json(level, event, fields, n);
    else
        write_text(level, event, fields, n);
}

static void sink(enum veld_log_level level, const char *text)
{
    veld_event(level, "message", VELD_TEXT("text", text));
}

void veld_event_log_start(enum veld_log_format format)
{
    line_format = format;
    veld_log_set_sink(sink);
}
