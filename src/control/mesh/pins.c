#include "control/mesh/pins.h"

#include "base/file.h"
#include "base/bytes.h"
#include "control/mesh/hash.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PINS_VERSION 1
#define FILE_MAX     (64u << 20)
#define ID_TEXT_LEN  (2 * VELD_NETWORK_ID_SIZE)
#define SECONDS_MAX  ((json_int_t)1 << 48)

struct veld_pins {
    char *path;
    char network[ID_TEXT_LEN + 1];          /* its id in hexadecimal */
    GHashTable *by_name;                    /* name -> pin, which it owns */
    GHashTable *by_addr;                    /* address inside a pin -> that pin */
    const struct veld_revocations *revoked; /* borrowed; NULL: none */
    bool unsaved;
};

/* ---- The two tables ---- */

static bool has_addr(const struct veld_pin *pin, const struct veld_ip *ip)
{
    for (size_t i = 0; i < pin->n_addrs; i++) {
        if (veld_ip_equal(&pin->addrs[i], ip))
            return true;
    }
    return false;
}

/* The table's keys point into pins, so they are taken out before a pin's addresses move. */
static void unlink_addrs(struct veld_pins *p, const struct veld_pin *pin)
{
    for (size_t i = 0; i < pin->n_addrs; i++)
        g_hash_table_remove(p->by_addr, &pin->addrs[i]);
}

static void link_addrs(struct veld_pins *p, struct veld_pin *pin)
{
    for (size_t i = 0; i < pin->n_addrs; i++)
        g_hash_table_replace(p->by_addr, &pin->addrs[i], pin);
}

/* `ip` is nobody's from now on. */
static void release_addr(struct veld_pins *p, const struct veld_ip *ip)
{
    struct veld_pin *pin = g_hash_table_lookup(p->by_addr, ip);
    if (!pin)
        return;
    unlink_addrs(p, pin);
    size_t n = 0;
    for (size_t i = 0; i < pin->n_addrs; i++) {
        if (!veld_ip_equal(&pin->addrs[i], ip))
            pin->addrs[n++] = pin->addrs[i];
    }
    pin->n_addrs = n;
    link_addrs(p, pin);
}

static void put(struct veld_pins *p, const struct veld_pin *shown)
{
    struct veld_pin *pin = g_hash_table_lookup(p->by_name, shown->name);
    if (pin)
        unlink_addrs(p, pin);
    for (size_t i = 0; i < shown->n_addrs; i++)
        release_addr(p, &shown->addrs[i]);
    if (!pin) {
        pin = g_new(struct veld_pin, 1);
        *pin = *shown;
        g_hash_table_insert(p->by_name, pin->name, pin);
    } else {
        *pin = *shown;
    }
    link_addrs(p, pin);
    p->unsaved = true;
}

/* ---- What is asked and changed ---- */

static bool same_key(const struct veld_pin *a, const struct veld_pin *b)
{
    return memcmp(a->pub, b->pub, sizeof a->pub) == 0;
}

void veld_pins_set_revoked(struct veld_pins *p, const struct veld_revocations *revoked)
{
    p->revoked = revoked;
}

bool veld_pins_is_revoked(const struct veld_pins *p, const struct veld_pin *pin)
{
    struct veld_revoked_entry entry;
    return veld_revocations_find(p->revoked, pin->pub, &entry) && entry.by_owner;
}

/* The pin, if it counts against (or for) whoever shows this. */
static const struct veld_pin *standing(const struct veld_pins *p, const struct veld_pin *pin,
                                       const struct veld_pin *shown)
{
    return pin && (same_key(pin, shown) || !veld_pins_is_revoked(p, pin)) ? pin : NULL;
}

enum veld_pin_verdict veld_pins_check(const struct veld_pins *p, const struct veld_pin *shown,
                                      const struct veld_pin **against)
{
    const struct veld_pin *named =
        standing(p, g_hash_table_lookup(p->by_name, shown->name), shown);
    bool all = named != NULL;
    const struct veld_pin *other = named && !same_key(named, shown) ? named : NULL;
    for (size_t i = 0; i < shown->n_addrs && !other; i++) {
        const struct veld_pin *at =
            standing(p, g_hash_table_lookup(p->by_addr, &shown->addrs[i]), shown);
        if (at && !same_key(at, shown))
            other = at;
        all &= at == named;
    }
    if (against)
        *against = other;
    return other ? VELD_PIN_MISMATCH : all ? VELD_PIN_OK : VELD_PIN_NEW;
}

static bool is_full_for(const struct veld_pins *p, const char *name)
{
    return g_hash_table_size(p->by_name) >= VELD_PINS_MAX &&
           !g_hash_table_contains(p->by_name, name);
}

