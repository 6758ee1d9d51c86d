"""The ONNX export."""

import contextlib
import os
from pathlib import Path

from progan.pipeline.exports.bundle import describe_generator
from progan.pipeline.exports.torch_programs import load_standalone

OPSET = 18
"""The oldest that torch writes without conversion, for the widest support"""


def write_onnx(model: Path, out: Path) -> None:
    """Write generator.onnx: latents (N, inputs) -> images (N, C, R, R), for any N."""
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401  # fail before the conversion, which takes minutes
    import torch

    generator = load_standalone(model)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        program = torch.onnx.export(
            generator,
            (torch.zeros(2, generator.inputs),),
            dynamo=True,
            # Its optimiser replaces pixel norm's 1e-8 by 0, and a latent of zeros would give NaN.
            optimize=False,
            opset_version=OPSET,
            input_names=["latents"],
            output_names=["images"],
            dynamic_shapes={"latents": {0: torch.export.Dim("number", min=1)}},
        )
    assert program is not None
    program.save(out / "generator.onnx")
    describe_generator(model, out, "generator.onnx", OPSET)
