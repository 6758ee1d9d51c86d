"""Hosts for tests: namespaces of this machine, each with its own network, host name, processes and
sshd, on a switch whose links can be cut. They share the disk. Needs root, Linux, ip and sshd."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from progan.launch.detached import die_with_parent

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
NETWORK = "10.86.4"
SWITCH = "switch"
NAMESPACES = ("--net", "--uts", "--mount", "--pid", "--ipc")
BOOT = """
mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs shm /dev/shm
mount --bind "$2/hosts" /etc/hosts
hostname "$1"; ip link set lo up; touch "$2/$1.up"
while :; do sleep 3600 & wait $!; done
"""
SSHD_CONFIG = """
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
UseDNS no
PidFile none
"""
SSH = """#!/bin/sh
exec {ssh} -i {folder}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \\
    -o LogLevel=ERROR "$@"
"""


def missing() -> str | None:
    """Why hosts cannot be started on this machine; None if they can."""
    if os.geteuid() != 0:
        return "hosts need root"
    programs = {"sshd": SSHD} | {name: shutil.which(name) for name in ("ssh", "ip", "unshare")}
    absent = [name for name, path in programs.items() if path is None]
    if absent:
        return f"hosts need {', '.join(absent)}"
    probe = ["unshare", *NAMESPACES, "--fork", "ip", "link", "add", "type", "bridge"]
    done = subprocess.run(probe, capture_output=True, text=True)
    return f"hosts need namespaces: {done.stderr.strip()}" if done.returncode else None


class Hosts:
    """Hosts and their switch; their files are in a folder."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self._inits: dict[str, subprocess.Popen[bytes]] = {}
        self._files(names)
        for number, name in enumerate((SWITCH, *names)):
            self._boot(name)
            if name == SWITCH:
                self.call(SWITCH, "ip", "link", "add", "bridge", "type", "bridge")
                self.call(SWITCH, "ip", "link", "set", "bridge", "up")
            else:
                self._plug_in(name, number)
        assert SSHD is not None
        for name in names:
            self.call(name, SSHD, "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log"))

    def start(
        self, name: str, argv: Sequence[str], cwd: Path, **options: Any
    ) -> "subprocess.Popen[Any]":
        """Run a command on a host, in the background."""
        env = (
            os.environ
            | options.pop("env", {})
            | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        )
        chdir = ["env", f"--chdir={cwd}"]
        return subprocess.Popen([*self._enter(name), *chdir, *argv], env=env, **options)

    def call(self, name: str, *argv: str) -> None:
        """Run a command on a host; it must succeed."""
        subprocess.run([*self._enter(name), *argv], check=True, timeout=20)

    def cut(self, name: str) -> None:
        """Cut a host's link: packets are lost without an error."""
        self.call(SWITCH, "ip", "link", "set", f"to-{name}", "down")

    def mend(self, name: str) -> None:
        """Restore a host's link."""
        self.call(SWITCH, "ip", "link", "set", f"to-{name}", "up")

    def down(self) -> None:
        """End every process of every host."""
        for init in self._inits.values():
            init.kill()
            init.wait()

    def _enter(self, name: str) -> list[str]:
        pid = _only_child(self._inits[name].pid)
        return ["nsenter", f"--target={pid}", *NAMESPACES, "--"]

    def _files(self, names: Sequence[str]) -> None:
        lines = ["127.0.0.1 localhost"]
        lines += [f"{NETWORK}.{number} {name}" for number, name in enumerate(names, start=1)]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "key")]
        subprocess.run(key, check=True)
        (self.folder / "sshd_config").write_text(SSHD_CONFIG.format(folder=self.folder))
        Path("/run/sshd").mkdir(exist_ok=True)
        (self.folder / "bin").mkdir()
        ssh = self.folder / "bin" / "ssh"
        ssh.write_text(SSH.format(ssh=shutil.which("ssh"), folder=self.folder))
        ssh.chmod(0o755)

    def _boot(self, name: str) -> None:
        argv = ["unshare", *NAMESPACES, "--fork", "--kill-child", "bash", "-c", BOOT, "init", name]
        self._inits[name] = subprocess.Popen(
            [*argv, str(self.folder)], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        deadline = time.monotonic() + 20
        while not (self.folder / f"{name}.up").exists():
            assert time.monotonic() < deadline and self._inits[name].poll() is None
            time.sleep(0.02)

    def _plug_in(self, name: str, number: int) -> None:
        """Connect the host's eth0 to the switch."""
        add = ["ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", f"of-{name}"]
        self.call(SWITCH, *add)
        pid = _only_child(self._inits[name].pid)
        # The switch has its own process tree, in which the host's process id does not exist.
        switch = _only_child(self._inits[SWITCH].pid)
        move = ["ip", "link", "set", f"of-{name}", "netns", str(pid), "name", "eth0"]
        subprocess.run(["nsenter", f"--target={switch}", "--net", "--", *move], check=True)
        self.call(SWITCH, "ip", "link", "set", f"to-{name}", "master", "bridge", "up")
        self.call(name, "ip", "address", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        self.call(name, "ip", "link", "set", "eth0", "up")


def _only_child(pid: int) -> int:
    """The process for which `unshare --fork` waits: the first one of the new namespaces."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


@contextmanager
def hosts_up(folder: Path, *names: str) -> Iterator[Hosts]:
    """Hosts that are ended when the block is left."""
    hosts = Hosts(folder, names)
    try:
        yield hosts
    finally:
        hosts.down()