int veld_pins_add(struct veld_pins *p, const struct veld_pin *shown)
{
    enum veld_pin_verdict verdict = veld_pins_check(p, shown, NULL);
    if (verdict == VELD_PIN_OK)
        return 0;
    if (verdict == VELD_PIN_MISMATCH)
        return VELD_E_EXIST;
    if (is_full_for(p, shown->name))
        return VELD_E_FULL;
    struct veld_pin next = *shown;
    const struct veld_pin *named =
        standing(p, g_hash_table_lookup(p->by_name, shown->name), shown);
    if (named) {
        next.since_s = named->since_s;
        /* One that shows no IPv4 address at present has not given its last one up. */
        if (next.n_addrs == 1 && named->n_addrs > 0 && named->addrs[0].family == 4)
            next.addrs[next.n_addrs++] = named->addrs[0];
    }
    put(p, &next);
    return 0;
}

int veld_pins_accept(struct veld_pins *p, const struct veld_pin *shown)
{
    if (is_full_for(p, shown->name))
        return VELD_E_FULL;
    put(p, shown);
    return 0;
}

int veld_pins_forget(struct veld_pins *p, const char *name)
{
    struct veld_pin *pin = g_hash_table_lookup(p->by_name, name);
    if (!pin)
        return VELD_E_NOENT;
    unlink_addrs(p, pin);
    g_hash_table_remove(p->by_name, name);
    p->unsaved = true;
    return 0;
}

size_t veld_pins_count(const struct veld_pins *p)
{
    return g_hash_table_size(p->by_name);
}

const struct veld_pin *veld_pins_of(const struct veld_pins *p, const char *name)
{
    return g_hash_table_lookup(p->by_name, name);
}

bool veld_pins_unsaved(const struct veld_pins *p)
{
    return p->unsaved;
}

static int by_name(const void *pa, const void *pb)
{
    const struct veld_pin *const *a = pa, *const *b = pb;
    return strcmp((*a)->name, (*b)->name);
}

const struct veld_pin **veld_pins_list(const struct veld_pins *p)
{
    size_t n = 0;
    const struct veld_pin **list = calloc(veld_pins_count(p) + 1, sizeof *list);
    GHashTableIter it;
    gpointer pin;
    if (!list)
        return NULL;
    g_hash_table_iter_init(&it, p->by_name);
    while (g_hash_table_iter_next(&it, NULL, &pin))
        list[n++] = pin;
    qsort(list, n, sizeof(struct veld_pin *), by_name);
    return list;
}

/* ---- The file ---- */

json_t *veld_pin_json(const struct veld_pin *pin)
{
    char key[VELD_PUBKEY_STRLEN], ip[VELD_IP_STRLEN];
    json_t *addrs = json_array();
    veld_pubkey_format(pin->pub, key);
    for (size_t i = 0; i < pin->n_addrs; i++)
        json_array_append_new(addrs, json_string(veld_ip_format(&pin->addrs[i], ip)));
    return json_pack("{s:s, s:s, s:o, s:I}", "name", pin->name, "pubkey", key, "addresses",
                     addrs, "since", (json_int_t)pin->since_s);
}

int veld_pins_save(struct veld_pins *p, struct veld_diag *diag)
{
    const struct veld_pin **list = veld_pins_list(p);
    size_t n = veld_pins_count(p);
    json_t *pins = json_array(), *root;
    for (size_t i = 0; list && i < n; i++)
        json_array_append_new(pins, veld_pin_json(list[i]));
    bool whole = list && json_array_size(pins) == n;
    free(list);
    root = json_pack("{s:i, s:s, s:o}", "version", PINS_VERSION, "network", p->network, "pins",
                     pins);
    char *text = whole && root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    int rc = text ? veld_file_replace(p->path, text, strlen(text), 0600) : VELD_E_NOMEM;
    int why = errno;
    free(text);
    json_decref(root);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot write %s: %s; keys of new peers are not pinned",
                         p->path, rc == VELD_E_NOMEM ? "out of memory" : strerror(why));
    p->unsaved = false;
    return 0;
}

static int broken(const struct veld_pins *p, const char *what, struct veld_diag *diag)
{
    return veld_fail(
        diag, VELD_E_FORMAT,
        "%s cannot be used: %s. It says which keys this machine trusts, so nothing "
        "starts without it: restore it from a backup, or, to trust each peer anew "
        "on its next connection, remove it",
        p->path, what);
}

static bool read_addrs(const json_t *list, struct veld_pin *pin)
{
    if (!json_is_array(list) || json_array_size(list) > VELD_PIN_ADDRS_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct veld_ip ip;
        if (!text || veld_ip_parse(text, &ip) < 0 || has_addr(pin, &ip))
            return false;
        pin->addrs[pin->n_addrs++] = ip;
    }
    return true;
}

