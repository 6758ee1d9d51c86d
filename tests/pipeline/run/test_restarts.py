"""A crashed stage is restarted, unless it crashes repeatedly without a new checkpoint."""

from pathlib import Path

from progan.pipeline.run.restarts import LONGEST_PAUSE_SECONDS, Restarts
from progan.stages.storage.stage_folder import StageFolder


def test_pauses_double_up_to_the_limit_of_restarts(tmp_path: Path) -> None:
    restarts = Restarts(StageFolder(tmp_path), limit=3)
    assert [restarts.pause() for _ in range(5)] == [2, 4, 8, None, None]


def test_new_checkpoint_resets_the_count(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    restarts = Restarts(folder, limit=1)
    assert restarts.pause() == 2
    folder.checkpoint(320).mkdir(parents=True)
    assert [restarts.pause(), restarts.pause()] == [2, None]


def test_pauses_are_bounded(tmp_path: Path) -> None:
    restarts = Restarts(StageFolder(tmp_path), limit=20)
    assert max(restarts.pause() or 0 for _ in range(20)) == LONGEST_PAUSE_SECONDS
