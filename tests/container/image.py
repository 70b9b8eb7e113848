"""The image that Dockerfile makes: built with buildah on a base of our own, and run.

No registry is asked: the base is what debootstrap makes of the archive that this machine's
apt uses. It is kept in build/container/, so that only the first run waits for it. All else
is removed.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))

from net import BUILD  # noqa: E402

SUITE = "bookworm"
KEPT = BUILD / "container"
# As debian:bookworm-slim is made: no documentation, and no fsync while packages are unpacked.
DPKG = """force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
"""


def why_not():
    if os.geteuid() != 0:
        return "needs root, to make a base image: sudo tools/test --only container"
    for tool in ("buildah", "debootstrap"):
        if not shutil.which(tool):
            return f"{tool} is not installed: sudo tools/packages install container"
    if not archive():
        return f"apt knows no archive of {SUITE}"
    return None


def archive():
    """Where this machine gets Debian from."""
    with contextlib.suppress(OSError):
        out = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages",
             f"Release: {SUITE}"], capture_output=True, text=True).stdout
        return out.split("\n")[0]


def run(*argv, **options):
    """Run a command to its end; its output as text."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}\n" \
        f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def make_base():
    """A tar file with the smallest Debian that has apt; made once."""
    tar = KEPT / f"{SUITE}.tar"
    if tar.exists():
        return tar
    folder = KEPT / f"{SUITE}.part"
    shutil.rmtree(folder, ignore_errors=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    run("debootstrap", "--variant=minbase", SUITE, folder, archive())
    for path in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists",
                 "var/cache/apt/archives"):
        shutil.rmtree(folder / path)
        (folder / path).mkdir()
    (folder / "etc/dpkg/dpkg.cfg.d/slim").write_text(DPKG)
    # The way to the archive may lead through a proxy.
    (folder / "etc/apt/apt.conf.d/10archive").write_text("".join(
        line for line in run("apt-config", "dump").splitlines(True)
        if line.startswith(("Acquire::http", "Acquire::https"))))
    part = tar.with_suffix(".tar.part")
    run("tar", "-C", folder, "--one-file-system", "-cf", part, ".")
    part.rename(tar)
    shutil.rmtree(folder)
    return tar


class Image:
    """Built on entering; nothing but the base is left on leaving."""

    def __enter__(self):
        self.store = KEPT / "store"
        self.forget()
        self.store.mkdir(parents=True)
        try:
            empty = self.buildah("from", "scratch")
            self.buildah("add", "--quiet", empty, make_base(), "/")
            self.buildah("commit", "--quiet", "--rm", empty, "localhost/base")
            self.buildah("bud", "--isolation", "chroot", "--format", "docker", "--pull-never",
                         "--build-arg", "BASE=localhost/base", "--tag", "localhost/veld-coord", ROOT,
                         timeout=900)
            self.config = json.loads(self.buildah("inspect", "--type", "image",
                                                  "localhost/veld-coord"))["Docker"]["config"]
            self.root = Path(self.buildah("mount", self.buildah("from", "localhost/veld-coord")))
        except BaseException:
            self.forget()
            raise
        return self

    def __exit__(self, *_):
        self.forget()

    def buildah(self, *argv, **options):
        return run("buildah", "--root", self.store / "root", "--runroot", self.store / "run",
                   "--storage-driver", "vfs", *argv, **options).strip()

    def forget(self):
        if self.store.exists():
            self.buildah("rm", "--all")
            self.buildah("rmi", "--all", "--force")
            shutil.rmtree(self.store)

    def kilobytes(self):
        return int(run("du", "-skx", self.root).split()[0])
