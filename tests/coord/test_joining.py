"""Ways in: tokens, and requests that somebody approves."""
import time

from client import Key, Member, Network, pb, refusal


# ---- Tokens ----

def test_a_token_lets_one_in_once(coord, net):
    token = net.token(uses=1)
    first = net.member("first", by=token)
    assert coord.join(first).published
    assert coord.join(first).published, "the same member comes again"
    with refusal("RESOURCE_EXHAUSTED") as why:
        coord.join(net.member("second", by=token))
    assert "used up" in why.text and "veld token create" in why.text


def test_a_token_for_any_number(coord, net):
    token = net.token(uses=0)
    for i in range(5):
        coord.join(net.member(f"machine-{i}", by=token))


def test_an_expired_token_is_told(coord, net):
    now = int(time.time())
    token = net.token(created=now - 3600, expires=now - 60)
    with refusal("PERMISSION_DENIED") as why:
        coord.join(net.member("late", by=token, not_before=now - 120))
    assert "expired" in why.text and "veld token create" in why.text
    with refusal("PERMISSION_DENIED"):
        coord.join(net.member("later", by=token, not_before=now))


def test_a_token_gives_no_more_than_it_has(coord, net):
    from client import ADMIN
    from trusting import prefix
    token = net.token(uses=0)
    with refusal("PERMISSION_DENIED"):
        coord.join(net.member("as-admin", by=token, flags=ADMIN))
    with refusal("PERMISSION_DENIED"):
        coord.join(net.member("as-router", by=token, routes=[prefix("192.168.7.0/24")]))


def test_a_token_by_an_admin(coord, net):
    admin = net.admin("admin")
    coord.join(admin)
    token = net.token(by=admin)
    assert coord.join(net.member("newcomer", by=token)).published


def test_a_revoked_token_lets_nobody_in(coord, net):
    token = net.token(uses=0)
    coord.join(net.member("before", by=token))
    coord.publish_revocations(net, net.revocations([token.key.public]))
    with refusal("PERMISSION_DENIED"):
        coord.join(net.member("after", by=token))


def test_of_a_thousand_uses_at_once_of_a_one_use_token_one_wins(shared, net):
    token = net.token(uses=1)
    clients = [shared.client() for _ in range(8)]
    calls = []
    for i in range(1000):
        member, client = net.member(f"racer-{i}", by=token), clients[i % len(clients)]
        body = member.register().SerializeToString()
        calls.append(client.channel.unary_unary("/veld.coord.v1.Coord/RegisterMember").future(
            body, metadata=client.signed("RegisterMember", member.key, body), timeout=60))
    codes = [call.code().name for call in calls]
    assert codes.count("OK") == 1
    assert codes.count("RESOURCE_EXHAUSTED") == 999
    for client in clients:
        client.close()
        shared.clients.remove(client)


# ---- Approval ----

def test_a_request_waits_and_is_approved(coord, net):
    asks = Member(net, Key(), "newcomer", net.chain(Key(), "unused"))
    assert coord.request_join(asks).state == pb.RequestJoinReply.STATE_WAITING
    waiting = coord.joins(net)
    assert [r.signer for r in waiting] == [asks.key.public]
    with refusal("PERMISSION_DENIED"):
        coord.page(asks)
    chain = net.chain(asks.key, "newcomer")
    coord.answer_join(net, asks, chain)
    reply = coord.request_join(asks)
    assert reply.state == pb.RequestJoinReply.STATE_APPROVED and reply.chain == chain
    assert list(coord.joins(net)) == []
    member = Member(net, asks.key, "newcomer", reply.chain)
    assert coord.join(member).published


def test_a_request_is_refused(coord, net):
    asks = Member(net, Key(), "unwanted", net.chain(Key(), "unused"))
    coord.request_join(asks)
    coord.answer_join(net, asks)
    assert coord.request_join(asks).state == pb.RequestJoinReply.STATE_REFUSED
    assert list(coord.joins(net)) == []


def test_an_answer_must_let_in_who_asked(coord, net):
    asks = Member(net, Key(), "newcomer", net.chain(Key(), "unused"))
    coord.request_join(asks)
    for wrong in (net.chain(Key(), "newcomer"), Network(net.name).chain(asks.key, "newcomer")):
        with refusal() as why:
            coord.answer_join(net, asks, wrong)
        assert why.code in ("INVALID_ARGUMENT", "PERMISSION_DENIED")
    assert coord.request_join(asks).state == pb.RequestJoinReply.STATE_WAITING


def test_a_request_is_by_the_device_itself(coord, net):
    asks = Member(net, Key(), "newcomer", net.chain(Key(), "unused"))
    with refusal() as why:
        coord.call("RequestJoin", pb.RequestJoinRequest(request=asks.join_request()), Key())
    assert why.code in ("PERMISSION_DENIED", "INVALID_ARGUMENT")


def test_requests_of_an_address_are_bounded(coord, net):
    for i in range(32):
        asks = Member(net, Key(), f"newcomer-{i}", net.chain(Key(), "unused"))
        coord.request_join(asks)
    with refusal("RESOURCE_EXHAUSTED"):
        coord.request_join(Member(net, Key(), "one-more", net.chain(Key(), "unused")))
    assert len(coord.joins(net)) == 32
