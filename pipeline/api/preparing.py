"""Data sets from Python: prepare one. Does not import torch."""

from concurrent.futures import Executor
from pathlib import Path

from PIL import ImageColor

from progan.datasets.build.prepare import Report
from progan.datasets.build.prepare import prepare as build
from progan.datasets.errors import DataError
from progan.datasets.format.manifest import Manifest
from progan.datasets.format.objects.destination import dataset_folder_for
from progan.datasets.format.options import Crop, Encoding, Options, Small
from progan.pipeline.config.secrets import has_credentials


def prepare(
    source: str | Path,
    dataset: str | Path,
    resolution: int,
    *,
    channels: int = 3,
    crop: Crop = "center",
    small: Small = "upscale",
    background: str | tuple[int, int, int] = "white",
    codec: Encoding = "webp",
    source_kind: str | None = None,
    labels: str | Path | None = None,
    max_rejected: float = 0.05,
    picture_seconds: float = 60,
    workers: int | None = None,
    executor: Executor | str | None = None,
    build_in: Path | None = None,
    report: Report = lambda progress: None,
) -> Manifest:
    """Turn pictures into a data set for training, at 4 to `resolution` pixels.

    The same as `progan prepare`, whose help explains sources and options; an interrupted build is
    resumed by the same call. `background` is a name, `#rrggbb` or (red, green, blue);
    `max_rejected` a share from 0 to 1; `executor` any `concurrent.futures.Executor`, or a Dask
    scheduler's address; `report` is called after every shard with the progress. A `dataset` on
    object storage (s3://BUCKET/FOLDER) is built here, in the folder `build_in` or the user's cache,
    and then stored.

    Returns the manifest: `num_samples`, `classes`, `resolutions`, `channels`, `rejected`. Raises
    DataError for sources, folders and options that cannot be used, StoreError for storage.

    >>> manifest = prepare("pictures", "shapes", 16, workers=1)
    >>> manifest.num_samples, manifest.resolutions
    (96, [4, 8, 16])
    """
    if isinstance(background, str):
        try:
            red, green, blue = ImageColor.getrgb(background)[:3]
        except ValueError as error:
            raise DataError(
                f"background {background!r} is no colour: give a name or #rrggbb"
            ) from error
        background = red, green, blue
    with dataset_folder_for(_place(dataset), build_in, lambda done, total: None) as folder:
        return build(
            source,
            folder,
            resolution,
            channels=channels,
            options=Options(crop=crop, small=small, background=background, codec=codec),
            source_kind=source_kind,
            labels=labels,
            max_rejected=max_rejected,
            picture_seconds=picture_seconds,
            workers=workers,
            executor=executor,
            report=report,
        )


def _place(dataset: str | Path) -> str | Path:
    """A path, or a URL as it is; DataError for one with credentials, which would be stored."""
    if "://" not in str(dataset):
        return Path(dataset)
    if has_credentials(str(dataset)):
        raise DataError("dataset: a URL with credentials: leave them out (AWS: ~/.aws/credentials)")
    return str(dataset)
