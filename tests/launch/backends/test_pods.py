"""launch.pod in the manifest, and what the cluster says of pods that do not run."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from pydantic import ValidationError

from progan.launch.backends.kubernetes import manifest
from progan.launch.backends.manifest_patch import merged
from progan.launch.backends.pod_reasons import why_waiting
from progan.launch.spec import LaunchSpec
from progan.launch.task import Task
from progan.pipeline.config.schema import load_config
from progan.pipeline.config.yaml_io import write_yaml
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.status import status, status_table
from progan.pipeline.run.terminal import Terminal
from progan.pipeline.run_folder import RunFolder

CLUSTER: dict[str, Any] = {
    "backend": "kubernetes", "nodes": 2, "gpus_per_node": 4, "image": "progan:1",
    "volume_claim": "disk", "volume_mount": "/disk",
}  # fmt: skip
POD: dict[str, Any] = {
    "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "gans"}},
    "spec": {
        "nodeSelector": {"gpu": "h100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
        "affinity": None,
        "volumes": [{"name": "shm", "emptyDir": {"sizeLimit": "32Gi"}}],
        "containers": [{"name": "ranks", "envFrom": [{"secretRef": {"name": "keys"}}]}],
    },
}


def filled_in(pod: dict[str, Any]) -> dict[str, Any]:
    """The Job of a stage."""
    task = Task(name="it", argv=("progan-worker", "--spec", "/disk/spec.json"), log=Path("/disk/l"))
    _, job = manifest("it", task, LaunchSpec.model_validate(CLUSTER | {"pod": pod}))
    kubernetes_validate.validate(job, "1.32.0", strict=True)
    return job


def test_pod_is_merged_into_what_progan_fills_in() -> None:
    plain, job = filled_in({}), filled_in(POD)
    spec, before = job["spec"]["template"]["spec"], plain["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"gpu": "h100"} and "affinity" not in spec
    assert spec["volumes"] == [
        before["volumes"][0],
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "32Gi"}},
    ]
    (container,) = spec["containers"]
    assert container == before["containers"][0] | {"envFrom": [{"secretRef": {"name": "keys"}}]}


def test_labels_of_pods_are_the_jobs_too() -> None:
    job = filled_in(POD)
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert "labels" not in filled_in({})["metadata"]


def test_lists_without_names_are_replaced() -> None:
    assert merged({"args": [1, 2], "a": {"b": 1, "c": 2}}, {"args": [3], "a": {"b": None}}) == {
        "args": [3],
        "a": {"c": 2},
    }


@pytest.mark.parametrize("pod", [{"tolerations": []}, {"spec": []}, {"spec": {"a": {1, 2}}}])
def test_what_is_no_pods_template_is_refused(pod: Any) -> None:
    with pytest.raises(ValidationError, match="pod"):
        LaunchSpec.model_validate(CLUSTER | {"pod": pod})


UNSCHEDULABLE = {
    "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
}  # fmt: skip
FORBIDDEN = {"type": "Warning", "reason": "FailedCreate", "message": "forbidden: exceeded quota"}


def pod(**status: Any) -> dict[str, Any]:
    return {"status": status}


def waiting(reason: str) -> dict[str, Any]:
    return pod(containerStatuses=[{"state": {"waiting": {"reason": reason}}}])


@pytest.mark.parametrize(
    ("pods", "events", "expected"),
    [
        (
            [pod(conditions=[UNSCHEDULABLE])] * 2 + [waiting("ContainerCreating")],
            [],
            "2 of 3 pods: Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        ),
        ([waiting("ImagePullBackOff")], [], "1 of 3 pods: ImagePullBackOff"),
        ([waiting("ContainerCreating")], [], None),
        ([pod(containerStatuses=[{"state": {"running": {}}}])], [], None),
        ([], [{"type": "Normal"}, FORBIDDEN], "FailedCreate: forbidden: exceeded quota"),
        ([], [], None),
    ],
)
def test_reason_is_the_clusters(
    pods: list[dict[str, Any]], events: list[dict[str, Any]], expected: str | None
) -> None:
    assert why_waiting({"spec": {"completions": 3}}, pods, events) == expected


def test_job_that_a_queue_holds_back_is_suspended() -> None:
    assert "not admitted" in str(why_waiting({"spec": {"suspend": True}}, [], []))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('[ "$2" = job ] && cat job || cat pods', "2 of 2 pods: Unschedulable: 0/3 nodes"),
        ("echo 'jobs.batch is forbidden: User \"me\" cannot get' >&2; exit 1", "is forbidden"),
    ],
)
def test_status_shows_why_a_stage_waits(
    script: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
    (tmp_path / "kubectl").chmod(0o755)
    (tmp_path / "job").write_text(json.dumps({"spec": {"completions": 2}}))
    (tmp_path / "pods").write_text(json.dumps({"items": [pod(conditions=[UNSCHEDULABLE])] * 2}))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    words = [f"launch.{key}={value}" for key, value in CLUSTER.items()]
    write_yaml(run.config, load_config("demo", ("engine.precision=fp32", *words)))
    EventLog(run.events).append("stage_started", resolution=4, handle="progan-it")
    document = status(run)
    assert document["stages"][0]["state"] == "waiting" and expected in document["waits_for"]
    terminal = Terminal(width=200)
    with terminal.capture() as capture:
        terminal.print(status_table(document))
    assert f"waiting: {document['waits_for']}"[:60] in " ".join(capture.get().split())
