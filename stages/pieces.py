"""What parts of an objective remember from one step to the next: tensors by name.

They are the same on all ranks, lie in a checkpoint's pieces.safetensors and begin anew with every
stage: another resolution is another game.
"""

from torch import Tensor, nn

from progan.stages import began, historical
from progan.stages.spec import ObjectiveSpec
from progan.stages.spec_losses import Began
from progan.stages.spec_penalties import HistoricalAverage, NetworkName

Pieces = dict[str, Tensor]


def first(spec: ObjectiveSpec, networks: dict[NetworkName, nn.Module]) -> Pieces:
    """What a stage's objective remembers before its first step, where its networks are."""
    pieces: Pieces = {}
    if isinstance(spec.loss, Began):
        pieces |= began.first()
    for each in spec.penalties:
        if isinstance(each, HistoricalAverage):
            for name in each.networks:
                pieces |= historical.first(name, networks[name])
    return pieces


def restore(pieces: Pieces, stored: Pieces) -> None:
    """Set what a checkpoint has stored."""
    for name, value in pieces.items():
        value.copy_(stored[name])
