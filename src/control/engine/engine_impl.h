/*
 * What the engine's own files share: its state, one step under way, and the
 * parts a step is made of. Nobody outside this folder includes it.
 *
 *   engine.c        new, free, peers, dispatch of events
 *   actions.c       adding actions to a step's answer
 *   attempt.c       when to send an initiation, retry, give up
 *   initiation.c    the first message: sent and received
 *   response.c      the second message: sent and received
 *   cookie_reply.c  the filters before any Diffie-Hellman
 *   session.c       the three slots, and which session is used
 *   activity.c      keepalives, silence, rekey: what follows from traffic
 *   path.c          endpoints, path challenges, pings
 *   seek.c          better paths, and dead ones; preference.h says which is better
 *   probe.c         the search for a path's MTU, for whoever has a session
 *   message.c       in-session control messages
 */
#ifndef VELD_CONTROL_ENGINE_ENGINE_IMPL_H
#define VELD_CONTROL_ENGINE_ENGINE_IMPL_H

#include "base/bytes.h"
#include "control/engine/engine.h"
#include "control/engine/index.h"
#include "control/engine/peer.h"
#include "control/engine/ratelimit.h"
#include "control/engine/timestamp.h"

/* One initiation per peer is answered in this time. */
#define VELD_INITIATION_GAP_NS (20 * VELD_NS_PER_MS)
/* Pings on a session we initiated, until something is heard on it. */
#define VELD_CONFIRM_GAP_NS VELD_NS_PER_S
#define VELD_CONFIRM_FOR_NS (VELD_HANDSHAKE_RETRY_S * VELD_NS_PER_S)
/* A retry comes after VELD_HANDSHAKE_RETRY_S and up to this much. */
#define VELD_JITTER_NS (VELD_NS_PER_S / 3)
/* Longer than an initiation can be outstanding: see holds_off in attempt.c. */
#define VELD_HOLD_OFF_NS                                                                       \
    (VELD_HANDSHAKE_RETRY_S * VELD_NS_PER_S + VELD_JITTER_NS + 200 * VELD_NS_PER_MS)
/* An initiation that somebody waits for leaves this long after the last one at the earliest. */
#define VELD_HURRY_GAP_NS (100 * VELD_NS_PER_MS)
/* So often in an attempt new candidates are tried before the retry's time. */
#define VELD_HURRIES_MAX 8
/* How long an asked-for ping waits for a session, and then for its pong. */
#define VELD_PING_TIMEOUT_NS (10 * VELD_NS_PER_S)

struct veld_engine {
    struct veld_engine_config cfg;
    struct veld_peer_table *peers;
    struct veld_index_table *indices;
    struct veld_deadlines *deadlines;
    struct veld_ratelimit *limiter;
    struct veld_cookie_checker checker;
    struct veld_timestamp timestamp;
    uint64_t seek_window_ns; /* seek.c: the second in which so many pings were sent */
    uint32_t seek_pings;
    struct veld_engine_stats stats;
};

/* One call of veld_engine_step. */
struct veld_step {
    struct veld_engine *e;
    struct veld_now now;
    struct veld_actions *out;
    struct veld_engine_peer *touched; /* whose timers may have changed; NULL: nobody's */
};

static inline bool veld_slot_used(const struct veld_engine_session *s)
{
    return s->local_index != 0;
}

/* ---- engine.c ---- */

/*
 * This step is about `p`: see that it has a link, retire what has expired, and
 * look at its timers when done. VELD_E_NOMEM.
 */
VELD_MUST_USE int veld_step_touch(struct veld_step *s, struct veld_engine_peer *p);
void veld_step_random(struct veld_step *s, void *out, size_t len);

/* ---- actions.c ---- */

/* The action, zeroed but for its type and peer. */
struct veld_action *veld_step_act(struct veld_step *s, enum veld_action_type type,
                                  uint32_t peer);
/* Count a drop; 1 + reason, as veld_engine_step returns it. */
int veld_step_drop(struct veld_step *s, enum veld_drop reason);
/* A handshake message; `peer` UINT32_MAX: to somebody not known yet. */
void veld_step_send(struct veld_step *s, uint32_t peer, const struct veld_endpoint *to,
                    const uint8_t *datagram, size_t len);
/* A control message on the current session; `to` NULL: the peer's endpoint. */
void veld_step_message(struct veld_step *s, struct veld_engine_peer *p,
                       const struct veld_endpoint *to, const struct veld_message *m);
