#include "base/bytes.h"
#include "base/grpc_text.h"

#include <criterion/criterion.h>

/* As gRPC 1.51 says them. */
Test(grpc_text, in_words_for_people)
{
    static const char *const cases[][2] = {
        {"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to "
         "connect to remote host: Connection refused",
         "the connection is refused"},
        {"DNS resolution failed for name.invalid:1: C-ares status is not ARES_SUCCESS "
         "qtype=AAAA name=name.invalid is_balancer=0: Domain name not found",
         "there is no such name"},
        {"DNS resolution failed for coord.example:1: C-ares status is not ARES_SUCCESS qtype=A "
         "name=coord.example is_balancer=0: Could not contact DNS servers",
         "its name cannot be looked up"},
        {"failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:43179: "
         "recvmsg:Connection reset by peer",
         "it closed the connection"},
        {"failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:45455: "
         "Socket closed",
         "it closed the connection"},
        {"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:45455: "
         "Cannot "
         "check peer: missing selected ALPN property.",
         "what answers speaks TLS but is no coord server (no HTTP/2)"},
        {"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:46647: Ssl "
         "handshake failed: SSL_ERROR_SSL: error:0A00010B:SSL routines::wrong version number",
         "what answers does not speak TLS"},
        {"connection attempt timed out before receiving SETTINGS frame", "it does not answer"},
        {"Deadline Exceeded", "it does not answer"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        const char *reason = veld_grpc_reason(cases[i][0]);
        cr_assert_not_null(reason, "%s", cases[i][0]);
        cr_expect_str_eq(reason, cases[i][1], "%s", cases[i][0]);
    }
}

Test(grpc_text, what_a_server_says_itself_stays_as_it_is)
{
    cr_expect_null(veld_grpc_reason("the server stops: come back in a second"));
    cr_expect_null(veld_grpc_reason(""));
}
