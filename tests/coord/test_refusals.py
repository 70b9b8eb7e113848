"""What the server must not do, and that it says why."""
import time

import grpc
import pytest

from client import ADMIN, Key, Network, auth, pb, refusal, trust

MIB = 1 << 20


def varint(n):
    """A protobuf varint."""
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


# ---- Who calls ----

def test_a_call_needs_a_signature(coord, net):
    with refusal("UNAUTHENTICATED") as why:
        coord.call("LookupNetwork", pb.LookupNetworkRequest(name=net.name))
    assert "veld-auth-bin" in why.text


@pytest.mark.parametrize("spoil", ["signature", "body", "method", "certificate", "key"])
def test_a_signature_is_over_the_whole_call(coord, net, spoil):
    key = Key()
    body = pb.LookupNetworkRequest(name=net.name).SerializeToString()
    made = pb.Auth.FromString(auth(
        key, "GetRevocations" if spoil == "method" else "LookupNetwork",
        bytes(32) if spoil == "certificate" else coord.certificate,
        b"other" if spoil == "body" else body))
    if spoil == "signature":
        made.signature = made.signature[:-1] + bytes([made.signature[-1] ^ 1])
    if spoil == "key":
        made.key = Key().public
    with refusal("UNAUTHENTICATED") as why:
        coord.raw("LookupNetwork", body, [("veld-auth-bin", made.SerializeToString())])
    assert "signature" in why.text


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 100, b"\x0a\x20" + bytes(31), b"\0" * 1500])
def test_a_malformed_auth_is_refused(coord, garbage):
    with refusal("UNAUTHENTICATED"):
        coord.raw("GetRevocations", b"", [("veld-auth-bin", garbage)])


def test_a_replayed_call_is_refused(coord, net):
    member = net.member("laptop")
    body = member.register().SerializeToString()
    metadata = coord.signed("RegisterMember", member.key, body)
    coord.raw("RegisterMember", body, metadata)
    with refusal("UNAUTHENTICATED") as why:
        coord.raw("RegisterMember", body, metadata)
    assert "made before" in why.text


@pytest.mark.parametrize("ahead_s,word", [(3600, "ahead"), (-3600, "behind")])
def test_a_wrong_clock_is_told_plainly(coord, net, ahead_s, word):
    with refusal("UNAUTHENTICATED") as why:
        coord.call("LookupNetwork", pb.LookupNetworkRequest(name=net.name), Key(),
                   time_ns=time.time_ns() + ahead_s * 10**9)
    assert word in why.text and "clock" in why.text and "UTC" in why.text


def test_clocks_a_minute_apart_are_fine(coord, net):
    for ahead_s in (60, -60):
        coord.call("LookupNetwork", pb.LookupNetworkRequest(name=net.name), Key(),
                   time_ns=time.time_ns() + ahead_s * 10**9)


# ---- Who may ----

def test_another_s_key_cannot_be_registered(coord, net):
    victim, thief = net.member("victim"), Key()
    with refusal("PERMISSION_DENIED"):
        coord.register(victim, key=thief)
    assert not coord.register(victim).published


def test_a_membership_must_be_the_owner_s(coord, net):
    stranger = Network(net.name)  # the same name, another owner
    member = stranger.member("intruder")
    member.network = net
    with refusal("PERMISSION_DENIED"):
        coord.register(member)
    by_itself = net.member("self-made")
    by_itself.chain.membership.CopyFrom(
        by_itself.key.sign("veld membership v1", net.membership(by_itself.key, "self-made")))
    with refusal("PERMISSION_DENIED"):
        coord.register(by_itself)


def test_nobody_watches_for_another(coord, net):
    member = net.member("member")
    coord.join(member)
    watch = coord.watch(member, key=Key())
    code, _ = watch.end()
    assert code == "PERMISSION_DENIED"


def test_a_member_of_one_network_is_none_of_another(coord, net):
    other = Network("elsewhere")
    coord.create(other)
    here, there = net.member("here"), other.member("there")
    coord.join(here)
    coord.join(there)
    there.network = net
    with refusal("PERMISSION_DENIED"):
        coord.page(there)
    with refusal("PERMISSION_DENIED"):
        coord.signal(there, here.key.public, b"x")
    assert coord.watch(there).end()[0] == "PERMISSION_DENIED"


def test_signals_come_to_their_receiver_alone(coord, net):
    one, two, three = [net.member(n) for n in ("one", "two", "three")]
    for m in (one, two, three):
        coord.join(m)
    with coord.watch(two) as to_two, coord.watch(three) as to_three:
        to_two.synced()
        to_three.synced()
        coord.signal(one, two.key.public, b"for two")
        assert to_two.until(lambda e: e.signals).signals[0].sealed == b"for two"
        coord.signal(two, three.key.public, b"for three")
        event = to_three.until(lambda e: e.signals)
        assert [s.sealed for s in event.signals] == [b"for three"]
        assert getattr(event.signals[0], "from") == two.key.public


