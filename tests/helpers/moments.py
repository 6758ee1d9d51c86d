"""A moment, for updates that are not part of a run."""

from progan.stages.engine.update import Moment

HERE = Moment(resolution=8, images_seen=0, end=16)
