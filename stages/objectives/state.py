"""What parts of an objective remember from one step to the next: tensors by name.

They are the same on all ranks, lie in a checkpoint's pieces.safetensors and begin anew with every
stage: another resolution is another game.
"""

import torch
from torch import Tensor, nn

from progan.stages.objectives import began, historical_average
from progan.stages.specs.losses import Began
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import HistoricalAverage, NetworkName

Pieces = dict[str, Tensor]
CPU = torch.device("cpu")


def first(
    spec: ObjectiveSpec, networks: dict[NetworkName, nn.Module], device: torch.device = CPU
) -> Pieces:
    """What a stage's objective remembers before its first step; its networks are on `device`."""
    pieces: Pieces = {}
    if isinstance(spec.loss, Began):
        pieces |= began.first(device)
    for each in spec.penalties:
        if isinstance(each, HistoricalAverage):
            for name in each.networks:
                pieces |= historical_average.first(name, networks[name])
    return pieces


def restore(pieces: Pieces, stored: Pieces) -> None:
    """Set what a checkpoint has stored."""
    for name, value in pieces.items():
        value.copy_(stored[name])
