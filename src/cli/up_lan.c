#include "cli/up_lan.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/paths.h"
#include "cli/client.h"
#include "cli/coord/machine.h"
#include "cli/coord/wish.h"
#include "cli/launch.h"
#include "cli/pending.h"
#include "crypto/primitives.h"
#include "crypto/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX   65536
#define LOOK_MAX_S 3 /* devices answer within a second or so */
#define POLL_US    100000
#define WHAT       "network secret"
#define FIRST_TEXT                                                                             \
    "# LAN mode, as `veld up --lan` was told. Yours to edit: see veld-config(5).\n"            \
    "[mdns]\n"                                                                                 \
    "enabled = true\n"

static int find_file(const char *state_dir, char out[PATH_MAX])
{
    char dir[PATH_MAX];
    int rc = veld_path_state_dir(state_dir, dir);
    if (rc < 0)
        return rc;
    int n = snprintf(out, PATH_MAX, "%s/lan.toml", dir);
    return n > 0 && n < PATH_MAX ? 0 : VELD_E_RANGE;
}

bool veld_up_lan_is_kept(const char *state_dir)
{
    char path[PATH_MAX];
    return find_file(state_dir, path) == 0 && access(path, F_OK) == 0;
}

bool veld_up_lan_is(const char *state_dir, const char *config)
{
    char path[PATH_MAX], real[PATH_MAX];
    return find_file(state_dir, path) == 0 && realpath(path, real) && strcmp(real, config) == 0;
}

/* ---- The file ---- */

/* The line sets `key`. */
static bool sets(const char *line, const char *key)
{
    size_t n = strlen(key);
    line += strspn(line, " \t");
    return strncmp(line, key, n) == 0 && line[n + strspn(line + n, " \t")] == '=';
}

char *veld_up_lan_with(const char *text, const char *key, const char *value)
{
    char *out = NULL;
    size_t size;
    bool done = false, at_top = true;
    FILE *f = open_memstream(&out, &size);
    if (!f)
        return NULL;
    while (*text) {
        size_t len = strcspn(text, "\n");
        at_top = at_top && text[strspn(text, " \t")] != '[';
        if (!at_top && !done) {
            fprintf(f, "%s = %s\n", key, value);
            done = true;
        }
        if (at_top && sets(text, key)) {
            fprintf(f, "%s = %s\n", key, value);
            done = true;
        } else {
            fprintf(f, "%.*s\n", (int)len, text);
        }
        text += len + (text[len] == '\n');
    }
    if (!done)
        fprintf(f, "%s = %s\n", key, value);
    return fclose(f) == 0 ? out : (free(out), NULL);
}

/* A string of TOML. VELD_E_FORMAT: it has control characters. */
static int quote(const char *text, char *out, size_t size)
{
    size_t n = 0;
    if (n < size)
        out[n++] = '"';
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return VELD_E_FORMAT;
        if ((*text == '"' || *text == '\\') && n < size)
            out[n++] = '\\';
        if (n < size)
            out[n++] = *text;
    }
    if (n + 2 > size)
        return VELD_E_FORMAT;
    strcpy(out + n, "\"");
    return 0;
}

/* `*text` becomes another. */
static int set(char **text, const char *key, const char *value, struct veld_diag *diag)
{
    char quoted[2 * PATH_MAX];
    if (!value)
        return 0;
    if (strcmp(key, "mtu") != 0 && quote(value, quoted, sizeof quoted) < 0)
        return veld_fail(diag, VELD_E_FORMAT, "%s: there are control characters in it", key);
    char *next = veld_up_lan_with(*text, key, strcmp(key, "mtu") == 0 ? value : quoted);
    free(*text);
    *text = next;
    return next ? 0 : veld_fail(diag, VELD_E_NOMEM, "out of memory");
}

static int read_text(const char *path, char **out, struct veld_diag *diag)
{
    size_t len;
    *out = malloc(FILE_MAX);
    if (!*out)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    int rc = veld_file_read(path, *out, FILE_MAX, &len);
    if (rc == VELD_E_NOENT) {
        strcpy(*out, FIRST_TEXT);
        return 0;
    }
    return rc < 0 ? veld_fail(diag, rc, "cannot read %s: %s", path,
                              rc == VELD_E_RANGE ? "it is too long" : strerror(errno))
                  : 0;
}

/* What was told goes into the file; the rest of it stays as it is. */
static int keep(const struct veld_up_lan *r, const char *secret_file, const char *path,
                struct veld_diag *diag)
{
    char *text, name[VELD_LABEL_MAX + 1];
    int rc = read_text(path, &text, diag);
    if (rc == 0 && r->name && (rc = veld_label_typed(r->name, "machine", name, diag)) == 0)
        rc = set(&text, "name", name, diag);
    if (rc == 0)
        rc = set(&text, "network_secret_file", secret_file, diag);
    if (rc == 0)
        rc = set(&text, "listen_addr", r->listen, diag);
    if (rc == 0)
        rc = set(&text, "interface", r->interface, diag);
    if (rc == 0)
        rc = set(&text, "mtu", r->mtu, diag);
    if (rc == 0 && veld_file_replace(path, text, strlen(text), 0600) < 0)
        rc = veld_fail(diag, VELD_E_IO, "cannot write %s: %s", path, strerror(errno));
    free(text);
    return rc;
}

