"""The torch.export (.pt2) and TorchScript exports, which torch runs without the model's code."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from progan.pipeline.exports.bundle import describe_generator
from progan.stages.storage.pretrained import WEIGHTS

if TYPE_CHECKING:
    from progan.pipeline.exports.standalone_generator import Generator


def write_pt2(model: Path, out: Path) -> None:
    """Write generator.pt2, for torch.export.load(...).module(), with any batch size."""
    import torch

    generator = load_standalone(model)
    number = torch.export.Dim("number", min=1)
    program = torch.export.export(
        generator,
        (torch.zeros(2, generator.inputs),),
        dynamic_shapes={"latents": {0: number}},
    )
    torch.export.save(program, out / "generator.pt2")
    describe_generator(model, out, "generator.pt2")


def write_torchscript(model: Path, out: Path) -> None:
    """Write generator.pt, for torch.jit.load in Python or C++, with any batch size."""
    import torch

    generator = load_standalone(model)
    with warnings.catch_warnings():
        # torch recommends .pt2 instead, but programs that embed libtorch still use TorchScript.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        latents = torch.zeros(2, generator.inputs)
        program = torch.jit.trace(generator, latents)  # type: ignore[no-untyped-call]
        program.save(out / "generator.pt")
    describe_generator(model, out, "generator.pt")


def load_standalone(model: Path) -> "Generator":
    """The generator of the safetensors export, with run-time scales multiplied into its weights."""
    from progan.pipeline.exports.standalone_generator import load

    return load(model / WEIGHTS)
