"""The Kubernetes backend: valid manifests, kubectl's words, and the pods' own command for real."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from progan.launch.backends.kubernetes import TEMPLATE, Kubernetes, job_name, manifest, state
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import Task

VERSION = "1.32.0"
SPEC = LaunchSpec(
    backend="kubernetes",
    nodes=3,
    gpus_per_node=4,
    image="registry.example/progan:1",
    volume_claim="disk",
    volume_mount=Path("/disk"),
    namespace="gans",
    interface="eth0",
    env={"NCCL_DEBUG": "INFO"},
)


def a_task(folder: Path) -> Task:
    argv = ("/here/bin/progan-worker", "--spec", str(folder / "spec.json"))
    return Task(name="Faces_1-0064", argv=argv, log=folder / "worker.log")


def assert_valid(documents: list[dict[str, Any]]) -> None:
    assert [document["kind"] for document in documents] == ["Service", "Job"]
    for document in documents:
        kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_file_to_copy_is_valid() -> None:
    assert_valid(json.loads(json.dumps(list(YAML(typ="safe").load_all(TEMPLATE)))))
    assert len(TEMPLATE.read_text().splitlines()) < 60


def test_what_is_submitted_is_valid_and_says_what_was_asked(tmp_path: Path) -> None:
    service, job = documents = manifest("it", a_task(tmp_path), SPEC)
    assert_valid(documents)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (3, 3)
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert variables["MASTER"] == f"it-0.{service['metadata']['name']}"
    assert variables["SPEC"] == str(tmp_path / "spec.json")
    assert (variables["NCCL_SOCKET_IFNAME"], variables["NCCL_DEBUG"]) == ("eth0", "INFO")
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "disk"}


def test_names_are_those_that_dns_allows() -> None:
    name = job_name("Faces_1." + "x" * 99 + "-0064")
    assert name.islower() and name.replace("-", "").isalnum() and len(name + "-99") <= 63
    assert "-0064-" in name and name != job_name("Faces_1." + "x" * 99 + "-0064")


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that writes down what it is asked and answers with a file's content."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$3" = apply ] && cat > {tmp_path}/applied\n'
        f"[ -e {tmp_path}/away ] && echo 'connection refused' >&2 && exit 1\n"
        f"cat {tmp_path}/answer 2>/dev/null || true\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return tmp_path


def test_a_jobs_life(kubectl: Path) -> None:
    backend = Kubernetes(SPEC)
    assert backend.world_size == 12
    handle = backend.submit(a_task(kubectl))
    applied = [json.loads(part) for part in (kubectl / "applied").read_text().split("---\n")]
    assert {document["metadata"]["name"] for document in applied} == {handle}
    assert backend.poll(handle) == "ended"  # no such job
    (kubectl / "answer").write_text(json.dumps(applied[1] | {"status": {"ready": 3}}))
    assert backend.poll(handle) == "running"
    (kubectl / "away").touch()
    assert backend.poll(handle) == "waiting"
    with pytest.raises(LaunchError, match="kubectl apply: connection refused"):
        backend.submit(a_task(kubectl))
    (kubectl / "away").unlink()
    backend.cancel(handle)
    last = (kubectl / "asked").read_text().splitlines()[-1]
    assert last.startswith(f"--namespace gans delete job/{handle} service/{handle}")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "waiting"),
        ({"active": 3, "ready": 2}, "waiting"),
        ({"active": 3, "ready": 3}, "running"),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, "ended"),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, "ended"),
        ({"conditions": [{"type": "Suspended", "status": "True"}]}, "waiting"),
    ],
)
def test_where_a_job_stands(status: dict[str, Any], expected: str) -> None:
    assert state({"spec": {"completions": 3}, "status": status}) == expected


def test_a_pod_starts_torchrun_keeps_its_output_and_hands_it_the_signal(tmp_path: Path) -> None:
    _, job = manifest("it", a_task(tmp_path), SPEC)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    torchrun = tmp_path / "torchrun"
    torchrun.write_text('#!/bin/bash\ntrap "echo stopped; exit 75" TERM\necho "$@"\n'
                        "while :; do sleep 0.1; done\n")  # fmt: skip
    torchrun.chmod(0o755)
    given = {entry["name"]: entry["value"] for entry in container["env"]}
    environment = os.environ | given | {"JOB_COMPLETION_INDEX": "2"}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"
    pod = subprocess.Popen(
        [*container["command"], *container["args"]],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "worker.log"
    while not log.exists() or not log.read_text():
        assert pod.poll() is None
        time.sleep(0.05)
    pod.send_signal(signal.SIGTERM)
    assert pod.wait(10) == 75
    printed, _ = pod.communicate(timeout=10)
    assert printed.endswith("stopped\n")
    assert log.read_text() == (
        "--nnodes 3 --nproc-per-node 4 --node-rank 2 --master-addr it-0.it --master-port 29500 "
        f"--no-python progan-worker --spec {tmp_path}/spec.json\nstopped\n"
    )
