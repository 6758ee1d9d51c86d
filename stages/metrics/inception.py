"""InceptionV3 with the weights of 2015 that FID is defined by, through torch-fidelity.

The user installs the library and downloads the weights: nothing is downloaded here.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from progan.stages.errors import MetricError

WEIGHTS_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
GET_WEIGHTS = f"download {WEIGHTS_URL} and set metrics.inception_weights to that file"
GET_LIBRARY = "it needs a library that is missing: pip install 'progan[metrics]'"


class Features(NamedTuple):
    """The network's outputs for N pictures, float32 on the CPU."""

    pool: Tensor
    """(N, 2048), of the last pooling layer"""
    logits: Tensor
    """(N, 1008), of the classifier, without its biases"""


Network = Callable[[Tensor], Features]
"""uint8 pictures (N, 3, R, R) -> their features"""


def load_inception(weights: Path | None, device: torch.device) -> Network:
    """The network on a device; MetricError, saying what to do, if library or weights are missing.

    A file that holds anything but tensors is refused before torch-fidelity loads it, which would
    execute pickled code.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise MetricError(GET_LIBRARY) from error
    if weights is None:
        raise MetricError(f"it needs the weights of InceptionV3: {GET_WEIGHTS}")
    try:
        content = weights.read_bytes()
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        with torch.random.fork_rng(devices=[]):
            network = FeatureExtractorInceptionV3(
                "inception", ["2048", "logits_unbiased"], io.BytesIO(content)
            ).to(device)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise MetricError(f"{weights} cannot be used ({reason}): {GET_WEIGHTS}") from error

    @torch.no_grad()
    def features(images: Tensor) -> Features:
        return Features(*(found.float().cpu() for found in network(images.to(device))))

    return features


def to_rgb(pictures: Tensor, background: tuple[int, int, int]) -> Tensor:
    """uint8 (N, 1, 3 or 4, R, R) -> uint8 (N, 3, R, R).

    Grey is repeated; what is transparent shows the background, rounded once.
    """
    channels = pictures.shape[1]
    if channels == 1:
        return pictures.repeat(1, 3, 1, 1)
    if channels == 3:
        return pictures
    alpha = pictures[:, 3:].float() / 255
    behind = torch.tensor(background, device=pictures.device).view(3, 1, 1)
    return torch.lerp(behind.float(), pictures[:, :3].float(), alpha).round().byte()
