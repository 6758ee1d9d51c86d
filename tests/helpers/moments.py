"""A StepId, for updates that are not part of a run."""

from progan.stages.engine.update import StepId

HERE = StepId(resolution=8, images_seen=0, end=16)
