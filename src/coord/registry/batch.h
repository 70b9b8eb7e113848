/*
 * What happens between two commits, as one: the store's batch, and beside it
 * what is to be done in memory when it became durable, or undone when not.
 *
 * Invariant: after a commit that failed, memory and store are as they were at the
 * commit before. Each change of the registry is made at once, so that the next call
 * of the same turn sees it, and noted here with its way back.
 *
 * Order of calls: new, ((put | note)* commit)*, free. Thread: the server's loop.
 */
#ifndef VELD_COORD_REGISTRY_BATCH_H
#define VELD_COORD_REGISTRY_BATCH_H

#include "coord/store.h"

#include <stdbool.h>

struct veld_batch;

struct veld_batch *veld_batch_new(struct veld_store *store); /* `store` is borrowed */
void veld_batch_free(struct veld_batch *b); /* NULL is allowed; undoes what was not committed */

/* `value` NULL: remove. A failure is told by the commit. */
void veld_batch_put(struct veld_batch *b, const void *key, size_t key_len, const void *value,
                    size_t value_len);
/*
 * One of the two will be called with `what`: `keep` after the batch became
 * durable, in the order of the notes, or `undo` when it did not, in reverse. It
 * frees what belongs to the note. Either may be NULL. Neither may put or note.
 */
typedef void veld_batch_fn(void *what);
void veld_batch_note(struct veld_batch *b, void *what, veld_batch_fn *keep,
                     veld_batch_fn *undo);

/* Is there anything since the last commit? */
bool veld_batch_is_open(const struct veld_batch *b);
VELD_MUST_USE int veld_batch_commit(struct veld_batch *b, struct veld_diag *diag);

#endif
