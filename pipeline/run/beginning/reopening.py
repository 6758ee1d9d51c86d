"""Re-opening a stage: it trains on, and what grew from its result is set aside; no torch."""

import shutil
import time

from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.stages.storage.metrics_log import rewind


def reopen(run: RunFolder, resolution: int) -> None:
    """Discard a stage's result, to train on from its last checkpoint, or from its start.

    The result and the later stages, which grew from it, are moved to `superseded/`.
    """
    superseded = run.superseded / time.strftime("%Y%m%d-%H%M%S")
    stages = sorted(run.path.glob("stages/[0-9]*"), reverse=True)
    discarded = [folder for folder in stages if int(folder.name) > resolution]
    discarded.append(run.stage(resolution).final)  # last: what grew from it never outlives it
    for folder in discarded:
        if folder.exists():
            target = superseded / folder.relative_to(run.path / "stages")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, target)
    stage = run.stage(resolution)
    rewind(stage, stage.newest_checkpoint)
    EventLog(run.events).append("stage_reopened", resolution=resolution)
