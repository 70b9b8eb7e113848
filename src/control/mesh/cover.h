/*
 * Many prefixes, as the set of addresses inside any of them.
 *
 * Invariant: a cover is in order of family and address, and none of its prefixes is
 * inside another, so that one search by halves says whether an address is inside.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_MESH_COVER_H
#define VELD_CONTROL_MESH_COVER_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>

/* Make a cover of these, masked, in their place. Returns how many are left. */
size_t veld_cover_make(struct veld_prefix *prefixes, size_t n);
bool veld_cover_has(const struct veld_prefix *cover, size_t n, const struct veld_ip *ip);

#endif