void veld_step_keepalive(struct veld_step *s, struct veld_engine_peer *p);
/* Probes on the current session, to the peer's endpoint. */
void veld_step_probe(struct veld_step *s, struct veld_engine_peer *p, uint32_t id,
                     const struct veld_probes *probes);

/* ---- attempt.c ---- */

/* Begin an attempt, unless one is under way. VELD_E_NOMEM, VELD_E_FULL. */
int veld_attempt_start(struct veld_step *s, struct veld_engine_peer *p);
/*
 * Somebody waits for a session. An attempt that began without anybody (a call
 * after the start) may have met a peer that was not up yet, so once in an
 * attempt the next initiation leaves VELD_HURRY_GAP_NS after the last one.
 */
int veld_attempt_wanted(struct veld_step *s, struct veld_engine_peer *p);
/* The same, and nobody here waits: WANTED says so, as long as that is so. */
int veld_attempt_called(struct veld_step *s, struct veld_engine_peer *p);
/* There are new candidates: try them soon. */
void veld_attempt_hurry(struct veld_engine_peer *p);
/* `handshake_at_ns` has come. */
int veld_attempt_due(struct veld_step *s, struct veld_engine_peer *p);
/* A cookie came: send again with it, once. */
int veld_attempt_cookie(struct veld_step *s, struct veld_engine_peer *p);
/* Forget the unanswered initiation, its secrets and its index. */
void veld_attempt_forget(struct veld_engine *e, struct veld_engine_peer *p);
/* The attempt is over, for whatever reason. */
void veld_attempt_end(struct veld_engine *e, struct veld_engine_peer *p);
/* The same, telling whoever waits for it. */
void veld_attempt_abandon(struct veld_step *s, struct veld_engine_peer *p);

/* ---- initiation.c, response.c, cookie_reply.c: 0, 1 + drop reason, or an error ---- */

int veld_initiation_send(struct veld_step *s, struct veld_engine_peer *p);
int veld_initiation_receive(struct veld_step *s, const struct veld_event *ev, uint32_t index);
int veld_response_send(struct veld_step *s, struct veld_engine_peer *p, struct veld_noise *n,
                       const struct veld_event *ev, uint32_t remote_index, uint8_t lanes);
int veld_response_receive(struct veld_step *s, const struct veld_event *ev,
                          const struct veld_header *h);
int veld_cookie_filter(struct veld_step *s, const struct veld_event *ev, uint32_t index);
int veld_cookie_reply_receive(struct veld_step *s, const struct veld_event *ev, uint32_t index);

/* ---- session.c ---- */

/* There is a session in use, or one whose path is being sought. */
bool veld_session_is_made(const struct veld_engine_peer *p);
/* The peer's session of this index, or NULL. */
struct veld_engine_session *veld_session_find(struct veld_engine_peer *p, uint32_t index);
/* Emit INSTALL for a new session; wipes `keys`. */
void veld_session_install(struct veld_step *s, const struct veld_engine_peer *p,
                          const struct veld_engine_session *session, uint8_t lanes,
                          struct veld_noise_keys *keys);
/*
 * We got a response: use `session`, which is installed. `via` NULL: the endpoint
 * is right; else only the response's source is known, and is asked first.
 */
void veld_session_completed(struct veld_step *s, struct veld_engine_peer *p,
                            const struct veld_engine_session *session,
                            const struct veld_endpoint *via);
/* An address has shown that it receives, and is the endpoint: use what waited for that. */
void veld_session_found(struct veld_step *s, struct veld_engine_peer *p);
/* We sent a response: `session`, which is installed, replaces `next`. */
void veld_session_answered(struct veld_step *s, struct veld_engine_peer *p,
                           const struct veld_engine_session *session,
                           const struct veld_endpoint *answered_to);
/* A datagram came on `session`, from `from`: the first one of `next` confirms it. */
void veld_session_heard(struct veld_step *s, struct veld_engine_peer *p,
                        struct veld_engine_session *session, const struct veld_endpoint *from);
/* The peer said goodbye on `session`. */
void veld_session_goodbye(struct veld_step *s, struct veld_engine_peer *p,
                          const struct veld_engine_session *session);
void veld_session_retire_all(struct veld_step *s, struct veld_engine_peer *p);
/* Retire what is past its lifetime. */
void veld_session_expire(struct veld_step *s, struct veld_engine_peer *p);
/* `confirm_at_ns` has come. */
int veld_session_confirm_due(struct veld_step *s, struct veld_engine_peer *p);

