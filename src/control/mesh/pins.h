/*
 * Which key a name and an address belong to: trust on first use. At the first
 * completed handshake with a member its key is pinned to its name and to its
 * addresses inside the network; from then on neither means another key until
 * the user says so (`veld trust accept`), or the owner revokes the pinned key.
 *
 * Invariants:
 *  - a name is pinned to one key, and so is an address;
 *  - a pin is never changed by what somebody else says, only by accept and forget; but one
 *    whose own key the network's owner revoked counts no more against others;
 *  - a file that cannot be read and understood is an error, never "no pins";
 *  - at most VELD_PINS_MAX names; one that is not pinned for want of room is an error.
 *
 * The file, JSON, is replaced whole or not at all (base/file.h):
 *   {"version": 1, "network": ID, "pins": [{"name", "pubkey", "addresses", "since"}]}
 *
 * Order of calls: load, then any, save whenever veld_pins_unsaved says so.
 * Control thread; load and save block on the disk.
 */
#ifndef VELD_CONTROL_MESH_PINS_H
#define VELD_CONTROL_MESH_PINS_H

#include "base/addr.h"
#include "base/err.h"
#include "trust/revocations.h"
#include "trust/trust.h"

#include <jansson.h>

#define VELD_PINS_MAX      100000
#define VELD_PIN_ADDRS_MAX 2 /* an IPv4 and an IPv6 address */

struct veld_pin {
    char name[VELD_LABEL_MAX + 1];
    uint8_t pub[32];
    struct veld_ip addrs[VELD_PIN_ADDRS_MAX];
    size_t n_addrs;
    uint64_t since_s; /* when this key was pinned */
};

/* As in the file. A new reference; NULL when out of memory. */
json_t *veld_pin_json(const struct veld_pin *pin);

struct veld_pins;

/*
 * Read `path`; a missing file means that nothing was pinned yet. VELD_E_FORMAT
 * (also when it is of another network), VELD_E_UNSUPPORTED (a newer version's),
 * VELD_E_PERM, VELD_E_IO: the sentence names the file and what to do.
 */
VELD_MUST_USE int veld_pins_load(struct veld_pins **out, const char *path,
                                 const uint8_t network_id[VELD_NETWORK_ID_SIZE],
                                 struct veld_diag *diag);
void veld_pins_free(struct veld_pins *p); /* saves nothing; NULL is allowed */

/* Changed since the last save that worked. */
bool veld_pins_unsaved(const struct veld_pins *p);
VELD_MUST_USE int veld_pins_save(struct veld_pins *p, struct veld_diag *diag);

/*
 * The verified list in effect, borrowed until the next call (NULL: none). A pin of a key that
 * the owner revoked stands in nobody's way, and what is pinned next replaces it. An admin's
 * entry releases nothing: he may not revoke admins, and a pin does not say who is one.
 */
void veld_pins_set_revoked(struct veld_pins *p, const struct veld_revocations *revoked);
bool veld_pins_is_revoked(const struct veld_pins *p, const struct veld_pin *pin);

enum veld_pin_verdict {
    VELD_PIN_OK,  /* the name is pinned to this key, and no address to another */
    VELD_PIN_NEW, /* nothing of it is pinned to another key, but not all of it to this one */
    VELD_PIN_MISMATCH, /* the name or an address is pinned to another key */
};
/* Of what a member shows. `against` (may be NULL) is, on a mismatch, the pin that stands in the way; borrowed. */
enum veld_pin_verdict veld_pins_check(const struct veld_pins *p, const struct veld_pin *shown,
                                      const struct veld_pin **against);
/* Pin what veld_pins_check called NEW; nothing happens when it is OK. VELD_E_EXIST on a mismatch, VELD_E_FULL. */
VELD_MUST_USE int veld_pins_add(struct veld_pins *p, const struct veld_pin *shown);
/* The user compared fingerprints: name and addresses belong to this key from now on. VELD_E_FULL. */
VELD_MUST_USE int veld_pins_accept(struct veld_pins *p, const struct veld_pin *shown);
/* The name and its addresses belong to nobody. VELD_E_NOENT. */
VELD_MUST_USE int veld_pins_forget(struct veld_pins *p, const char *name);

size_t veld_pins_count(const struct veld_pins *p);
/* The pin of a name; NULL: none. Borrowed until the next change. */
const struct veld_pin *veld_pins_of(const struct veld_pins *p, const char *name);
/* All of them by name, an array of borrowed pointers; the caller frees it. NULL when out of memory. */
const struct veld_pin **veld_pins_list(const struct veld_pins *p);

#endif
