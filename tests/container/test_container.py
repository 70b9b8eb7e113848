"""The container as its users run it: from the image's own settings, without privileges, on a
root that cannot be written to.

    server, with the container inside             client
      eth0 1.2.3.1:50051  ----------------------  eth0 1.2.3.4
"""
import re

import pytest

from image import ROOT, Image, why_not
from net import Net, eventually

pytestmark = pytest.mark.skipif(bool(why_not()), reason=str(why_not()))

MEGABYTE = 1024
USER = 65532

# What a container engine does, with what the kernel has: /proc, a /dev with little, /etc/hosts,
# a volume, and a root that is read-only. $1: the image's root, $2: the volume.
ASSEMBLE = r"""
mount --bind "$1" "$1"
mount --bind "$2" "$1/data"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for device in null zero random urandom; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
touch "$1/etc/hosts"
mount --bind /etc/hosts "$1/etc/hosts"
mount -o remount,bind,ro "$1"
"""


@pytest.fixture(scope="module")
def image():
    with Image() as image:
        yield image


class Container:
    def __init__(self, machine, image):
        self.machine, self.image = machine, image
        self.data = machine.dir / "data"
        self.data.mkdir(mode=0o700)
        machine.run("chown", image.config["User"], self.data)
        machine.run("sh", "-ec", ASSEMBLE, "sh", image.root, self.data)
        self.process = None

    def argv(self, *argv):
        """argv by which a container engine would run a command, with no capability at all."""
        user, group = self.image.config["User"].split(":")
        return ["chroot", self.image.root, "setpriv", "--reuid", user, "--regid", group,
                "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs",
                "env", "-i", *self.image.config["Env"], *argv]

    def start(self):
        self.process = self.machine.spawn(
            *self.argv(*self.image.config["Entrypoint"], *self.image.config["Cmd"]))
        eventually(lambda: "listening" in self.process.out() or not self.process.running(),
                   lambda: f"it listens: {self.process.err()}", 15)
        assert self.process.running(), self.process.err()
        return self.fingerprint()

    def stop(self):
        """As `docker stop` does; its exit code."""
        return self.process.stop()

    def run(self, *argv):
        return self.machine.run(*self.argv(*argv), check=False)

    def fingerprint(self):
        return re.search(r"SHA256:\S{43}", self.process.out())[0]

    def health(self):
        """What the image's health check says: (whether it is well, why not)."""
        kind, *argv = self.image.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        done = self.run(*argv)
        return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def two(image):
    with Net() as net:
        server, client = net.machine("server"), net.machine("client")
        net.wire(server, client, ["1.2.3.1/24"], ["1.2.3.4/24"])
        yield Container(server, image), client


def test_the_image_says_how_it_is_run(image):
    config = image.config
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["veld-coord"]
    assert config["Cmd"] == ["--listen", ":50051", "--db", "/data/peers.db"]
    assert list(config["Volumes"]) == ["/data"]
    assert set(config["ExposedPorts"]) == {"50051/tcp", "50051/udp"}
    assert config["Healthcheck"]["Test"] == ["CMD", "veld-coord", "health"]


def test_the_image_has_nothing_that_it_does_not_need(image):
    """Neither compilers, headers and sources, nor what the package manager fetched."""
    assert image.kilobytes() < 160 * MEGABYTE
    for pattern in ("usr/bin/*gcc*", "usr/bin/*g++*", "usr/bin/cc", "usr/bin/ld", "usr/bin/meson",
                    "usr/bin/python3*", "usr/include/*", "veld", "build", "var/lib/apt/lists/*_*",
                    "var/cache/apt/archives/*.deb"):
        assert not list(image.root.glob(pattern)), pattern
    assert (image.root / "usr/share/doc/veld-coord/LICENSE.coord").read_text() == \
        (ROOT / "src/coord/LICENSE").read_text()


def test_it_serves_without_privileges_on_a_root_that_is_read_only(two):
    container, client = two
    pin = container.start()
    status = container.machine.read(f"/proc/{container.process.pid}/status")
    assert re.search(rf"^Uid:\s+{USER}\s+{USER}\s+{USER}\s+{USER}$", status, re.M), status
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^CapBnd:\s+0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert "Read-only file system" in container.machine.run(
        "chroot", container.image.root, "touch", "/usr/bin/x", check=False).stderr
    client.veld("login", "--coord", "1.2.3.1:50051", "--fingerprint", pin)
    wrong = client.veld("login", "--coord", "1.2.3.1:50051", "--fingerprint",
                        "SHA256:" + "A" * 43, check=False)
    assert wrong.returncode != 0
    assert container.stop() == 0


def test_the_health_check_tells_how_it_is(two):
    container, _ = two
    assert not container.health()[0], "it is not started yet"
    container.start()
    well, why = container.health()
    assert well, why
    assert container.stop() == 0
    assert not container.health()[0]


def test_the_volume_keeps_what_there_is_to_keep(two):
    container, client = two
    pin = container.start()
    assert container.stop() == 0
    for file in container.data.iterdir():
        assert file.stat().st_uid == USER and file.stat().st_mode & 0o077 == 0, file
    assert container.start() == pin
    done = container.run("veld-coord", "fingerprint", "--db", "/data/peers.db")
    assert done.stdout.strip() == pin
    client.veld("login", "--coord", "1.2.3.1:50051", "--fingerprint", pin)
    assert container.stop() == 0


def test_compose_takes_every_privilege_away():
    lines = [line.strip() for line in (ROOT / "compose.yaml").read_text().splitlines()]
    for line in ("read_only: true", "cap_drop: [ALL]",
                 'security_opt: ["no-new-privileges:true"]', "- data:/data",
                 'test: ["CMD", "veld-coord", "health"]', "restart: unless-stopped"):
        assert line in lines, line