static bool read_pin(const json_t *value, struct veld_pin *pin)
{
    const char *name = json_string_value(json_object_get(value, "name"));
    const char *key = json_string_value(json_object_get(value, "pubkey"));
    const json_t *since = json_object_get(value, "since");
    if (!name || !key || !json_is_integer(since) || json_object_size(value) != 4 ||
        !veld_label_is_valid(name))
        return false;
    strcpy(pin->name, name);
    pin->since_s = (uint64_t)json_integer_value(since);
    return pin->since_s <= SECONDS_MAX &&
           veld_base64_decode(pin->pub, sizeof pin->pub, key, strlen(key)) == 0 &&
           read_addrs(json_object_get(value, "addresses"), pin);
}

static int read_pins(struct veld_pins *p, const json_t *root, struct veld_diag *diag)
{
    const json_t *version = json_object_get(root, "version");
    const json_t *list = json_object_get(root, "pins");
    const char *network = json_string_value(json_object_get(root, "network"));
    if (json_is_integer(version) && json_integer_value(version) > PINS_VERSION)
        return veld_fail(diag, VELD_E_UNSUPPORTED,
                         "%s was written by a newer version of Veld; use that one", p->path);
    if (json_integer_value(version) != PINS_VERSION || !json_is_array(list) || !network ||
        json_object_size(root) != 3)
        return broken(p, "it is no list of pins", diag);
    if (strcmp(network, p->network) != 0)
        return broken(p, "its pins are those of another network", diag);
    if (json_array_size(list) > VELD_PINS_MAX)
        return broken(p, "it has too many pins", diag);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct veld_pin pin = {0};
        char what[64];
        snprintf(what, sizeof what, "pin %zu is malformed or there twice", i + 1);
        if (!read_pin(json_array_get(list, i), &pin))
            return broken(p, what, diag);
        bool twice = g_hash_table_contains(p->by_name, pin.name);
        for (size_t a = 0; a < pin.n_addrs; a++)
            twice |= g_hash_table_contains(p->by_addr, &pin.addrs[a]);
        if (twice)
            return broken(p, what, diag);
        put(p, &pin);
    }
    p->unsaved = false;
    return 0;
}

/* VELD_E_NOENT when there is no file; `*text` is the caller's to free. */
static int read_file(const char *path, char **text, size_t *len)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT ? VELD_E_NOENT : VELD_E_IO;
    if (st.st_size > FILE_MAX) {
        errno = EFBIG;
        return VELD_E_RANGE;
    }
    size_t size = (size_t)st.st_size + 2; /* room for the NUL, and to see that it ends there */
    *text = malloc(size);
    return *text ? veld_file_read(path, *text, size, len) : VELD_E_NOMEM;
}

static int load(struct veld_pins *p, struct veld_diag *diag)
{
    char *text = NULL;
    size_t len;
    json_error_t error;
    int rc = read_file(p->path, &text, &len);
    if (rc == VELD_E_NOENT)
        return 0;
    if (rc < 0) {
        char why[128];
        snprintf(why, sizeof why, "%s", rc == VELD_E_NOMEM ? "out of memory" : strerror(errno));
        free(text);
        return veld_fail(diag, rc,
                         "cannot read %s: %s. It says which keys this machine trusts, so "
                         "nothing starts without it",
                         p->path, why);
    }
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (!root) {
        char what[sizeof error.text + 32];
        snprintf(what, sizeof what, "line %d: %s", error.line, error.text);
        return broken(p, what, diag);
    }
    rc = read_pins(p, root, diag);
    json_decref(root);
    return rc;
}

int veld_pins_load(struct veld_pins **out, const char *path,
                   const uint8_t network_id[VELD_NETWORK_ID_SIZE], struct veld_diag *diag)
{
    struct veld_pins *p = g_new0(struct veld_pins, 1);
    p->path = g_strdup(path);
    for (size_t i = 0; i < VELD_NETWORK_ID_SIZE; i++)
        snprintf(p->network + 2 * i, 3, "%02x", network_id[i]);
    p->by_name = g_hash_table_new_full(veld_hash_name, g_str_equal, NULL, g_free);
    p->by_addr = g_hash_table_new(veld_hash_ip, veld_same_ip);
    int rc = load(p, diag);
    if (rc < 0) {
        veld_pins_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void veld_pins_free(struct veld_pins *p)
{
    if (!p)
        return;
    g_hash_table_destroy(p->by_addr);
    g_hash_table_destroy(p->by_name);
    g_free(p->path);
    g_free(p);
}
