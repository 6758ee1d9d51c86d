"""The contents of a data set, for `progan data info`."""

from typing import Any

from progan.datasets.format.codec import codec_for
from progan.datasets.format.location import Location
from progan.datasets.format.manifest import Manifest


def summary(dataset: Location, manifest: Manifest) -> dict[str, Any]:
    """A JSON document: counts, bytes, levels, classes, source, rejected pictures."""
    levels = {
        resolution: {
            "codec": codec_for(manifest.options.codec, resolution).extension,
            "shards": len(shards),
            "bytes": sum(shard.bytes for shard in shards),
        }
        for resolution, shards in sorted(manifest.levels.items())
    }
    classes = None
    if manifest.classes is not None:
        counts = manifest.class_counts or []
        classes = dict(zip(manifest.classes, counts, strict=False))
    return {
        "dataset": str(dataset),
        "samples": manifest.num_samples,
        "channels": manifest.channels,
        "bytes": sum(level["bytes"] for level in levels.values()),
        "levels": levels,
        "classes": classes,
        "rejected": manifest.rejected,
        "too_small": manifest.too_small,
        "enlarged": manifest.enlarged,
        "source": manifest.source.name,
        "options": manifest.options.model_dump(mode="json"),
        "fingerprint": manifest.fingerprint,
        "versions": manifest.versions.model_dump(mode="json"),
    }
