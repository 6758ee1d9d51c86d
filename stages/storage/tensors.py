"""Tensors by name, to and from safetensors files."""

from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor, nn


def parameters(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters by name, copied to the CPU.

    Each has its own storage, as safetensors requires: DeepSpeed makes them views of one buffer.
    """
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file, with permissions from the umask.

    The library's own `save_file` makes files that only their owner can read.
    """
    path.write_bytes(save(tensors, metadata))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU."""
    return load_file(path)
