/*
 * The undo journal: files outside Veld's own directories that the daemon
 * changes (resolv.conf, forwarding switches) are written down before they are
 * changed, so that a stop, or the next start after a crash, puts them back.
 *
 * Invariant: no foreign file is ever changed before its undo entry is on disk.
 * An entry is put back only while the file still holds what we wrote: if
 * someone else has changed it since, their version stays.
 *
 * On disk: DIR/undo.json, {"version": 1, "changes": [...]}, oldest first, file
 * contents in base64.
 *
 * Order of calls: open (which undoes what a crash left), edit* and insert*,
 * close (which undoes). Control thread.
 */
#ifndef VELD_CONTROL_HOST_JOURNAL_H
#define VELD_CONTROL_HOST_JOURNAL_H

#include "base/err.h"

#include <stddef.h>

#define VELD_JOURNAL_FILE_MAX    65536 /* bytes of a file that is changed */
#define VELD_JOURNAL_CHANGES_MAX 32

struct veld_journal;

/*
 * `dir` is the state directory; the caller holds its lock. Leftovers of a crash
 * are undone and logged; one that cannot be undone now is kept for the next
 * time. A journal that cannot be understood is VELD_E_FORMAT and stays as it
 * is. Free with veld_journal_close.
 */
VELD_MUST_USE int veld_journal_open(struct veld_journal **out, const char *dir,
                                    struct veld_diag *diag);
/*
 * Replace the content of `path` (a file of at most 64 KiB; symbolic links are
 * followed; written in place where a rename is impossible, as on bind mounts
 * and in /proc). Nothing happens when it already holds `content`.
 */
VELD_MUST_USE int veld_journal_edit(struct veld_journal *j, const char *path,
                                    const char *content, size_t len, struct veld_diag *diag);
/*
 * Put `line` (no newline) first in `path`, a text file where `#` begins a
 * comment, under a comment that names this journal's directory. Undoing takes
 * out exactly these two lines wherever they then are, whatever else changed:
 * so several daemons may add to one file and leave in any order. A missing file
 * is made (0644), and removed again if it then is empty.
 */
VELD_MUST_USE int veld_journal_insert(struct veld_journal *j, const char *path,
                                      const char *line, struct veld_diag *diag);
/* Put everything back, newest first, and remove the journal. NULL is allowed. */
void veld_journal_close(struct veld_journal *j);

#endif
