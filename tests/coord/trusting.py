"""What members of a network sign, written from proto/veld/trust/v1/trust.proto alone: a second
implementation to hold src/trust against.

A Key is an Ed25519 key pair: an owner's, a device's, a token's. Everything that is made here is a
protobuf message, ready to be sent, or to be spoilt first.
"""
import base64
import hashlib
import hmac
import ipaddress
import os
import time

from nacl.bindings import (crypto_aead_xchacha20poly1305_ietf_decrypt,
                           crypto_aead_xchacha20poly1305_ietf_encrypt, crypto_scalarmult,
                           crypto_sign_ed25519_pk_to_curve25519,
                           crypto_sign_ed25519_sk_to_curve25519)
from nacl.signing import SigningKey

from veld_pb import coord as pb, trust

JOIN_CODE_ROUNDS = 1 << 16
ADMIN, RELAY = trust.FLAG_ADMIN, trust.FLAG_RELAY


def now():
    return int(time.time())


class Key:
    """An Ed25519 key pair."""

    def __init__(self, seed=None):
        self.seed = seed or os.urandom(32)
        self._signing = SigningKey(self.seed)
        self.public = bytes(self._signing.verify_key)

    def sign_bytes(self, data):
        return self._signing.sign(data).signature

    def sign(self, purpose, message):
        """A Signed of `message`, which is a protobuf message or bytes."""
        body = message if isinstance(message, bytes) else message.SerializeToString()
        return trust.Signed(body=body, signer=self.public,
                            signature=self.sign_bytes(purpose.encode() + b"\0" + body))

    def x25519(self):
        return crypto_sign_ed25519_sk_to_curve25519(self.seed + self.public)


def prefix(text):
    """"10.1.0.0/16" as a Prefix."""
    net = ipaddress.ip_network(text)
    return trust.Prefix(address=net.network_address.packed, length=net.prefixlen)


def endpoint(text):
    """"192.0.2.1:5" as an Endpoint."""
    host, port = text.rsplit(":", 1)
    return trust.Endpoint(address=ipaddress.ip_address(host.strip("[]")).packed, port=int(port))


def network_id(owner_public):
    return hashlib.sha256(b"veld network" + owner_public).digest()


def join_code(network, member):
    digest = hashlib.sha256(b"veld join" + network + member).digest()
    for _ in range(JOIN_CODE_ROUNDS - 1):
        digest = hashlib.sha256(digest).digest()
    bits = int.from_bytes(digest[:5], "big")
    text = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[bits >> shift & 31]
                   for shift in range(35, -1, -5))
    return text[:4] + "-" + text[4:]


class Network:
    """A network and its owner's key."""

    def __init__(self, name="mynet", owner=None, ipv4="10.100.0.0/16", created=None):
        self.owner = owner or Key()
        self.name = name
        self.id = network_id(self.owner.public)
        self.body = trust.Network(owner=self.owner.public, name=name, ipv4=prefix(ipv4),
                                  created=created or now())
        self.signed = self.owner.sign("veld network v1", self.body)

    # ---- Memberships ----

    def membership(self, member, name, **fields):
        """The unsigned message."""
        values = dict(network_id=self.id, member=member.public, name=name, not_before=now() - 1,
                      serial=time.time_ns())
        values.update(fields)
        return trust.Membership(**values)

    def chain(self, member, name, by=None, **fields):
        """A Chain that lets `member` in: signed by the owner, or `by` an Admin or a Token."""
        body = self.membership(member, name, **fields)
        signer = by.key if by else self.owner
        chain = trust.Chain(membership=signer.sign("veld membership v1", body))
        if isinstance(by, Token):
            chain.token.CopyFrom(by.signed)
            if by.admin:
                chain.admin.CopyFrom(by.admin)
        elif by:
            chain.admin.CopyFrom(by.chain.membership)
        return chain

    def member(self, name, key=None, by=None, **fields):
        """A new Member, let in."""
        key = key or Key()
        return Member(self, key, name, self.chain(key, name, by=by, **fields))

    def admin(self, name, key=None):
        return self.member(name, key, flags=ADMIN)

    # ---- Tokens and revocations ----

    def token(self, uses=1, by=None, coord="127.0.0.1:50051", certificate=b"", **fields):
        """A Token for a day, signed by the owner or `by` an admin Member."""
        values = dict(uses=uses, created=now() - 1, expires=now() + 86400)
        values.update(fields)
        return Token(self, by, coord, certificate, values)

    def revocations(self, keys, epoch=1, by=None, kept=(), owner_list=None):
        """A RevocationList of `keys`, signed by the owner, or `by` an admin Member beside the
        owner's `owner_list`."""
        body = trust.Revocations(network_id=self.id, epoch=epoch, issued=now())
        for key in sorted(keys):
            body.revoked.add(key=key, kept=sorted(kept))
        if owner_list:
            body.owner_epoch = trust.Revocations.FromString(owner_list.list.body).epoch
        signer = by.key if by else self.owner
        made = trust.RevocationList(list=signer.sign("veld revocations v1", body))
        if by:
            made.admin.CopyFrom(by.chain.membership)
        if owner_list:
            made.owner_list.CopyFrom(owner_list.list)
        return made


