"""What tests of several folders need: a small data set, a clean environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 drawn pictures prepared at 4, 8 and 16 pixels. Do not write to it."""
    folder = tmp_path_factory.mktemp("shapes")
    draw_dataset(folder / "pictures", num=96, size=16)
    prepare(folder / "pictures", folder / "dataset", 16, workers=1)
    return folder / "dataset"


@pytest.fixture(autouse=True)
def no_gpu_counted(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Tests run on the CPU wherever they run, unless they ask for a GPU."""
    if "gpu" not in request.keywords:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What progan remembers of former runs is not looked at, nor added to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
