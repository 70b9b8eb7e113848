/*
 * Configured peers as people mean them: by what they type, and what to call them.
 */
#include "control/control_impl.h"

#include <stdio.h>
#include <string.h>

const struct veld_config_peer *veld_control_peer_config(const struct veld_control *c,
                                                        uint32_t id)
{
    return &c->config->peers[c->peers[id].config_index];
}

const char *veld_control_peer_name(const struct veld_control *c, uint32_t id, char out[64])
{
    const struct veld_config_peer *peer = veld_control_peer_config(c, id);
    if (peer->name[0])
        snprintf(out, 64, "%s", peer->name);
    else
        veld_ip_format(&peer->addrs[0], out);
    return out;
}

bool veld_control_peer_find(const struct veld_control *c, const char *text, uint32_t *id)
{
    struct veld_ip ip = {0};
    uint8_t pub[32];
    bool is_ip = veld_ip_parse(text, &ip) == 0, is_key = veld_pubkey_parse(text, pub) == 0;
    size_t len = strlen(text);
    static const char suffix[] = "." VELD_DNS_DOMAIN;
    if (len > sizeof suffix - 1 &&
        g_ascii_strcasecmp(text + len - (sizeof suffix - 1), suffix) == 0)
        len -= sizeof suffix - 1;
    for (size_t i = 0; i < c->config->n_peers; i++) {
        const struct veld_config_peer *p = &c->config->peers[i];
        bool hit =
            strlen(p->name) == len && len > 0 && g_ascii_strncasecmp(p->name, text, len) == 0;
        hit |= is_key && memcmp(p->pub, pub, sizeof pub) == 0;
        for (size_t a = 0; is_ip && a < p->n_addrs; a++)
            hit |= veld_ip_equal(&p->addrs[a], &ip);
        if (hit) {
            *id = c->by_config[i];
            return true;
        }
    }
    return false;
}
