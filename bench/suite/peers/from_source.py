"""The current wireguard-go and Nebula, built from their Go modules. Only where there is a
Go toolchain that can fetch modules; skipped elsewhere."""
import os
import shutil
import subprocess

from .base import Peer, Unavailable
from .nebula import Nebula
from .wireguard_go import WireguardGo

BUILD_SECONDS = 600


def find_go():
    """sudo's PATH often lacks it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")


def build(folder, *packages):
    """Build the newest version of these packages, which are of one module, into `folder`."""
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    for package in packages:
        if (folder / package.rsplit("/", 1)[1]).exists():
            continue
        try:
            done = subprocess.run([find_go(), "install", package + "@latest"], env=environment,
                                  capture_output=True, text=True, timeout=BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{package} was not built within {BUILD_SECONDS} s") from None
        if done.returncode != 0:
            why = done.stderr.strip().splitlines() or ["go install failed"]
            raise Unavailable(f"{package} does not build here: {why[-1]}")


def module_version(program):
    """The module and its version, as the toolchain noted them in the program."""
    out = subprocess.run([find_go(), "version", "-m", program], capture_output=True,
                         text=True).stdout
    return next((" ".join(line.split()[1:3]) for line in out.splitlines()
                 if line.strip().startswith("mod\t")), "")


class FromSource(Peer):
    def check(self):
        if not find_go():
            raise Unavailable("no Go toolchain to build it with (it is optional)")
        super().check()


class WireguardGoLatest(FromSource, WireguardGo):
    name, title = "wireguard-go-latest", "wireguard-go (newest)"
    programs, package = ("wg",), "wireguard-tools"

    def prepare(self, folder):
        build(folder, "golang.zx2c4.com/wireguard")
        self.program = folder / "wireguard"

    def version(self):
        return module_version(self.program)


class NebulaLatest(FromSource, Nebula):
    name, title = "nebula-latest", "Nebula (newest)"
    programs = ()

    def prepare(self, folder):
        build(folder, "github.com/slackhq/nebula/cmd/nebula",
              "github.com/slackhq/nebula/cmd/nebula-cert")
        self.nebula, self.cert = folder / "nebula", folder / "nebula-cert"

    def version(self):
        return module_version(self.nebula)
