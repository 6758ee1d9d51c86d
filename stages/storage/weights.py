"""Weights from a file that may come from anywhere, for a network that is there already."""

from pathlib import Path

from torch import Tensor, nn

from progan.stages.errors import NetworksError
from progan.stages.networks.weights.spectral import convert_spectral_norm
from progan.stages.storage.tensors import read_tensors


def fitting_weights(file: Path, network: nn.Module) -> dict[str, Tensor]:
    """All weights of a network, which may be on the meta device.

    NetworksError unless the file holds exactly these, in names, shapes and types, and finite.
    """
    try:
        weights = convert_spectral_norm(read_tensors(file), network)
    except OSError:
        raise
    except Exception as error:  # of torch and safetensors, by what is wrong
        reason = str(error).splitlines()[0][:200]
        raise NetworksError(f"{file} holds no weights of this network: {reason}") from error
    expected = network.state_dict()
    for name in sorted(weights.keys() | expected.keys()):
        found, right = (_kind(tensors.get(name)) for tensors in (weights, expected))
        if found != right:
            raise NetworksError(f"{file} does not fit: {right} expected, {found} found, first "
                                f"{name[:100]}")  # fmt: skip
        if not weights[name].isfinite().all():
            raise NetworksError(f"{file} holds NaN or infinite values, first in {name}")
    return weights


def _kind(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"
