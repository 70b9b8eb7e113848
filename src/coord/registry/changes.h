/*
 * A network's list of changes: what there is, in the order of its last change.
 * "All that changed after revision R" is a walk from R to the end: nothing can
 * be lost on it, and what changed twice is met once.
 *
 * A sorted array: a change is put at the end, and leaves a hole where it was
 * before, so that a position is found by halving. Holes are taken out by tidy.
 *
 * Invariant: revisions grow from one place to the next. Between a take_out and
 * its put_back there is no tidy. Owns nothing of what it lists.
 * Thread: the server's loop.
 */
#ifndef VELD_COORD_REGISTRY_CHANGES_H
#define VELD_COORD_REGISTRY_CHANGES_H

#include <stddef.h>
#include <stdint.h>

struct veld_change {
    uint64_t revision;
    void *what; /* NULL: a hole */
};
/* Zeroed: empty. */
struct veld_changes {
    struct veld_change *at;
    size_t n, room, holes;
};
void veld_changes_clear(struct veld_changes *c);

/* `revision` is greater than all before. */
void veld_changes_append(struct veld_changes *c, uint64_t revision, void *what);
/* Make the place of `revision` a hole, and fill it again. */
void veld_changes_take_out(struct veld_changes *c, uint64_t revision);
void veld_changes_put_back(struct veld_changes *c, uint64_t revision, void *what);
/* Undo the last append. */
void veld_changes_pop(struct veld_changes *c);
/* Take holes out when they are more than half. */
void veld_changes_tidy(struct veld_changes *c);

/* The first place after `revision`; c->n when there is none. Holes are to be passed over. */
size_t veld_changes_after(const struct veld_changes *c, uint64_t revision);
/* How many there are, holes aside. */
size_t veld_changes_count(const struct veld_changes *c);

#endif
