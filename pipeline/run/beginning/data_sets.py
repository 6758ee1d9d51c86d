"""Which data sets a run goes on with: its own, or the same pictures prepared larger; no torch."""

from collections.abc import Sequence
from pathlib import Path

from progan.datasets.format.manifest import Manifest
from progan.pipeline.errors import RunError
from progan.pipeline.plan.mid_stage import Begun
from progan.pipeline.run.events import Event, EventLog

KINDS = ("run_created", "data_changed")


def known_data(events: EventLog) -> list[Event]:
    """The data set that a run was created with, and those that it went on with, oldest first."""
    return [event for event in events.events() if event.kind in KINDS]


def is_new_data(
    run: Path, known: Sequence[Event], manifest: Manifest, begun: Sequence[Begun]
) -> bool:
    """Whether a run goes on with this data set for the first time.

    A stage with a checkpoint reads the very same data set until its end. Stages that have not begun
    may read the same pictures prepared at another resolution: each reads only its own level.
    RunError for any other data set.
    """
    fingerprints = [str(event.fields["data_fingerprint"]) for event in known]
    fingerprints += [stage.spec.data_fingerprint for stage in begun]
    pictures = {event.fields.get("pictures") for event in known}
    is_known = not fingerprints or manifest.fingerprint in fingerprints
    if not is_known and manifest.pictures not in pictures:
        raise RunError(
            f"the data set is not the one that {run} began with: its fingerprint is "
            f"{manifest.fingerprint[:12]}, not {fingerprints[-1][:12]}, and it is not of the same "
            "pictures, cropped and sorted alike, either"
        )
    for stage in begun:
        reads = stage.spec.data_fingerprint
        if stage.images_seen and not stage.finished and reads != manifest.fingerprint:
            raise RunError(
                f"stage {stage.resolution} has begun with the data set {stage.spec.data.path} "
                f"(fingerprint {reads[:12]}, not {manifest.fingerprint[:12]}), whose pixels differ "
                "slightly from those of the same pictures prepared larger: finish the stage with "
                "it, then go on with the other one"
            )
    return not is_known
