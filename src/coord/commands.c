#include "coord/commands.h"

#include "coord/server_probe.h"
#include "coord/store.h"
#include "coord/tls.h"
#include "crypto/primitives.h"

#include <stdio.h>

#define PROBE_TIMEOUT_MS 3000

static int fail(const struct veld_diag *diag)
{
    fprintf(stderr, "veld-coord: %s\n", diag->text);
    return VELD_COORD_FAILED;
}

static int fingerprint(const struct veld_coord_options *o)
{
    struct veld_diag diag = {""};
    struct veld_store *store;
    struct veld_tls tls;
    char text[VELD_TLS_FINGERPRINT_STRLEN];
    if (veld_store_lmdb_read(&store, o->db, &diag) < 0)
        return fail(&diag);
    int rc = veld_tls_load(&tls, store, &diag);
    store->ops->close(store);
    if (rc < 0)
        return fail(&diag);
    puts(veld_tls_fingerprint(tls.certificate, text));
    veld_tls_clear(&tls);
    return VELD_COORD_DONE;
}

static int backup(const struct veld_coord_options *o)
{
    struct veld_diag diag = {""};
    if (veld_store_lmdb_backup(o->db, o->out, &diag) < 0)
        return fail(&diag);
    printf("backed up %s to %s; serve it with: veld-coord --db %s\n", o->db, o->out, o->out);
    return VELD_COORD_DONE;
}

static int health(const struct veld_coord_options *o)
{
    struct veld_diag diag = {""};
    if (veld_server_probe(o->connect, PROBE_TIMEOUT_MS, &diag) < 0)
        return fail(&diag);
    puts("serving");
    return VELD_COORD_DONE;
}

int veld_coord_command(const struct veld_coord_options *o)
{
    struct veld_diag diag;
    int rc = veld_crypto_init();
    if (rc < 0) {
        veld_fail(&diag, rc, "libsodium does not work here");
        return fail(&diag);
    }
    switch (o->command) {
    case VELD_COORD_FINGERPRINT: return fingerprint(o);
    case VELD_COORD_BACKUP: return backup(o);
    default: return health(o);
    }
}
