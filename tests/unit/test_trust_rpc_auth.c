#include "trust/rpc_auth.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
}

TestSuite(trust_rpc_auth, .init = init, .timeout = 60);

Test(trust_rpc_auth, is_verified)
{
    struct veld_identity *id = test_trust_identity(1);
    struct veld_rpc_auth a = {.time_ns = 5, .nonce = {1}}, out;
    uint8_t auth[VELD_RPC_AUTH_MAX], certificate[32] = {7};
    memcpy(a.key, id->pub, 32);
    size_t len =
        veld_rpc_sign(auth, id->seed, &a, "/veld.coord.v1.Coord/Leave", certificate, "body", 4);
    cr_assert_eq(
        veld_rpc_verify(auth, len, "/veld.coord.v1.Coord/Leave", certificate, "body", 4, &out),
        0);
    cr_assert_eq(
        veld_rpc_verify(auth, len, "/veld.coord.v1.Coord/Leave", certificate, "bodY", 4, &out),
        VELD_E_AUTH);
    veld_identity_free(id);
}
