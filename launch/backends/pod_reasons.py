"""Why the pods of a Job do not run, in the cluster's words."""

from collections import Counter
from typing import Any

STARTING = ("ContainerCreating", "PodInitializing")


def why_waiting(
    job: dict[str, Any], pods: list[dict[str, Any]], events: list[dict[str, Any]]
) -> str | None:
    """The most frequent reason; None if there is none: the pods run, or are just starting.

    job, pods, events: as the cluster describes them; the events are those of the Job itself.
    """
    reasons = Counter(reason for pod in pods if (reason := _of_pod(pod)))
    if reasons:
        ((reason, count),) = reasons.most_common(1)
        return f"{count} of {job['spec']['completions']} pods: {reason}"
    if job["spec"].get("suspend"):
        return "the Job is suspended: its queue has not admitted it"
    if not pods:  # a quota, an admission webhook, a missing right of the controller
        warnings = [event for event in events if event.get("type") == "Warning"]
        return _said(warnings[-1]) if warnings else None
    return None


def _of_pod(pod: dict[str, Any]) -> str | None:
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _said(condition)
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", STARTING[0]) not in STARTING:
            return _said(waiting)
    return None


def _said(source: dict[str, Any]) -> str:
    """Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."""
    words = (source.get("reason", ""), source.get("message", ""))
    return ": ".join(filter(None, words)) or "no reason given"
