#include "base/grpc_text.h"

#include "base/bytes.h"

#include <string.h>

/* The first that is in the text counts. */
static const struct {
    const char *text, *reason;
} reasons[] = {
    {"Domain name not found", "there is no such name"},
    {"DNS resolution failed", "its name cannot be looked up"},
    {"C-ares status is not ARES_SUCCESS", "its name cannot be looked up"},
    {"missing selected ALPN", "what answers speaks TLS but is no coord server (no HTTP/2)"},
    {"no application protocol", "what answers speaks TLS but is no coord server (no HTTP/2)"},
    {"wrong version number", "what answers does not speak TLS"},
    {"Ssl handshake failed", "the TLS handshake failed"},
    {"Connection refused", "the connection is refused"},
    {"Network is unreachable", "there is no way to it"},
    {"No route to host", "there is no way to it"},
    {"keepalive watchdog timeout", "it does not answer any more"},
    {"timed out", "it does not answer"},
    {"Deadline Exceeded", "it does not answer"},
    {"Connection reset by peer", "it closed the connection"},
    {"Socket closed", "it closed the connection"},
    {"Broken pipe", "it closed the connection"},
    {"End of TCP stream", "it closed the connection"},
};

const char *veld_grpc_reason(const char *text)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(reasons); i++)
        if (strstr(text, reasons[i].text))
            return reasons[i].reason;
    return NULL;
}
