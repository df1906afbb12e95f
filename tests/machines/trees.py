"""Debian trees made by debootstrap: machines that hold nothing of the project, and nothing of this machine's caches.

A command runs in mount and process namespaces of its own: when it ends, however it ends, the kernel unmounts and kills
what it left. What a person behind a company's proxy would set up comes along: indices, certificates and proxies; nothing
else of this machine's settings, which could hide what a new machine lacks.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = ("debootstrap", "unshare", "chroot", "git", "apt-get")
# The last is this processor's: where numpy's kernels must be named, they must be in every tree.
CARRIED = re.compile(
    r"(?i:(https?|ftp|all|no)_proxy)|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|NODE_EXTRA_CA_CERTS"
    r"|PIP_(INDEX_URL|CERT|CLIENT_CERT|PROXY|TRUSTED_HOST)|UV_(DEFAULT_INDEX|INDEX_URL|NATIVE_TLS|SYSTEM_CERTS)"
    r"|(?i:npm_config_(registry|cafile|proxy|https_proxy|noproxy))|OPENBLAS_\w+"
)
ENTER = """\
read -r _  # until the user namespace, if there is one, has its users
set -e
tree=$1 emulator=$2 command=$3
mount -t proc proc "$tree/proc"
if [ -n "$emulator" ]; then
  binfmt=$tree/proc/sys/fs/binfmt_misc  # of this namespace only: the system's own stays as it is
  mount -t binfmt_misc none "$binfmt"
  printf %s ":guest:M::$MAGIC:$emulator:F" > "$binfmt/register"
  mount --bind "$CPUINFO" "$tree/proc/cpuinfo"
