"""Tensors by name, to and from safetensors files."""

from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor, nn


def parameters(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters by name, copied to the CPU.

    One storage each, as safetensors wants them: DeepSpeed makes them views into one buffer.
    """
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def write_tensors(
    path: Path, tensors: dict[str, Tensor], about: dict[str, str] | None = None
) -> None:
    """Write a safetensors file that whoever may read the folder may read.

    The library's own `save_file` makes files for their owner's eyes only.
    """
    path.write_bytes(save(tensors, about))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU."""
    return load_file(path)
