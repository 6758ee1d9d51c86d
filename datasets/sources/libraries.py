"""Pictures from Hugging Face `datasets` and from `torchvision.datasets`, by name.

    hf:NAME_OR_FOLDER[,split=train][,image=COLUMN][,label=COLUMN][,KEY=VALUE...]
    torchvision:NAME[,root=FOLDER][,KEY=VALUE...]

Other keys are passed to `load_dataset`, or to the constructor of the torchvision class. Values are
true, false, numbers, sizes (3x32x32) or text. torchvision downloads only with `download=true`.
"""

import inspect
import io
import re
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from progan.datasets.errors import DataError, UnusablePicture, missing_library
from progan.datasets.files import parse_json
from progan.datasets.sources.listing import Entry, Listing

HF, TORCHVISION = "hf:", "torchvision:"
_NAME = "{:09d}"
# Attributes in which torchvision's classes keep the target of every picture.
_TARGETS = ("targets", "labels", "_labels")


def recognises_hf(location: str) -> bool:
    """By its prefix."""
    return location.startswith(HF)


def recognises_torchvision(location: str) -> bool:
    """By its prefix."""
    return location.startswith(TORCHVISION)


def parse(location: str) -> tuple[str, dict[str, Any]]:
    """`hf:NAME,key=value` -> (NAME, {key: value}). Raises DataError."""
    name, *words = location.partition(":")[2].split(",")
    options: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier():
            raise DataError(f"{location}: {word!r} is not KEY=VALUE")
        options[key] = _value(text)
    return name, options


def list_hf(location: str) -> Listing:
    """Every row; labels from a column of class labels, if there is one."""
    table, _, label = _open_hf(location)
    labels = [None] * len(table) if label is None else list(table[label])
    entries = [Entry(_NAME.format(n), label=value, where=n) for n, value in enumerate(labels)]
    classes = getattr(table.features[label], "names", None) if label else None
    return Listing(entries, classes=classes, version=table._fingerprint)


def read_hf(location: str, entry: Entry) -> bytes:
    """The picture's file as stored in the table."""
    table, image, _ = _open_hf(location)
    stored = table[entry.where][image]
    data: bytes | None = stored["bytes"]
    return Path(stored["path"]).read_bytes() if data is None else data


def list_torchvision(location: str) -> Listing:
    """Every picture; labels if the targets are single whole numbers."""
    dataset = _open_torchvision(location)
    try:
        labels = [_whole_number(target) for target in _targets(dataset)]
    except Exception as error:  # a damaged picture, or a class that is only a base of others
        raise _failed(location, error) from error
    if None in labels:
        labels = [None] * len(dataset)
    entries = [Entry(_NAME.format(n), label=value, where=n) for n, value in enumerate(labels)]
    classes = getattr(dataset, "classes", None)
    return Listing(entries, classes=[str(name) for name in classes] if classes else None)


def read_torchvision(location: str, entry: Entry) -> bytes:
    """The picture as an uncompressed file: the library returns decoded pictures."""
    item = _open_torchvision(location)[entry.where]
    return _as_file(item[0] if isinstance(item, tuple) else item)


@lru_cache(maxsize=1)
def _open_hf(location: str) -> tuple[Any, str, str | None]:
    """The table with its pictures undecoded, and the names of the columns."""
    try:
        huggingface: Any = import_module("datasets")  # theirs: ours is progan.datasets
        load_dataset, load_from_disk = huggingface.load_dataset, huggingface.load_from_disk
    except (ImportError, AttributeError) as error:
        raise missing_library(location, "hf") from error
    name, options = parse(location)
    split, image, label = (options.pop(key, None) for key in ("split", "image", "label"))
    try:
        if Path(name, "state.json").is_file() or Path(name, "dataset_dict.json").is_file():
            table = load_from_disk(name, **options)
            table = table[split or "train"] if isinstance(table, dict) else table
        else:
            table = load_dataset(name, split=split or "train", **options)
    except Exception as error:  # from the library, the hub or the network
        raise _failed(location, error) from error
    kinds = {column: type(feature).__name__ for column, feature in table.features.items()}
    image = image or next((c for c, kind in kinds.items() if kind == "Image"), None)
    label = label or next((c for c, kind in kinds.items() if kind == "ClassLabel"), None)
    if kinds.get(str(image)) != "Image" or (label and label not in kinds):
        raise DataError(f"{location}: say image=COLUMN and label=COLUMN; it has {kinds}")
    return table.cast_column(image, huggingface.Image(decode=False)), str(image), label


@lru_cache(maxsize=1)
def _open_torchvision(location: str) -> Any:
    name, options = parse(location)
    from torchvision import datasets as library

    kind = getattr(library, name, None)
    if not isinstance(kind, type):
        raise DataError(f"{location}: torchvision.datasets has no {name}")
    parameters = inspect.signature(kind).parameters.values()
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if "root" in missing:
        raise DataError(
            f"{location} lacks the folder of its files: say {TORCHVISION}{name},root=FOLDER"
        )
    try:
        return kind(**options)
    except Exception as error:  # missing files, wrong keywords: the class says which
        raise _failed(location, error) from error


def _failed(location: str, error: Exception) -> DataError:
    """The error of a library in one line."""
    return DataError(f"{location}: {[*str(error).splitlines(), type(error).__name__][0]}")


def _value(text: str) -> Any:
    if re.fullmatch(r"\d{1,9}(x\d{1,9})+", text):
        return tuple(int(part) for part in text.split("x"))
    try:
        return parse_json(text)
    except ValueError:
        return text


def _targets(dataset: Any) -> Any:
    """The target of every picture: kept by the data set, or read with the pictures."""
    for name in _TARGETS:
        targets = getattr(dataset, name, None)
        if targets is not None and len(targets) == len(dataset):
            return targets
    return [_target(dataset[n]) for n in range(len(dataset))]


def _target(item: Any) -> Any:
    return item[1] if isinstance(item, tuple) and len(item) > 1 else None


def _whole_number(target: Any) -> int | None:
    """The class as an int, from a number or from an array or tensor with one element."""
    try:
        return int(target) if float(target) == int(target) else None
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _as_file(image: Any) -> bytes:
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise UnusablePicture(f"not a picture but {type(image).__name__}")
    if image.mode in ("L", "RGB"):
        letter = "6" if image.mode == "RGB" else "5"
        return f"P{letter} {image.width} {image.height} 255\n".encode() + image.tobytes()
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    return buffer.getvalue()