fi
mount --rbind /dev "$tree/dev"
mount --rbind /sys "$tree/sys"
exec chroot "$tree" /usr/bin/env -i "${@:4}" /bin/sh -ec "cd; $command"
"""
# An ELF file for aarch64, as qemu-user's own registration has it.
MAGIC = (
    r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
)


@dataclass(frozen=True)
class Finished:
    """How a command in a tree ended: exit code, what it printed (both streams), minutes."""

    code: int
    output: str
    minutes: float

    def expect(self, *codes: int) -> Finished:
        """Itself. Raises AssertionError with the end of the output where the exit code is none of these (of 0)."""
        assert self.code in (codes or (0,)), f"exit code {self.code} after:\n{self.output[-6000:]}"
        return self


def obstacle() -> str:
    """Why no tree can be made here; empty where it can."""
    if os.geteuid() != 0:
        return "making Debian trees needs root"
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"making Debian trees needs {missing[0]}, which is not installed"
    return "" if KEYRING.exists() else f"making Debian trees needs {KEYRING} (package debian-archive-keyring)"


def unpack_project(folder: Path) -> None:
    """The files of HEAD, as a clean clone or a downloaded archive holds them."""
    folder.mkdir()
    # Also where the checkout belongs to another user than root.
    command = ["git", "-c", "safe.directory=*", "archive", "HEAD"]
    held = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=held, check=True)


class Tree:
    """A Debian tree in a folder; with an emulator (a static qemu-user of Debian's) one for arm64."""

    def __init__(self, folder: Path, emulator: Path | None = None, cpuinfo: str = "") -> None:
        self.folder = folder
        self.emulator = emulator
        self._cpuinfo = folder.with_suffix(".cpuinfo")
        self._cpuinfo.write_text(cpuinfo)
        self._settings = settings()

    def bootstrap(self, suite: str, packages: Sequence[str]) -> float:
        """Make the tree, with the essential packages and these (no recommended ones), signatures checked. Returns minutes."""
        began = time.monotonic()
        options = ["--variant=minbase", "--force-check-gpg", f"--keyring={KEYRING}", f"--include={','.join(packages)}"]
        if self.emulator:
            options += ["--foreign", "--arch=arm64"]
        sources = archives()
        command = ["debootstrap", *options, suite, str(self.folder), *filter(None, [sources.get("updates")])]
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", *command],
            capture_output=True, text=True, errors="replace", check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        assert done.returncode == 0, f"debootstrap {suite} failed:\n{(done.stdout + done.stderr)[-3000:]}"
        if self.emulator:
            if (self.folder / "proc").is_symlink():
                (self.folder / "proc").unlink()
            (self.folder / "proc").mkdir(exist_ok=True)
            # As in every user namespace, no devices can be made there: debootstrap knows that of containers of this kind.
            self.run(
                "export container=lxc DEBIAN_FRONTEND=noninteractive; /debootstrap/debootstrap --second-stage"
            ).expect()
        self._connect(suite, sources)
        return (time.monotonic() - began) / 60

    def install(self, *packages: str) -> float:
        """Install Debian packages, without those that they only recommend. Returns minutes."""
        command = (
            f"apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends {' '.join(packages)}"
        )
        return self.run(f"export DEBIAN_FRONTEND=noninteractive; {command}").expect().minutes

    def copy_project(self) -> None:
        """What a clean clone of HEAD holds, in the folder edgeship of the home of root."""
        unpack_project(self.folder / "root" / "edgeship")

    def run(self, command: str, timeout: float = 3600, **variables: str) -> Finished:
        """Run a shell command as root at home in the tree."""
        began = time.monotonic()
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            # The core of a Raspberry Pi 4. QEMU 7's default, all that it can emulate, computes int8 wrongly, as verify finds.
            **({"QEMU_CPU": "cortex-a72"} if self.emulator else {}),
            **self._settings,
            **variables,
        }
        users = ["--user"] if self.emulator else []
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", *users, "bash", "-c", ENTER, "enter"),
                *(str(self.folder), str(self.emulator or ""), command),
                *(f"{name}={value}" for name, value in environment.items()),
            ],
            env={**os.environ, "MAGIC": MAGIC, "CPUINFO": str(self._cpuinfo)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        try:
            if users:
                _map_users(process.pid)
            output, _ = process.communicate("\n", timeout=timeout)
        except BaseException:
            process.kill()  # and with it, by --kill-child, all that runs in the tree
            process.communicate()
            raise
        return Finished(process.returncode, output, (time.monotonic() - began) / 60)

    def remove(self) -> None:
        """Remove the tree; nothing is mounted in it here."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._cpuinfo.unlink(missing_ok=True)

    def _connect(self, suite: str, sources: dict[str, str]) -> None:
        """Name resolution, the archives, proxies and certificates, as they are on this machine."""
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(f"/etc/{name}", self.folder / "etc" / name)
        if sources:
            lines = [
                f"deb {sources['updates']} {suite} main",
                f"deb {sources['updates']} {suite}-updates main",
                *([f"deb {sources['security']} {suite}-security main"] if "security" in sources else []),
            ]
            (self.folder / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
        proxies = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout.splitlines()
        kept = [line for line in proxies if re.match(r"(?i)Acquire::https?::(Proxy|CaInfo)\b", line)]
        (self.folder / "etc/apt/apt.conf.d/90network").write_text("".join(f"{line}\n" for line in kept))
        own = Path("/usr/local/share/ca-certificates")
        if own.is_dir():
            shutil.copytree(own, self.folder / own.relative_to("/"), dirs_exist_ok=True)
        for value in self._settings.values():
            target = self.folder / value.lstrip("/")
            if value.startswith("/") and Path(value).is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(value, target)
        self.run("update-ca-certificates").expect()


def archives() -> dict[str, str]:
    """Debian's archive (`updates`) and that of `security`, from this machine's apt sources; empty where it is no Debian."""
    if "ID=debian" not in Path("/etc/os-release").read_text().splitlines():
        return {}
    printed = subprocess.run(["apt-get", "update", "--print-uris"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^'(\S+)/dists/\w+-(updates|security)/", printed, re.MULTILINE)
    named = {kind: address for address, kind in found}
    return named if "updates" in named else {}


def settings() -> dict[str, str]:
    """Variables for a tree: the network's settings of this environment, of pip and of npm."""
    carried = {name: value for name, value in os.environ.items() if CARRIED.fullmatch(name)}
    for line in _printed("pip3", "config", "list").splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        if option in ("index-url", "cert", "client-cert", "proxy", "trusted-host"):
            carried.setdefault(f"PIP_{option.upper().replace('-', '_')}", " ".join(ast.literal_eval(value).split()))
    for option in ("registry", "cafile", "proxy", "https-proxy", "noproxy"):
        value = _printed("npm", "config", "get", option).strip()
        if value not in ("", "null", "undefined"):
            carried.setdefault(f"npm_config_{option.replace('-', '_')}", value)
    return carried


def _printed(*command: str) -> str:
    """What a program prints; nothing where it is not installed."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/").stdout


def _map_users(pid: int) -> None:
    """Give the user namespace of a process all users, under their own numbers."""
    mine = os.readlink("/proc/self/ns/user")
    for _ in range(1000):
        if os.readlink(f"/proc/{pid}/ns/user") != mine:
            break
        time.sleep(0.01)  # until unshare has made the namespace
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text("0 0 65536\n")
