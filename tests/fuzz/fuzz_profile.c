/*
 * Any bytes as one of the state directory's JSON files (the first byte says which): they
 * load, or are refused with a sentence that names the file, and what loads holds what
 * others rely on.
 */
#include "profile/server.h"
#include "profile/settings.h"
#include "profile/tokens.h"

#include <stdlib.h>
#include <string.h>

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

#define PATH "/nonexistent/file.json"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(int rc, const struct veld_diag *diag)
{
    REQUIRE(rc == VELD_E_FORMAT || rc == VELD_E_UNSUPPORTED || rc == VELD_E_NOMEM);
    REQUIRE(rc == VELD_E_NOMEM || strncmp(diag->text, PATH, strlen(PATH)) == 0);
}

static void fuzz_server(const uint8_t *p, size_t len)
{
    struct veld_profile_coord c;
    struct veld_diag diag = {.text = ""};
    int rc = veld_profile_coord_parse(PATH, p, len, &c, &diag);
    if (rc < 0) {
        check_refusal(rc, &diag);
        REQUIRE(!c.ca_path && !c.address[0]);
        return;
    }
    REQUIRE(strchr(c.address, ':') && (!c.ca_path || c.ca_path[0] == '/'));
    veld_profile_coord_clear(&c);
}

static void check_routes(const struct veld_prefix *routes, size_t n)
{
    REQUIRE(n <= VELD_MEMBER_ROUTES_MAX);
    for (size_t i = 0; i < n; i++)
        REQUIRE(veld_route_is_valid(&routes[i]));
}

static void fuzz_settings(const uint8_t *p, size_t len)
{
    struct veld_settings s;
    struct veld_diag diag = {.text = ""};
    int rc = veld_settings_parse(PATH, p, len, &s, &diag);
    if (rc < 0) {
        check_refusal(rc, &diag);
        return;
    }
    check_routes(s.routes, s.n_routes);
    REQUIRE(s.interface[0] && !strchr(s.interface, '/') && s.listen.port > 0);
    REQUIRE(s.mtu >= VELD_SETTINGS_MTU_MIN && s.mtu <= VELD_SETTINGS_MTU_LIMIT);
}

static void fuzz_tokens(const uint8_t *p, size_t len)
{
    struct veld_made_token *tokens;
    struct veld_diag diag = {.text = ""};
    size_t n;
    int rc = veld_tokens_parse(PATH, p, len, &tokens, &n, &diag);
    if (rc < 0) {
        check_refusal(rc, &diag);
        REQUIRE(!tokens && n == 0);
        return;
    }
    REQUIRE(n <= VELD_TOKENS_MAX);
    for (size_t i = 0; i < n; i++)
        check_routes(tokens[i].routes, tokens[i].n_routes);
    free(tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0: fuzz_server(data + 1, size - 1); break;
    case 1: fuzz_settings(data + 1, size - 1); break;
    default: fuzz_tokens(data + 1, size - 1); break;
    }
    return 0;
}
