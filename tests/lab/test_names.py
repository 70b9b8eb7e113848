"""Names: the stub answers for .veld and refuses the rest; the resolver is put in
place, and undone also after a crash."""
import pytest

RESOLV = "/etc/resolv.conf"


def nameservers(machine):
    return [line.split()[1] for line in machine.read(RESOLV).splitlines()
            if line.startswith("nameserver")]


def dig(machine, *words, server=None):
    server = server or nameservers(machine)[0]
    return machine.run("dig", f"@{server}", "+tries=1", "+time=2", *words).stdout


@pytest.mark.parametrize("question, answer", [
    (["machine-b.veld", "A"], "10.0.0.2"),
    (["machine-b.veld", "AAAA"], "fd0a::2"),
    (["MACHINE-B.Veld", "A"], "10.0.0.2"),
    (["machine-a.veld", "A"], "10.0.0.1"),
    (["-x", "10.0.0.2"], "machine-b.veld."),
    (["-x", "fd0a::2"], "machine-b.veld."),
    (["+tcp", "machine-b.veld", "A"], "10.0.0.2"),
    (["+noedns", "machine-b.veld", "A"], "10.0.0.2"),
])
def test_answers(up, question, answer):
    assert dig(up.a, "+short", *question).strip() == answer


def test_each_other_name_is_refused_never_denied(up):
    for name in ("example.com", "veld.example.com", ".", "notveld", "4.3.2.1.in-addr.arpa"):
        assert "status: REFUSED" in dig(up.a, name, "A"), name
    assert "status: REFUSED" in dig(up.a, "-x", "8.8.8.8")


def test_unknown_name_of_ours_does_not_exist(up):
    assert "status: NXDOMAIN" in dig(up.a, "nobody.veld", "A")
    empty = dig(up.a, "machine-b.veld", "MX")
    assert "status: NOERROR" in empty and "ANSWER: 0" in empty


def test_programs_use_it(up):
    assert up.a.run("getent", "ahostsv4", "machine-b.veld").stdout.startswith("10.0.0.2")
    assert up.a.run("getent", "hosts", "10.0.0.2").stdout.split()[1] == "machine-b.veld"


def test_resolver_is_put_in_place_and_undone(pair):
    before = pair.a.read(RESOLV)
    pair.start()
    during = nameservers(pair.a)
    assert during[0].startswith("127.") and during[1:] == ["192.0.2.53"]
    pair.a.stop()
    assert pair.a.read(RESOLV) == before


def test_resolver_is_undone_after_a_crash(pair):
    before = pair.a.read(RESOLV)
    pair.start()
    pair.a.daemon.kill()
    assert pair.a.read(RESOLV) != before
    pair.a.start()
    assert nameservers(pair.a).count("192.0.2.53") == 1 and len(nameservers(pair.a)) == 2
    pair.a.stop()
    assert pair.a.read(RESOLV) == before


def test_a_resolver_that_another_changed_stays_theirs(pair):
    pair.start()
    pair.a.sh(f"echo nameserver 192.0.2.99 >{RESOLV}")
    pair.a.stop()
    assert nameservers(pair.a) == ["192.0.2.99"]
    pair.a.sh(f"printf '# resolver of machine-a\\nnameserver 192.0.2.53\\n' >{RESOLV}")


def test_off_leaves_all_alone(pair):
    before = pair.a.read(RESOLV)
    pair.start(a=pair.config(pair.a, dns={"mode": "off"}))
    assert pair.a.read(RESOLV) == before
    assert "machine-b" in pair.a.veld("status").stdout
