"""wireguard-go and Nebula as they are now, built from their Go modules. Only where there is
a Go toolchain that can fetch modules; skipped elsewhere. The results have the version."""
import os
import shutil
import subprocess

from .base import Peer, Unavailable
from .nebula import Nebula
from .wireguard_go import WireguardGo

BUILD_SECONDS = 600
TRIES = 6  # versions of a module


def find_go():
    """sudo's PATH often lacks it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")


def go(*argv, **environment):
    try:
        return subprocess.run([find_go(), *argv], env={**os.environ, **environment},
                              capture_output=True, text=True, timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"go {' '.join(argv)} took more than {BUILD_SECONDS} s") from None


def candidates(module):
    """Versions to try: the newest, then, as it may need a newer Go than there is or a module
    that cannot be fetched, some that were released before."""
    released = go("list", "-m", "-versions", module + "@latest").stdout.split()[1:]
    return ["latest", *[v for v in reversed(released) if "-" not in v][1:TRIES]]


def build(folder, module, *packages):
    """Build a module's packages into `folder`, of the newest version that builds here."""
    if all((folder / package.rsplit("/", 1)[-1]).exists() for package in packages):
        return
    why = ""
    for version in candidates(module):
        done = go("install", *(f"{package}@{version}" for package in packages),
                  GOBIN=str(folder), CGO_ENABLED="0")
        if done.returncode == 0:
            return
        why = why or (done.stderr.strip().splitlines() or ["go install failed"])[-1]
    raise Unavailable(f"{module} does not build here: {why}")


def module_version(program):
    """The module and its version, as the toolchain noted them in the program."""
    out = go("version", "-m", str(program)).stdout
    return next((" ".join(line.split()[1:3]) for line in out.splitlines()
                 if line.strip().startswith("mod\t")), "")


class FromSource(Peer):
    def check(self):
        if not find_go():
            raise Unavailable("no Go toolchain to build it with (it is optional)")
        super().check()


class WireguardGoLatest(FromSource, WireguardGo):
    name, title = "wireguard-go-latest", "wireguard-go (source)"
    programs, package = ("wg",), "wireguard-tools"

    def prepare(self, folder):
        build(folder, "golang.zx2c4.com/wireguard", "golang.zx2c4.com/wireguard")
        self.program = folder / "wireguard"

    def version(self):
        return module_version(self.program)


class NebulaLatest(FromSource, Nebula):
    name, title = "nebula-latest", "Nebula (source)"
    programs = ()

    def prepare(self, folder):
        build(folder, "github.com/slackhq/nebula", "github.com/slackhq/nebula/cmd/nebula",
              "github.com/slackhq/nebula/cmd/nebula-cert")
        self.nebula, self.cert = folder / "nebula", folder / "nebula-cert"

    def version(self):
        return module_version(self.nebula)
