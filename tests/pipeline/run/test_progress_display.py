"""The progress line of a stage."""

from pathlib import Path

from progan.pipeline.run.progress_display import describe
from workers import spec


def test_stage_that_has_shown_all_images_says_what_it_still_does(shapes: Path) -> None:
    stage = spec(shapes)
    assert describe(stage, None) == "starting"
    progress = {"phase": "steady", "alpha": 1.0, "images_seen": 240, "images_per_second": 24.0}
    assert describe(stage, progress) == (
        "steady   alpha 1.00  0.2/0.5 kimg  24 images/s  0:00:10 left"
    )
    shown = progress | {"phase": "done", "images_seen": 480, "images_per_second": 0.0}
    assert describe(stage, shown) == "0.5 kimg shown; measures and writes its networks"
