"""A small data set of synthetic pictures, prepared once."""

from pathlib import Path

import pytest
from hypothesis import settings

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset

NUM = 70

# A slow machine must not fail tests.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 pictures of 20 pixels in six class folders."""
    folder = tmp_path_factory.mktemp("pictures")
    draw_dataset(folder, num=NUM, size=20)
    return folder


@pytest.fixture(scope="session")
def dataset(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures at 4, 8 and 16 pixels, in three shards. Do not write to it."""
    folder = tmp_path_factory.mktemp("prepared") / "shapes"
    prepare(pictures, folder, 16, workers=1)
    return folder