class Token:
    """A join token: its key, what was signed about it, and its text."""

    def __init__(self, network, by, coord, certificate, fields):
        self.network = network
        self.key = Key()
        self.admin = by.chain.membership if by else None
        body = trust.Token(network_id=network.id, token_key=self.key.public, **fields)
        self.signed = (by.key if by else network.owner).sign("veld token v1", body)
        message = trust.TokenText(coord=coord, certificate=certificate, network=network.name,
                                  seed=self.key.seed, token=self.signed)
        if by:
            message.admin.CopyFrom(self.admin)
        raw = base64.urlsafe_b64encode(message.SerializeToString()).rstrip(b"=")
        self.text = "veld1" + raw.decode()


class Member:
    """A device in a network: its key and the chain that lets it in."""

    def __init__(self, network, key, name, chain):
        self.network, self.key, self.name, self.chain = network, key, name, chain
        self.serial = trust.Membership.FromString(chain.membership.body).serial
        self.sequence = time.time_ns()

    def record(self, ipv4=b"", endpoints=("192.0.2.1:51820",), **fields):
        """A Signed record; each is newer than the one before."""
        self.sequence += 1
        values = dict(network_id=self.network.id, member=self.key.public, name=self.name, ipv4=ipv4,
                      endpoints=[endpoint(e) for e in endpoints], sequence=self.sequence,
                      serial=self.serial)
        values.update(fields)
        return self.key.sign("veld record v1", trust.Record(**values))

    def join_request(self):
        return self.key.sign("veld join request v1", trust.JoinRequest(
            network_id=self.network.id, member=self.key.public, name=self.name, created=now()))

    def register(self, ipv4=b"", want=b"", **fields):
        """A RegisterRequest; without an address, one that proves and leases only."""
        request = pb.RegisterRequest(network_id=self.network.id, chain=self.chain, want_ipv4=want)
        if ipv4:
            request.record.CopyFrom(self.record(ipv4, **fields))
        return request

    # ---- Signals ----

    def _signal_key(self, other, sender, receiver):
        shared = crypto_scalarmult(self.key.x25519(), crypto_sign_ed25519_pk_to_curve25519(other))
        info = b"veld signal v1\0" + self.network.id + sender + receiver
        prk = hmac.digest(bytes(32), shared, "sha256")
        return hmac.digest(prk, info + b"\1", "sha256")

    def seal(self, to, message):
        """The bytes of a trust.Signal for the member `to`."""
        nonce = os.urandom(24)
        key = self._signal_key(to, self.key.public, to)
        return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(
            message.SerializeToString(), b"", nonce, key)

    def open(self, sender, sealed):
        key = self._signal_key(sender, sender, self.key.public)
        return trust.Signal.FromString(crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[24:], b"", sealed[:24], key))
