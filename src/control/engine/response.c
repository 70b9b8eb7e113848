/* The second message: <- e, ee, se, psk, {lanes, features}. */
#include "control/engine/engine_impl.h"

#include "crypto/primitives.h"

#define NOISE_SIZE (VELD_RESPONSE_MAC1_OFFSET - VELD_NOISE_OFFSET)

/* mac1 and mac2 of a response do not touch the jar: a cookie can only answer an initiation. */
static void sign_response(struct veld_step *s, const struct veld_engine_peer *p,
                          uint8_t msg[VELD_RESPONSE_SIZE])
{
    struct veld_cookie_jar jar = p->link->jar;
    veld_cookie_sign(&jar, msg, VELD_RESPONSE_SIZE, s->now.mono_ns);
    veld_wipe(&jar, sizeof jar);
}

int veld_response_send(struct veld_step *s, struct veld_engine_peer *p, struct veld_noise *n,
                       const struct veld_event *ev, uint32_t remote_index, uint8_t lanes)
{
    struct veld_engine_session session = {
        .remote_index = remote_index,
        .born_ns = s->now.mono_ns,
        .reject_at_ns = s->now.mono_ns + VELD_REJECT_AFTER_S * VELD_NS_PER_S,
    };
    uint32_t random;
    veld_step_random(s, &random, sizeof random);
    if (veld_index_table_alloc(s->e->indices, p->id, random, &session.local_index) < 0)
        return veld_step_drop(s, VELD_DROP_CONTROL_QUEUE);

    uint8_t msg[VELD_RESPONSE_SIZE], payload[VELD_RESPONSE_PAYLOAD_SIZE], ephemeral[32];
    struct veld_noise_keys keys;
    veld_header_write(msg, &(struct veld_header){.type = VELD_RESPONSE,
                                                 .index = remote_index,
                                                 .responder_index = session.local_index});
    veld_response_payload_write(payload, &(struct veld_response_payload){.lanes = lanes});
    veld_step_random(s, ephemeral, sizeof ephemeral);
    /* e, ee, se, psk, payload */
    int rc = veld_noise_write_response(n, ephemeral, payload, sizeof payload,
                                       msg + VELD_NOISE_OFFSET);
    veld_wipe(ephemeral, sizeof ephemeral);
    if (rc < 0) {
        veld_index_table_release(s->e->indices, session.local_index);
        return veld_step_drop(s, VELD_DROP_HANDSHAKE);
    }
    veld_noise_split(n, &keys);
    veld_session_answered(s, p, &session, &ev->from);
    veld_session_install(s, p, &session, lanes, &keys);
    sign_response(s, p, msg);
    veld_step_send(s, p->id, &ev->from, msg, sizeof msg);
    return 0;
}

/* Decrypt on a copy; our handshake stays as it is unless all is well. */
static bool read_response(struct veld_step *s, const struct veld_event *ev,
                          const struct veld_engine_handshake *h, struct veld_noise_keys *keys,
                          uint8_t *lanes)
{
    struct veld_noise n = h->noise;
    uint8_t payload[VELD_RESPONSE_PAYLOAD_SIZE];
    struct veld_response_payload answer;
    /* e, ee, se, psk, payload */
    bool ok =
        veld_noise_read_response(&n, ev->data + VELD_NOISE_OFFSET, NOISE_SIZE, payload) == 0 &&
        veld_response_payload_parse(payload, &answer) == 0 && answer.lanes <= s->e->cfg.lanes;
    if (ok) {
        veld_noise_split(&n, keys);
        *lanes = answer.lanes;
    }
    veld_noise_wipe(&n);
    return ok;
}

int veld_response_receive(struct veld_step *s, const struct veld_event *ev,
                          const struct veld_header *h)
{
    if (!veld_cookie_check_mac1(&s->e->checker, ev->data, ev->len))
        return veld_step_drop(s, VELD_DROP_MAC1);
    /* Found by the index it answers, never by where it came from. */
    uint32_t id;
    if (!veld_index_table_find(s->e->indices, h->index, &id))
        return veld_step_drop(s, VELD_DROP_INDEX);
    struct veld_engine_peer *p = veld_peer_table_get(s->e->peers, id);
    if (!p->link->handshake || p->link->handshake->local_index != h->index)
        return veld_step_drop(s, VELD_DROP_INDEX);

    struct veld_noise_keys keys;
    uint8_t lanes;
    if (!read_response(s, ev, p->link->handshake, &keys, &lanes))
        return veld_step_drop(s, VELD_DROP_HANDSHAKE);

    int rc = veld_step_touch(s, p);
    if (rc < 0) {
        veld_wipe(&keys, sizeof keys);
        return rc;
    }
    const struct veld_engine_session session = {
        .local_index = h->index,
        .remote_index = h->responder_index,
        .initiator = true,
        .initiated_ns = p->link->handshake->sent_ns,
        .born_ns = s->now.mono_ns,
        .reject_at_ns = s->now.mono_ns + VELD_REJECT_AFTER_S * VELD_NS_PER_S,
    };
    const struct veld_endpoint to = p->link->handshake->to;
    /* Of several addresses one has it, and the source of what came back is no proof which. */
    bool same = p->endpoint_proved_ns && veld_endpoint_equal(&ev->from, &p->endpoint);
    bool found =
        !p->link->handshake->to_others || same || p->endpoint_proved_ns > session.initiated_ns;
    veld_engine_handshake_free(p->link->handshake);
    p->link->handshake = NULL; /* its index lives on as the session's */
    veld_attempt_end(s->e, p);

    p->rtt_ns = veld_ns_since(s->now.mono_ns, session.initiated_ns);
    veld_session_install(s, p, &session, lanes, &keys);
    if (found)
        veld_path_answered(s, p, &to, session.initiated_ns);
    veld_session_completed(s, p, &session, found ? NULL : &ev->from);
    return 0;
}
