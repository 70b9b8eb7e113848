"""Networks and their members: what a mesh asks of its server every day."""
import time

from client import SERVICE, Key, Network, pb, refusal, trust


def test_create_and_look_up(coord, net):
    stranger = Key()
    assert coord.lookup(stranger, name=net.name) == net.signed
    assert coord.lookup(stranger, network_id=net.id) == net.signed
    with refusal("NOT_FOUND"):
        coord.lookup(stranger, name="no-such-net")


def test_a_name_is_its_first_owners(coord):
    coord.create(Network("first-net"))
    with refusal("ALREADY_EXISTS") as why:
        coord.create(Network("first-net"))
    assert "first-net" in why.text


def test_register_and_list(coord, net):
    members = [net.member(f"machine-{i}") for i in range(5)]
    addresses = {coord.join(m).ipv4 for m in members}
    assert len(addresses) == 5
    for limit in (0, 1, 2):
        peers = coord.peers(members[0], limit)
        assert set(peers) == {m.key.public for m in members}
        names = {trust.Record.FromString(m.peer.record.body).name for m in peers.values()}
        assert names == {m.name for m in members}


def test_an_address_stays(coord, net):
    one = net.member("one")
    lease = coord.register(one)
    assert lease.ipv4[:2] == bytes([10, 100]) and not lease.published
    assert coord.register(one).ipv4 == lease.ipv4
    assert coord.register(net.member("two")).ipv4 != lease.ipv4
    assert coord.register(one, lease.ipv4).published


def test_join_reaches_watchers_within_a_second(coord, net):
    first, second = net.member("first"), net.member("second")
    coord.join(first)
    with coord.watch(first) as watch:
        watch.synced()
        began = time.monotonic()
        coord.join(second)
        event = watch.until(lambda e: any(
            trust.Record.FromString(m.peer.record.body).member == second.key.public
            for m in e.members))
        assert time.monotonic() - began < 1
        assert event.revision > 0


def test_what_is_told_as_one_is_told_within_a_second(shared, net):
    """To many watchers changes are told at intervals; the last of a burst does not wait for more."""
    clients = [shared.client() for _ in range(6)]
    members = [net.member(f"machine-{i}") for i in range(120)]
    leases = {m.name: clients[0].register(m).ipv4 for m in members}
    watches = [clients[i % 6].watch(m) for i, m in enumerate(members)]
    for watch in watches:
        watch.synced()
    for _ in range(10):
        calls = []
        for i, m in enumerate(members[:60]):
            body = m.register(leases[m.name]).SerializeToString()
            calls.append(clients[i % 6].channel.unary_unary(SERVICE + "RegisterMember").future(
                body, metadata=clients[0].signed("RegisterMember", m.key, body), timeout=10))
        revision = max(pb.RegisterReply.FromString(c.result()).revision for c in calls)
        began = time.monotonic()
        watches[-1].until(lambda e: e.revision >= revision)
        assert time.monotonic() - began < 1
    for watch in watches:
        watch.__exit__()
    for client in clients:
        client.close()
        shared.clients.remove(client)


def test_a_watch_goes_on_from_a_revision(coord, net):
    one, two = net.member("one"), net.member("two")
    coord.join(one)
    with coord.watch(one) as watch:
        seen = watch.synced()[-1].revision
    coord.join(two)
    with coord.watch(one, from_revision=seen) as watch:
        events = watch.synced()
        assert not any(e.reset for e in events)
        told = {trust.Record.FromString(m.peer.record.body).name
                for e in events for m in e.members}
        assert "two" in told


def test_signals_reach_their_receiver(coord, net):
    one, two = net.member("one"), net.member("two")
    coord.join(one)
    coord.join(two)
    with refusal("UNAVAILABLE"):
        coord.signal(one, two.key.public, b"nobody watches")
    with coord.watch(two) as watch:
        watch.synced()
        coord.signal(one, two.key.public, b"sealed")
        event = watch.until(lambda e: e.signals)
        assert list(event.signals) == [pb.Signal(**{"from": one.key.public, "sealed": b"sealed"})]


def test_leave_and_forget(coord, net):
    one, two = net.member("one"), net.member("two")
    coord.join(one)
    coord.join(two)
    with coord.watch(one) as watch:
        watch.synced()
        coord.leave(two, forget=True)
        event = watch.until(lambda e: two.key.public in e.removed)
        assert event
    assert set(coord.peers(one)) == {one.key.public}
