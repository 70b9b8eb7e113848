/*
 * The server's log: one line an event, an event's name and its fields, as
 * key=value text or as a JSON object.
 *
 *   veld_event(VELD_LOG_INFO, "registered", VELD_TEXT("member", key), VELD_NUMBER("revision", 7));
 *   2026-01-02T03:04:05.678Z info  event=registered member=1a2b… revision=7
 *   {"time":"2026-01-02T03:04:05.678Z","level":"info","event":"registered","member":"1a2b…",…}
 *
 * Event names and keys are words in lower case with hyphens and underscores;
 * texts may be anything, and are cut and cleared of control characters. Never
 * secrets. What is said by base/log.h becomes an event "message".
 *
 * A line is one write(2). Any thread, once veld_event_log_start has been called.
 */
#ifndef VELD_COORD_LOG_H
#define VELD_COORD_LOG_H

#include "base/bytes.h"
#include "base/log.h"

#define VELD_EVENT_FIELDS_MAX 16
#define VELD_EVENT_TEXT_MAX   512 /* characters of one text */

enum veld_log_format { VELD_LOG_TEXT, VELD_LOG_JSON };
/* "text", "json". VELD_E_FORMAT. */
VELD_MUST_USE int veld_log_format_parse(const char *text, enum veld_log_format *out);

/* Before threads start. Takes over base/log.h's lines. */
void veld_event_log_start(enum veld_log_format format);

/* Borrowed for the call. `text` NULL: it is the number. */
struct veld_field {
    const char *key;
    const char *text;
    uint64_t number;
};
#define VELD_TEXT(k, t)   ((struct veld_field){.key = (k), .text = (t)})
#define VELD_NUMBER(k, n) ((struct veld_field){.key = (k), .number = (n)})

void veld_event_write(enum veld_log_level level, const char *event,
                      const struct veld_field *fields, size_t n);

/* An event with at least one field. */
#define veld_event(level, event, ...)                                                          \
    veld_event_write(level, event, (const struct veld_field[]){__VA_ARGS__},                   \
                     VELD_ARRAY_LEN(((const struct veld_field[]){__VA_ARGS__})))

#endif
