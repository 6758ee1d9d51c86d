"""A real Slurm of two nodes on this machine: munged, slurmctld, two slurmd; needs root.

Each slurmd runs in its own UTS namespace, which gives it a node's host name, and sees an /etc/hosts
that resolves both nodes to this machine. All daemons are children of this process.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from progan.launch.detached import die_with_parent

NODES = ("n1", "n2")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=10
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
"""
NODE = (
    "NodeName={name} NodeHostname={name} NodeAddr=127.0.0.1 Port={port} "
    "CPUs=2 RealMemory=2000 Gres=gpu:1\n"
)
PARTITIONS = """
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 PriorityTier=1 GraceTime=60 State=UP
PartitionName=urgent Nodes=n1,n2 MaxTime=60 PriorityTier=9 PreemptMode=OFF State=UP
"""
AS_NODE = 'hostname "$1" && mount --bind "$2" /etc/hosts && exec slurmd -D -N "$1"'


def missing() -> str | None:
    """Why no cluster can run on this machine; None if one can."""
    if os.geteuid() != 0:
        return "Slurm needs root"
    programs = [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name)]
    if programs:
        return f"Slurm needs {', '.join(programs)}"
    probe = subprocess.run(["unshare", "--uts", "--mount", "true"], capture_output=True)
    return "Slurm's nodes need namespaces" if probe.returncode else None


class SlurmCluster:
    """Started by `up`, ended by `down`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """Return when both nodes are idle."""
        self._configure()
        os.environ["SLURM_CONF"] = str(self.folder / "slurm.conf")
        munge = [f"--{name}={self.folder}/munge.{file}" for name, file in [
            ("key-file", "key"), ("socket", "sock"), ("pid-file", "pid"), ("log-file", "log"),
            ("seed-file", "seed")]]  # fmt: skip
        self._start("munged", ["munged", "--foreground", "--force", *munge])
        self.start("slurmctld")
        for name in NODES:
            self.start(name)
        self.wait_for_nodes("idle", 2)

    def down(self) -> None:
        """End every job, then every daemon."""
        subprocess.run(["scancel", "--user=root"], timeout=20)
        until = time.monotonic() + 20
        while self.ask("squeue", "--noheader") and time.monotonic() < until:
            time.sleep(0.1)
        for name in reversed(list(self._daemons)):
            self.stop(name, signal.SIGTERM)
        del os.environ["SLURM_CONF"]

    def start(self, name: str) -> None:
        """Start a node or slurmctld."""
        hosts = str(self.folder / "hosts")
        node = ["unshare", "--uts", "--mount", "sh", "-c", AS_NODE, "sh", name, hosts]
        self._start(name, ["slurmctld", "-D"] if name == "slurmctld" else node)

    def power_off(self, node: str) -> None:
        """Kill every process under a node's host name."""
        for process in self._processes(node):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.stop(node)

    def has_steps(self, node: str) -> bool:
        """Whether a batch script or a step of a job still runs on a node."""
        with suppress(psutil.NoSuchProcess):
            return any(process.name() == "slurmstepd" for process in self._processes(node))
        return True  # one of them has just ended

    def stop(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a daemon, but no process that it started."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def ask(self, *argv: str) -> str:
        """Return what one of Slurm's commands prints."""
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        return answer.stdout.strip()

    def wait_for_nodes(self, state: str, count: int) -> None:
        """Wait until `count` nodes are in a state."""
        until = time.monotonic() + 60
        while self.ask("sinfo", "--noheader", "--format=%D", f"--states={state}") != str(count):
            assert time.monotonic() < until, self.ask("sinfo", "-N")
            time.sleep(0.2)

    def _processes(self, node: str) -> Iterator[psutil.Process]:
        """All processes in a node's UTS namespace."""
        namespace = os.readlink(f"/proc/{self._daemons[node].pid}/ns/uts")
        for process in psutil.process_iter():
            with suppress(OSError, psutil.NoSuchProcess):
                if os.readlink(f"/proc/{process.pid}/ns/uts") == namespace:
                    yield process

    def _start(self, name: str, argv: list[str]) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        if name == "munged":
            until = time.monotonic() + 10
            while not (self.folder / "munge.sock").exists():
                assert time.monotonic() < until, (self.folder / "munged.out").read_text()
                time.sleep(0.05)

    def _configure(self) -> None:
        """Write slurm.conf and the files it names; a GPU is /dev/null."""
        self.folder.chmod(0o755)
        for name in ("state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        nodes = "".join(NODE.format(name=name, port=free_port()) for name in NODES)
        host = socket.gethostname().partition(".")[0]
        conf = CONF.format(host=host, port=free_port(), folder=self.folder)
        (self.folder / "slurm.conf").write_text(conf + nodes + PARTITIONS)
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=autodetect\nIgnoreSystemd=yes\n")
        lines = "".join(f"127.0.0.1 {name}\n" for name in NODES)
        (self.folder / "hosts").write_text(Path("/etc/hosts").read_text() + lines)


def free_port() -> int:
    """A port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
