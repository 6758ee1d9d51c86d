"""The export formats and their writers. Does not import torch."""

from collections.abc import Callable
from pathlib import Path

from progan.pipeline.exports.hugging_face import write_hugging_face
from progan.pipeline.exports.mlflow_model import write_mlflow_model
from progan.pipeline.exports.onnx_model import write_onnx
from progan.pipeline.exports.torch_programs import write_pt2, write_torchscript

Writer = Callable[[Path, Path], None]
"""(the safetensors export, the folder to write)"""

WRITERS: dict[str, Writer | None] = {
    "safetensors": None,
    "torchscript": write_torchscript,
    "pt2": write_pt2,
    "onnx": write_onnx,
    "mlflow": write_mlflow_model,
    "huggingface": write_hugging_face,
}
