"""README.md of a data set: the card by which Hugging Face's `datasets` and Hub read its levels."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from progan.datasets.files import write_whole
from progan.datasets.format.codec import codec_for
from progan.datasets.format.manifest import KINDS, Manifest

CARD = "README.md"
TEXT = """
# {pictures} pictures, {smallest}x{smallest} to {largest}x{largest}

The same {kind} pictures at every power of two, prepared by progan for training: WebDataset shards
in a folder for each size{classes}.

```python
from datasets import load_dataset

pictures = load_dataset("FOLDER_OR_REPOSITORY", "{largest}", split="train")
```
"""


def write_card(dataset: Path, manifest: Manifest) -> None:
    """Write the card of a data set; the same manifest gives the same bytes."""
    resolutions = manifest.resolutions
    text = TEXT.format(
        pictures=f"{manifest.num_samples:,}",
        smallest=resolutions[0],
        largest=resolutions[-1],
        kind=KINDS[manifest.channels],
        classes=f", with labels of {len(manifest.classes):,} classes" if manifest.classes else "",
    )
    yaml, front = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.width = 2**20  # a class name stays on its line
    yaml.dump(_metadata(manifest), front)
    write_whole(dataset / CARD, f"---\n{front.getvalue()}---\n{text}".encode())


def _metadata(manifest: Manifest) -> dict[str, Any]:
    """A configuration for each level, the largest by default, and the types of its columns."""
    levels = [str(resolution) for resolution in reversed(manifest.resolutions)]
    files = {level: f"{int(level):04d}/*.tar" for level in levels}
    configs: list[dict[str, Any]] = [
        {"config_name": level, "data_files": files[level]} for level in levels
    ]
    configs[0]["default"] = True
    about: dict[str, Any] = {
        "task_categories": ["unconditional-image-generation"],
        "tags": ["progan", "webdataset"],
        "configs": configs,
    }
    if manifest.options.codec != "npy":  # arrays: `datasets` finds their type itself
        about["dataset_info"] = [
            {"config_name": level, "features": _features(manifest, int(level))} for level in levels
        ]
    return about


def _features(manifest: Manifest, resolution: int) -> list[dict[str, Any]]:
    """The columns of a level: the picture, the label, and what every WebDataset has."""
    extension = codec_for(manifest.options.codec, resolution).extension
    features: list[dict[str, Any]] = [{"name": extension, "dtype": "image"}]
    if manifest.classes:
        names = {str(label): name for label, name in enumerate(manifest.classes)}
        features.append({"name": "cls", "dtype": {"class_label": {"names": names}}})
    return [*features, *({"name": name, "dtype": "string"} for name in ("__key__", "__url__"))]
