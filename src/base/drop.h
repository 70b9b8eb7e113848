/*
 * Why a packet or datagram was dropped: the one list of reasons, each with the
 * name shown in `veld status --json` and a sentence for docs and people.
 *
 * Invariant: every drop in Veld is counted under exactly one of these.
 */
#ifndef VELD_BASE_DROP_H
#define VELD_BASE_DROP_H

#define VELD_DROPS(X)                                                                          \
    /* outer datagrams, before authentication */                                               \
    X(RUNT, "runt", "shorter than the smallest datagram of its type")                          \
    X(TYPE, "unknown_type", "first byte is no Veld datagram type")                             \
    X(VERSION, "bad_version", "protocol version is not 1")                                     \
    X(HEADER, "bad_header", "a field that must be zero is not, or a length is wrong")          \
    X(OVERSIZED, "oversized", "longer than the largest datagram of its type")                  \
    X(INDEX, "unknown_index", "no session or handshake has this index")                        \
    X(LANE, "bad_lane", "lane beyond what the session agreed on")                              \
    X(REPLAY, "replayed", "counter already seen or too old")                                   \
    X(TAG, "bad_tag", "authentication tag does not match: forged or corrupted")                \
    X(EXPIRED, "session_expired", "session is past its lifetime or message limit")             \
    /* relayed datagrams */                                                                    \
    X(CIRCUIT, "unknown_circuit", "no circuit has this number")                                \
    X(NESTED, "bad_relayed_type", "relayed datagram with nothing in it that is relayed")       \
    X(RELAY_SOURCE, "bad_relay_source", "relayed datagram from elsewhere than its member")     \
    X(RELAY_RATE, "relay_rate_limited", "more than this relay carries")                        \
    X(RELAY_NOWHERE, "relay_no_endpoint", "the other end of a circuit has no address here")    \
    /* handshake */                                                                            \
    X(ADDRESS, "bad_sender_address", "initiation from an address that cannot be answered")     \
    X(MAC1, "bad_mac1", "initiation or response not addressed to this key")                    \
    X(MAC2, "cookie_required", "under load, and the sender has not proved its address")        \
    X(RATE, "rate_limited", "too many initiations from this address")                          \
    X(HANDSHAKE, "handshake_failed", "handshake message does not decrypt")                     \
    X(UNKNOWN_PEER, "unknown_peer", "initiator is not a configured peer")                      \
    X(STALE, "stale_initiation", "initiation timestamp is not newer than the last one")        \
    X(COOKIE, "bad_cookie", "cookie reply that answers nothing we sent")                       \
    X(STUN_RATE, "stun_rate_limited", "more STUN messages than are looked at")                 \
    X(CONTROL_QUEUE, "control_queue_full", "the control thread has too much to do")            \
    /* after authentication */                                                                 \
    X(INNER, "bad_inner_packet", "decrypted payload is not a whole IP packet")                 \
    X(SOURCE, "bad_inner_source", "inner source address does not belong to the peer")          \
    X(CONGESTION, "congestion", "marked as congested on the way, and of a flow without ECN")   \
    X(MESSAGE, "bad_control_message", "in-session control message is malformed")               \
    /* outbound */                                                                             \
    X(TUN_PACKET, "bad_tun_packet", "packet from the interface is not valid IP")               \
    X(NO_ROUTE, "no_route", "no peer has this destination")                                    \
    X(LOOP, "routing_loop", "our own datagram to a peer whose endpoint is inside the tunnel")  \
    X(NO_ENDPOINT, "no_endpoint", "the peer's address is not known yet")                       \
    X(TOO_BIG, "too_big", "larger than the path takes, and not to be fragmented")              \
    X(HOLD_FULL, "hold_full", "more packets waited for a session than are kept")               \
    X(HOLD_TIMEOUT, "hold_timeout", "waited too long for a session")                           \
    X(NO_BUFFER, "no_buffer", "all send buffers are in flight")                                \
    X(UDP_FULL, "udp_queue_full", "the UDP socket's send buffer is full")                      \
    X(UDP_ERROR, "udp_error", "the kernel refused the datagram")                               \
    X(TUN_FULL, "tun_queue_full", "the TUN queue would block")                                 \
    X(TUN_ERROR, "tun_error", "the kernel refused the packet")

enum veld_drop {
#define X(id, name, text) VELD_DROP_##id,
    VELD_DROPS(X)
#undef X
        VELD_DROP_COUNT
};

/* Static strings; `reason` < VELD_DROP_COUNT. */
const char *veld_drop_name(enum veld_drop reason);
const char *veld_drop_text(enum veld_drop reason);

#endif
