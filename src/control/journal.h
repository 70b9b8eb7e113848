/*
 * The undo journal: files outside Veld's own directories that the daemon
 * changes (resolv.conf, forwarding switches) are written down before they are
 * changed, so that a stop, or the next start after a crash, puts them back.
 *
 * Invariant: no foreign file is ever changed before its undo entry is on disk.
 * An entry is put back only while the file still holds what we wrote: if
 * someone else has changed it since, their version stays.
 *
 * Order of calls: open (which undoes what a crash left), edit*, close (which
 * undoes). Control thread.
 */
#ifndef VELD_CONTROL_JOURNAL_H
#define VELD_CONTROL_JOURNAL_H

#include "base/err.h"

#include <stddef.h>

struct veld_journal;

/* `dir` is the state directory. Leftovers of a crash are undone and logged. Free with veld_journal_close. */
VELD_MUST_USE int veld_journal_open(struct veld_journal **out, const char *dir,
                                    struct veld_diag *diag);
/*
 * Replace the content of `path` (a file of at most 64 KiB; symbolic links are
 * followed; written in place where a rename is impossible, as on bind mounts
 * and in /proc). Nothing happens when it already holds `content`.
 */
VELD_MUST_USE int veld_journal_edit(struct veld_journal *j, const char *path,
                                    const char *content, size_t len, struct veld_diag *diag);
/* Put everything back, newest first, and remove the journal. NULL is allowed. */
void veld_journal_close(struct veld_journal *j);

#endif