/* ---- The secret ---- */

static int make_secret(const char *path, struct veld_diag *diag)
{
    uint8_t secret[32];
    veld_random(secret, sizeof secret);
    int rc = veld_secret_file_create(path, WHAT, secret, diag);
    veld_wipe(secret, sizeof secret);
    if (rc == 0)
        printf("made %s: copy it to the others, and let nobody else read it\n", path);
    return rc;
}

/* Where it is from anywhere; it can be read, or is made now. */
static int prepare_secret(const char *typed, char out[PATH_MAX], struct veld_diag *diag)
{
    uint8_t secret[32];
    int rc = 0;
    if (access(typed, F_OK) < 0 && errno == ENOENT)
        rc = make_secret(typed, diag);
    if (rc == 0)
        rc = veld_secret_file_read(typed, WHAT, "veld up --lan --secret-file FILE", secret,
                                   diag);
    veld_wipe(secret, sizeof secret);
    if (rc == 0 && !realpath(typed, out))
        rc = veld_fail(diag, VELD_E_IO, "cannot find %s: %s", typed, strerror(errno));
    return rc;
}

/* ---- Up ---- */

static struct veld_wish wish_of(const struct veld_up_lan *r)
{
    return (struct veld_wish){.listen = r->listen, .interface = r->interface, .mtu = r->mtu};
}

int veld_up_lan_check(const struct veld_up_lan *r, struct veld_diag *diag)
{
    char name[VELD_LABEL_MAX + 1];
    const struct veld_wish wish = wish_of(r);
    int rc = r->name ? veld_label_typed(r->name, "machine", name, diag) : 0;
    return rc < 0 ? rc : veld_wish_check(&wish, diag);
}

static json_int_t count_at(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

void veld_up_lan_tell(const json_t *status, const char *secret_file)
{
    const json_t *lan = json_object_get(status, "lan");
    json_int_t members = count_at(lan, "members");
    if (json_is_true(json_object_get(lan, "secret"))) {
        const char *file = secret_file ? secret_file : "FILE";
        printf("on each other machine, with a copy of the secret: sudo veld up --lan "
               "--secret-file %s\n",
               file);
    } else {
        puts("on each other machine: sudo veld up --lan");
    }
    printf("members found so far: %lld (see: veld status)\n", (long long)members);
    (void)!veld_pending_print(json_object_get(lan, "pending"), stdout); /* the rest is said */
}

/* Somebody was found, or nobody within some seconds. */
static int look_round(const char *socket, json_t **status, struct veld_diag *diag)
{
    struct veld_progress progress = veld_progress_begin("looking for others on this LAN");
    uint64_t end = progress.start_ns + LOOK_MAX_S * VELD_NS_PER_S;
    int rc = veld_client_call(socket, "/v1/status", NULL, status, diag);
    while (rc == 0 && veld_clock_mono_ns() < end) {
        const json_t *lan = json_object_get(*status, "lan");
        if (count_at(lan, "members") > 0 ||
            json_array_size(json_object_get(lan, "pending")) > 0)
            break;
        usleep(POLL_US);
        veld_progress_tick(&progress);
        json_decref(*status);
        rc = veld_client_call(socket, "/v1/status", NULL, status, diag);
    }
    veld_progress_end(&progress);
    return rc;
}

static int prepare(const struct veld_up_lan *r, char path[PATH_MAX], char secret[PATH_MAX],
                   struct veld_diag *diag)
{
    struct veld_machine machine;
    int rc = veld_up_check_rights(diag);
    if (rc == 0 && (rc = veld_crypto_init()) < 0)
        return veld_fail(diag, rc, "libsodium does not work here");
    if (rc < 0 || (rc = veld_machine_open(&machine, r->up.state_dir, diag)) < 0)
        return rc;
    if (find_file(r->up.state_dir, path) < 0)
        rc = veld_fail(diag, VELD_E_RANGE, "the state directory's name is too long");
    if (rc == 0 && r->secret_file)
        rc = prepare_secret(r->secret_file, secret, diag);
    if (rc == 0)
        rc = keep(r, r->secret_file ? secret : NULL, path, diag);
    veld_machine_close(&machine);
    return rc;
}

int veld_up_lan(const struct veld_up_lan *r)
{
    struct veld_diag diag;
    char path[PATH_MAX], secret[PATH_MAX];
    json_t *status;
    if (prepare(r, path, secret, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    struct veld_up up = r->up;
    up.config = path;
    int rc = veld_up_start(&up);
    if (rc != VELD_CLI_DONE)
        return rc;
    if (look_round(up.socket, &status, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    veld_up_lan_tell(status, r->secret_file ? secret : NULL);
    json_decref(status);
    return VELD_CLI_DONE;
}