/* ---- activity.c ---- */

int veld_activity_seen(struct veld_step *s, struct veld_engine_peer *p,
                       const struct veld_event *ev);

/* ---- path.c ---- */

/* Where the peer may be, each once; the likeliest first. How many. */
size_t veld_path_targets(const struct veld_engine_peer *p,
                         struct veld_endpoint out[VELD_TARGETS_MAX]);
/* Ask `via` for a sign of life, which confirms the session too; NULL: ask everywhere the peer may be. */
void veld_path_seek(struct veld_step *s, struct veld_engine_peer *p,
                    const struct veld_endpoint *via);
/* `to` has shown that it receives. */
void veld_path_proved(struct veld_step *s, struct veld_engine_peer *p,
                      const struct veld_endpoint *to);
/* Our initiation to `to`, sent at `sent_ns`, was answered. */
void veld_path_answered(struct veld_step *s, struct veld_engine_peer *p,
                        const struct veld_endpoint *to, uint64_t sent_ns);
/* `next` was confirmed, by a datagram from `from` (family 0: on a lane above 0). */
void veld_path_confirmed(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_endpoint *from);
/* Ask `to` for a sign of life before it becomes the endpoint. */
void veld_path_challenge(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_endpoint *to);
/* A pong's token, from `from`. */
void veld_path_pong(struct veld_step *s, struct veld_engine_peer *p,
                    const uint8_t token[VELD_PING_TOKEN_SIZE],
                    const struct veld_endpoint *from);
/* Ping the peer, now or when there is a session. */
int veld_path_ping(struct veld_step *s, struct veld_engine_peer *p);
/* A session is in use: send the ping that waited for it. */
void veld_path_ping_waiting(struct veld_step *s, struct veld_engine_peer *p);

/* The token that belongs to this address: who has not received there does not know it. */
void veld_path_token(const uint8_t secret[32], const struct veld_endpoint *to,
                     uint8_t token[VELD_PING_TOKEN_SIZE]);

/* ---- seek.c ---- */

/* Search, when there is something better to be found and the last search is long enough ago. */
void veld_seek_start(struct veld_step *s, struct veld_engine_peer *p);
/* The path in use may be dead. */
void veld_seek_suspect(struct veld_step *s, struct veld_engine_peer *p);
/* The peer does not get through. */
void veld_seek_called(struct veld_step *s, struct veld_engine_peer *p);
/* This machine's ways out changed. */
void veld_seek_network(struct veld_step *s, struct veld_engine_peer *p,
                       const struct veld_event *ev);
/* The circuit that is the endpoint is gone. A session is in use; its timer does the rest. */
void veld_seek_ended(struct veld_engine_peer *p);
/* The peer sends by another path than we, which is no better: does ours still lead there? */
void veld_seek_strayed(struct veld_step *s, struct veld_engine_peer *p);
/* The endpoint was asked, and has not answered. */
bool veld_seek_is_mute(const struct veld_engine_peer *p);
/* After the times of ACTIVITY have been taken in. */
void veld_seek_activity(struct veld_step *s, struct veld_engine_peer *p, uint64_t sent_data_ns);
/* Its timer. */
void veld_seek_due(struct veld_step *s, struct veld_engine_peer *p);
/* A pong's token, from `from`: false when it answers nothing that was asked here. */
bool veld_seek_pong(struct veld_step *s, struct veld_engine_peer *p,
                    const uint8_t token[VELD_PING_TOKEN_SIZE],
                    const struct veld_endpoint *from);

/* ---- probe.c ---- */

/* After a step: search where there is a session now, stop where there is none. */
void veld_probe_follow(struct veld_step *s, struct veld_engine_peer *p);
/* The endpoint is another: what was found of the path is of no use. */
void veld_probe_forget(struct veld_engine_peer *p);
/* The search's timer. */
void veld_probe_due(struct veld_step *s, struct veld_engine_peer *p);
void veld_probe_answered(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_message *m);
/* After the times of ACTIVITY have been taken in. */
void veld_probe_activity(struct veld_step *s, struct veld_engine_peer *p,
                         uint64_t sent_data_ns);
void veld_probe_refused(struct veld_step *s, struct veld_engine_peer *p, size_t size);

/* ---- message.c ---- */

int veld_message_receive(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_event *ev);

#endif
