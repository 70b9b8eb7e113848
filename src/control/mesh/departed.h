/*
 * How far the members were that are known no more, so that a server which takes one
 * away cannot then show an older record of it.
 *
 * Invariants:
 *  - what is remembered of a key only grows;
 *  - at most VELD_DEPARTED_MAX keys; then the one that left longest ago is forgotten. Each
 *    is a member that the network's owner let in: strangers take no room.
 *
 * Pure. Control thread.
 */
#ifndef VELD_CONTROL_MESH_DEPARTED_H
#define VELD_CONTROL_MESH_DEPARTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_DEPARTED_MAX 16384

struct veld_departed;
struct veld_departed *veld_departed_new(void);
void veld_departed_free(struct veld_departed *d); /* NULL is allowed */

/* This key's newest record had this sequence number, under a membership with this serial. */
void veld_departed_note(struct veld_departed *d, const uint8_t pub[32], uint64_t sequence,
                        uint64_t serial);
/* Is such a record older than what was known of the key? False when nothing was. */
bool veld_departed_is_older(const struct veld_departed *d, const uint8_t pub[32],
                            uint64_t sequence, uint64_t serial);
size_t veld_departed_count(const struct veld_departed *d);

#endif
