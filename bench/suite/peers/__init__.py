"""All contenders, in the order of the tables. A new peer is a file here and a line below."""
from . import (fastd, from_source, nebula, openvpn, tinc, veld, veth, wireguard_go,
               wireguard_kernel)

ALL = [
    veth.Veth,
    veld.Veld,
    veld.VeldOneWorker,
    veld.VeldPoll,
    veld.VeldNull,
    wireguard_kernel.WireguardKernel,
    wireguard_go.WireguardGo,
    from_source.WireguardGoLatest,
    nebula.Nebula,
    from_source.NebulaLatest,
    tinc.Tinc,
    fastd.Fastd,
    openvpn.Openvpn,
]
BY_NAME = {peer.name: peer for peer in ALL}
# --quick leaves out Veld's variants, and what must be built first.
QUICK = [peer.name for peer in ALL if peer.kind != "variant" and not peer.name.endswith("-latest")]