def test_nobody_leaves_for_another(coord, net):
    one, two = net.member("one"), net.member("two")
    coord.join(one)
    coord.join(two)
    coord.leave(two, forget=True)  # says nothing of one, whoever signs
    with refusal("PERMISSION_DENIED"):
        coord.leave(one, forget=True, key=Key())
    assert set(coord.peers(one)) == {one.key.public}


def test_only_owner_and_admins_answer_joins(coord, net):
    plain, admin = net.member("plain"), net.admin("admin")
    coord.join(plain)
    coord.join(admin)
    for key in (plain.key, Key()):
        with refusal("PERMISSION_DENIED"):
            coord.joins(net, key)
    assert list(coord.joins(net, admin.key)) == []
    assert list(coord.joins(net)) == []


def test_a_name_is_one_member_s(coord, net):
    coord.join(net.member("server1"))
    with refusal("ALREADY_EXISTS") as why:
        coord.join(net.member("server1"))
    assert "server1" in why.text and "--name" in why.text


def test_an_old_record_is_not_taken_back(coord, net):
    member = net.member("moves")
    ipv4 = coord.register(member).ipv4
    old = member.register(ipv4, endpoints=["192.0.2.1:1"])
    coord.call("RegisterMember", member.register(ipv4, endpoints=["192.0.2.2:2"]), member.key)
    with refusal("FAILED_PRECONDITION"):
        coord.call("RegisterMember", old, member.key)


def test_a_revoked_member_is_out(coord, net):
    good, bad = net.member("good"), net.member("bad")
    coord.join(good)
    coord.join(bad)
    with coord.watch(bad) as watch, coord.watch(good) as other:
        watch.synced()
        other.synced()
        coord.publish_revocations(net, net.revocations([bad.key.public]))
        code, text = watch.end()
        assert code == "PERMISSION_DENIED" and "revoked" in text
        assert other.until(lambda e: e.HasField("revocations"))
    with refusal("PERMISSION_DENIED"):
        coord.register(bad)
    assert set(coord.peers(good)) == {good.key.public}
    assert coord.revocations(net, Key()).list.body
    with refusal("FAILED_PRECONDITION"):
        coord.publish_revocations(net, net.revocations([], epoch=1))


def test_an_admin_admits_and_a_member_does_not(coord, net):
    admin, plain = net.admin("admin"), net.member("plain")
    coord.join(admin)
    coord.join(plain)
    coord.join(net.member("by-admin", by=admin))
    with refusal("PERMISSION_DENIED"):
        coord.join(net.member("by-plain", by=plain))
    with refusal("PERMISSION_DENIED"):
        coord.join(net.member("made-admin", by=admin, flags=ADMIN))


# ---- What is sent ----

METHODS = ["CreateNetwork", "LookupNetwork", "RequestJoin", "ListJoins", "AnswerJoin",
           "RegisterMember", "Leave", "ListPeers", "SendSignal", "PublishRevocations",
           "GetRevocations"]
MALFORMED = [b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05abc", b"\x08" + b"\xff" * 11,
             b"\x0b" * 1000]


@pytest.mark.parametrize("method", METHODS + ["Hello"])
def test_malformed_messages_are_refused(coord, method):
    for body in MALFORMED:
        with refusal("INVALID_ARGUMENT"):
            coord.raw(method, body, coord.signed(method, Key(), body))


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("CreateNetwork", "RequestJoin")])
def test_ids_of_another_size_are_refused(coord, method):
    for network_id in (b"", bytes(31), bytes(33), bytes(60000)):
        request = getattr(pb, "RegisterRequest" if method == "RegisterMember" else
                          method + "Request")(network_id=network_id)
        with refusal() as why:
            coord.call(method, request, Key())
        # To look nothing up at all is malformed; an id of no network's size is that of none.
        assert why.code == "INVALID_ARGUMENT" or method == "LookupNetwork", why.text


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a" * 64, b"", b"UPPER", b"-a", b"a_b",
                                  "\u00e9".encode(), b"a\0b", b"a" * 60000])
def test_names_are_labels(coord, name):
    net = Network("proper")
    # As bytes, since Python's messages take only proper text. The last of a field counts.
    body = net.body.SerializeToString() + b"\x12" + varint(len(name)) + name
    net.signed = net.owner.sign("veld network v1", body)
    with refusal("INVALID_ARGUMENT"):
        coord.create(net)


