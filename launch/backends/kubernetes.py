"""The kubernetes backend: an Indexed Job for each task, through kubectl."""

import json
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from progan.launch import environment
from progan.launch.backends.manifest_patch import merged
from progan.launch.backends.pod_reasons import why_waiting
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task

TEMPLATE = Path(__file__).parents[1] / "scripts" / "kubernetes.yaml"
MAX_NAME = 44
"""Characters of a task's name in a job's name: the pods' longer host names may have 63"""


class Kubernetes:
    """One Job and one headless Service for each task. The handle is their name."""

    def __init__(self, spec: LaunchSpec) -> None:
        assert spec.nodes != "auto" and spec.gpus_per_node != "auto", "LaunchSpec refuses it"
        self.world_size = spec.nodes * spec.gpus_per_node
        self._spec = spec

    def submit(self, task: Task) -> str:
        """Apply the manifest; see Backend."""
        name = job_name(task.name)
        documents = manifest(name, task, self._spec)
        content = "---\n".join(json.dumps(document) + "\n" for document in documents)
        self._kubectl("apply", "--filename=-", content=content)
        return name

    def poll(self, handle: str) -> State:
        """See Backend. "waiting" while the cluster does not answer."""
        try:
            output = self._kubectl("get", "job", handle, "--ignore-not-found", "--output=json")
        except LaunchError:
            return "waiting"
        return state(json.loads(output)) if output.strip() else "ended"

    def why_waiting(self, handle: str) -> str | None:
        """Why a task's pods do not run, or kubectl does not say; None if nothing is known."""
        try:
            job = self._described("job", handle)
            pods = self._described("pods", f"--selector=job-name={handle}")["items"]
            of_job = f"--field-selector=involvedObject.kind=Job,involvedObject.name={handle}"
            events = [] if pods else self._described("events", of_job)["items"]
        except LaunchError as error:
            return str(error)
        return why_waiting(job, pods, events)

    def _described(self, *words: str) -> dict[str, Any]:
        output = self._kubectl("get", *words, "--output=json", "--request-timeout=5s")
        described: dict[str, Any] = json.loads(output)
        return described

    def cancel(self, handle: str) -> None:
        """Delete Job and Service; pods get SIGTERM and the grace period. See Backend."""
        self._kubectl("delete", f"job/{handle}", f"service/{handle}", "--ignore-not-found",
                      "--cascade=foreground", "--wait")  # fmt: skip

    def _kubectl(self, *words: str, content: str | None = None) -> str:
        namespace = ["--namespace", self._spec.namespace] if self._spec.namespace else []
        try:
            result = subprocess.run(
                ["kubectl", *namespace, *words], input=content, capture_output=True, text=True
            )
        except FileNotFoundError as error:
            raise LaunchError("kubectl is not on PATH: kubernetes.io/docs/tasks/tools") from error
        if result.returncode:
            raise LaunchError(f"kubectl {words[0]}: {result.stderr.strip()}")
        return result.stdout


def job_name(task: str) -> str:
    """A unique DNS label."""
    label = re.sub("[^a-z0-9]+", "-", task.lower()).strip("-")[-MAX_NAME:].strip("-")
    return f"progan-{label}-{secrets.token_hex(2)}"


def manifest(name: str, task: Task, spec: LaunchSpec) -> list[dict[str, Any]]:
    """Service and Job: the template, filled in, with `launch.pod` merged into its pods.

    The pods' labels are the Job's, too, as schedulers look for them there.
    """
    service, job = (json.loads(json.dumps(d)) for d in YAML(typ="safe").load_all(TEMPLATE))
    service["metadata"]["name"] = job["metadata"]["name"] = name
    service["spec"]["selector"] = {"job-name": name}
    job["spec"] |= {"completions": spec.nodes, "parallelism": spec.nodes}
    pod = job["spec"]["template"]["spec"]
    pod["subdomain"] = name
    (rule,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    rule["labelSelector"]["matchLabels"] = {"job-name": name}
    (container,) = pod["containers"]
    container["image"] = spec.image
    container["env"] = [
        {"name": key, "value": value.replace("$", "$$")}  # $(NAME) would be expanded
        for key, value in variables(name, task, spec)
    ]
    container["resources"] = {"limits": {"nvidia.com/gpu": spec.gpus_per_node}}
    container["volumeMounts"][0]["mountPath"] = str(spec.volume_mount)
    pod["volumes"][0]["persistentVolumeClaim"]["claimName"] = spec.volume_claim
    template = job["spec"]["template"] = merged(job["spec"]["template"], spec.pod)
    if labels := template.get("metadata", {}).get("labels"):
        job["metadata"]["labels"] = labels
    return [service, job]


def variables(name: str, task: Task, spec: LaunchSpec) -> list[tuple[str, str]]:
    """The container's environment: variables of its command line, then those of the ranks."""
    assert spec.nodes != "auto", "LaunchSpec refuses it"
    specification = task.argv[task.argv.index("--spec") + 1]
    command_line = {
        "NODES": str(spec.nodes),
        "GPUS": str(spec.gpus_per_node),
        "MASTER": f"{name}-0.{name}" if spec.nodes != 1 else "127.0.0.1",
        "SPEC": specification,
        "LOG": str(task.log),
    }
    return list((command_line | environment.rank_variables(spec)).items())


def state(job: dict[str, Any]) -> State:
    """The state of a Job, given as the cluster describes it."""
    status = job.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return "ended"
    return "running" if status.get("ready", 0) == job["spec"]["completions"] else "waiting"
