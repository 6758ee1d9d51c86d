"""A small data set of drawn pictures, prepared once."""

from pathlib import Path

import pytest
from hypothesis import settings

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset

NUM = 70

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 pictures of 20 pixels in six class folders."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, num=NUM, size=20)
    return folder


@pytest.fixture(scope="session")
def dataset(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They, at 4, 8 and 16 pixels, in three shards. Do not write to it."""
    folder = tmp_path_factory.mktemp("prepared") / "shapes"
    prepare(drawn, folder, 16, workers=1)
    return folder