def test_a_network_must_be_its_owner_s(coord):
    net = Network("not-mine")
    net.signed = Key().sign("veld network v1", net.body)
    with refusal() as why:
        coord.create(net)
    assert why.code in ("INVALID_ARGUMENT", "PERMISSION_DENIED")


def test_an_unknown_network_is_not_found(coord):
    unknown = Network("unknown")
    with refusal("NOT_FOUND") as why:
        coord.register(unknown.member("lost"))
    assert "network" in why.text


def test_an_unknown_method_is_unimplemented(coord):
    for service, method in [("/veld.coord.v1.Coord/", "Frobnicate"), ("/veld.coord.v1.Coord/", ""),
                            ("/veld.coord.v2.Coord/", "Hello"), ("/", "x" * 2000),
                            ("/grpc.health.v1.Health/", "Watch")]:
        with refusal("UNIMPLEMENTED"):
            coord.raw(method, b"", service=service)


def test_a_watch_is_no_plain_call_and_no_plain_call_a_watch(coord, net):
    member = net.member("member")
    coord.join(member)
    body = pb.ListPeersRequest(network_id=net.id).SerializeToString()
    call = coord.channel.unary_stream("/veld.coord.v1.Coord/ListPeers")
    assert pb.ListPeersReply.FromString(
        next(call(body, metadata=coord.signed("ListPeers", member.key, body)))).members


def test_fields_that_are_not_known_are_passed_over_but_not_without_end(coord):
    """Each costs the server far more than the two bytes that it costs to send."""
    key, unknown = Key(), b"\x78\x00"
    known = pb.GetRevocationsRequest(network_id=bytes(32)).SerializeToString()

    def call(method, body):
        return coord.raw(method, body, coord.signed(method, key, body))

    with refusal("NOT_FOUND"):
        call("GetRevocations", known + unknown * 20)
    for method, n in [("GetRevocations", 480), ("RegisterMember", 30000),
                      ("PublishRevocations", 260000)]:
        with refusal("INVALID_ARGUMENT") as why:
            call(method, known + unknown * n)
        assert "the request is no" in why.text


def test_health_reads_no_more_than_a_name(coord):
    assert coord.health("veld.coord.v1.Coord") == "SERVING"
    with refusal("INVALID_ARGUMENT") as why:
        coord.raw("Check", b"\x78\x00" * 500000, service="/grpc.health.v1.Health/")
    assert "malformed" in why.text


def test_a_message_is_at_most_a_mebibyte(coord):
    with refusal("RESOURCE_EXHAUSTED"):
        coord.raw("Hello", bytes(MIB + 1))
    with refusal("INVALID_ARGUMENT"):
        coord.raw("Hello", bytes(MIB))
    assert coord.hello().protocol == 1


def test_what_is_packed_is_not_unpacked(coord):
    with refusal("UNIMPLEMENTED") as why:
        coord.raw("Hello", bytes(MIB - 100), compression=grpc.Compression.Gzip)
    assert "compressed" in why.text


def test_signals_are_bounded(coord, net):
    one, two = net.member("one"), net.member("two")
    coord.join(one)
    coord.join(two)
    with coord.watch(two) as watch:
        watch.synced()
        coord.signal(one, two.key.public, bytes(2048))
        for sealed in (b"", bytes(2049)):
            with refusal("INVALID_ARGUMENT"):
                coord.signal(one, two.key.public, sealed)


def test_metadata_is_bounded(coord):
    with refusal() as why:
        coord.raw("Hello", b"", [("x-much", "a" * 10000)])
    assert why.code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN")
    assert coord.hello().protocol == 1


def test_records_with_too_much_are_refused(coord, net):
    member = net.member("much")
    ipv4 = coord.register(member).ipv4
    for fields in [dict(endpoints=["192.0.2.1:1"] * 9), dict(name="other"),
                   dict(endpoints=["127.0.0.1:1"]),
                   dict(routes=[trust.Prefix(address=bytes(4), length=0)]),
                   dict(routes=[trust.Prefix(address=bytes([10, 9, 0, 0]), length=16)]),
                   dict(network_id=bytes(32)), dict(member=Key().public)]:
        with refusal() as why:
            coord.register(member, ipv4, **fields)
        assert why.code in ("INVALID_ARGUMENT", "PERMISSION_DENIED"), fields
    assert coord.register(member, ipv4).published


def test_too_many_networks_of_an_address_are_refused(start):
    """By the limits that are there when nobody turns them off."""
    client = start().client()
    made = 0
    with refusal("RESOURCE_EXHAUSTED") as why:
        for i in range(100):
            client.create(Network(f"net-{i}"))
            made += 1
    assert 10 <= made <= 30 and why.text
    assert client.hello().protocol == 1
