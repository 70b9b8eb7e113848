#include "control/lan/message.h"

#include "base/bytes.h"

#define HEADER_SIZE   12
#define QUESTION_SIZE 4  /* type and class, after the name */
#define RECORD_SIZE   10 /* type, class, TTL and length, after the name */
#define TYPE_CNAME    5
#define TYPE_DNAME    39

struct reader {
    const uint8_t *p;
    size_t len, at;
};

/* To behind a name. Where its compression points to is not looked at. */
static bool skip_name(struct reader *r)
{
    while (r->at < r->len) {
        uint8_t n = r->p[r->at++];
        if (n == 0)
            return true;
        if (n >= 0xc0)
            return r->at++ < r->len;
        if (n >= 0x40 || r->len - r->at < n)
            return false;
        r->at += n;
    }
    return false;
}

static bool skip_question(struct reader *r)
{
    if (!skip_name(r) || r->len - r->at < QUESTION_SIZE)
        return false;
    r->at += QUESTION_SIZE;
    return true;
}

static bool skip_record(struct reader *r)
{
    if (!skip_name(r) || r->len - r->at < RECORD_SIZE)
        return false;
    uint16_t type = veld_load_be16(r->p + r->at);
    uint16_t size = veld_load_be16(r->p + r->at + 8);
    r->at += RECORD_SIZE;
    if (type == TYPE_CNAME || type == TYPE_DNAME || r->len - r->at < size)
        return false;
    r->at += size;
    return true;
}

bool veld_lan_message_is_plain(const uint8_t *p, size_t len)
{
    struct reader r = {.p = p, .len = len, .at = HEADER_SIZE};
    if (len < HEADER_SIZE || len > VELD_LAN_MESSAGE_MAX)
        return false;
    for (size_t n = veld_load_be16(p + 4); n > 0; n--) {
        if (!skip_question(&r))
            return false;
    }
    size_t records =
        (size_t)veld_load_be16(p + 6) + veld_load_be16(p + 8) + veld_load_be16(p + 10);
    for (; records > 0; records--) {
        if (!skip_record(&r))
            return false;
    }
    return true;
}
