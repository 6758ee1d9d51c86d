"""progan from Python: prepare data, train, draw pictures, read what was measured (docs/python.md).

>>> from progan.api import load_generator
>>> load_generator("runs/shapes").images(4, seed=0)[0].size
(8, 8)

torch is imported when a data set is opened or a generator loaded, so that the worker processes of
`prepare`, which import a script again, start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from progan.datasets.errors import DataError
from progan.datasets.format.objects.store import StoreError
from progan.launch.errors import LaunchError
from progan.pipeline.api.preparing import prepare
from progan.pipeline.api.results import Metrics, Report, read_metrics
from progan.pipeline.api.training import resume, train
from progan.pipeline.errors import ConfigError, RunError, StoppedError
from progan.stages.errors import NetworksError, StageError

if TYPE_CHECKING:
    from progan.pipeline.api.dataset import PictureDataset, open_dataset
    from progan.pipeline.api.generator import PictureGenerator, load_generator

__all__ = [
    "ConfigError",
    "DataError",
    "LaunchError",
    "Metrics",
    "NetworksError",
    "PictureDataset",
    "PictureGenerator",
    "Report",
    "RunError",
    "StageError",
    "StoppedError",
    "StoreError",
    "load_generator",
    "open_dataset",
    "prepare",
    "read_metrics",
    "resume",
    "train",
]
WITH_TORCH = {
    "PictureDataset": "progan.pipeline.api.dataset",
    "PictureGenerator": "progan.pipeline.api.generator",
    "load_generator": "progan.pipeline.api.generator",
    "open_dataset": "progan.pipeline.api.dataset",
}
"""Names that are imported when they are first used, and their modules"""


def __getattr__(name: str) -> Any:
    if name not in WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(WITH_TORCH[name]), name)
