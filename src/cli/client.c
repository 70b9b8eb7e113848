#include "cli/client.h"

#include "base/paths.h"
#include "cli/cli.h"
#include "cli/launch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer {
    char *text;
    size_t len, room;
};

static size_t on_data(char *data, size_t one, size_t n, void *ctx)
{
    struct answer *a = ctx;
    if (n > VELD_CLIENT_ANSWER_MAX - a->len)
        return 0; /* ends the transfer */
    if (a->len + n > a->room) {
        size_t room = (a->len + n) * 2;
        char *text = realloc(a->text, room);
        if (!text)
            return 0;
        a->text = text;
        a->room = room;
    }
    memcpy(a->text + a->len, data, n);
    a->len += n;
    return n;
}

/* About once a second while nothing comes. */
static int on_progress(void *ctx, curl_off_t to_get, curl_off_t got, curl_off_t to_put,
                       curl_off_t put)
{
    (void)to_get, (void)got, (void)to_put, (void)put;
    veld_progress_tick(ctx);
    return 0;
}

static int fail_transfer(CURL *curl, CURLcode rc, const char *socket, struct veld_diag *diag)
{
    long os_errno = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
    bool other = strcmp(socket, VELD_DEFAULT_SOCKET) != 0;
    if (rc == CURLE_COULDNT_CONNECT && (os_errno == ENOENT || os_errno == ECONNREFUSED))
        return veld_fail(diag, VELD_E_NOENT,
                         "veld is not running (nobody listens on %s); start it with: sudo "
                         "veld%s%s up",
                         socket, other ? " --socket " : "", other ? socket : "");
    if (rc == CURLE_COULDNT_CONNECT && (os_errno == EACCES || os_errno == EPERM))
        return veld_fail(diag, VELD_E_PERM,
                         "permission denied on %s; next: sudo veld%s%s %s, or join group veld",
                         socket, other ? " --socket " : "", other ? socket : "",
                         veld_cli_running());
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return veld_fail(diag, VELD_E_LIMIT, "veld-daemon does not answer on %s; see its log",
                         socket);
    return veld_fail(diag, VELD_E_IO, "cannot talk to veld-daemon on %s: %s", socket,
                     rc == CURLE_COULDNT_CONNECT && os_errno ? strerror((int)os_errno)
                                                             : curl_easy_strerror(rc));
}

static int read_answer(const struct answer *a, long status, json_t **out,
                       struct veld_diag *diag)
{
    json_t *json = json_loadb(a->text ? a->text : "", a->len, 0, NULL);
    if (status == 200 && json) {
        *out = json;
        return 0;
    }
    const char *error = json_string_value(json_object_get(json, "error"));
    int rc;
    if (error)
        rc = veld_fail(diag,
                       status == 403   ? VELD_E_PERM
                       : status == 504 ? VELD_E_LIMIT
                                       : VELD_E_STATE,
                       "%s", error);
    else
        rc = veld_fail(diag, VELD_E_FORMAT,
                       "veld-daemon's answer is not understood (HTTP status %ld); are veld and "
                       "veld-daemon of one version?",
                       status);
    json_decref(json);
    return rc;
}

int veld_client_call(const char *socket, const char *url, const char *body, json_t **out,
                     struct veld_diag *diag)
{
    char full[128];
    snprintf(full, sizeof full, "http://veld%s", url);
    CURL *curl = curl_easy_init();
    if (!curl)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    struct answer answer = {0};
    struct veld_progress progress = veld_progress_begin("waiting for an answer");
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, full);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)VELD_CLIENT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &progress);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode transfer = curl_easy_perform(curl);
    veld_progress_end(&progress);
    int rc;
    if (transfer == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        rc = read_answer(&answer, status, out, diag);
    } else {
        rc = fail_transfer(curl, transfer, socket, diag);
    }
    free(answer.text);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return rc;
}

const char *veld_json_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "-";
}
