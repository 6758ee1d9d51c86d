"""Loads an export without progan and draws pictures from it; check.py runs it in a new process.

    python -I reload.py FORMAT FOLDER latents.npy images.npy

Importing progan is an error here, so that exports cannot depend on it.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch


def standalone(folder: Path, latents: np.ndarray) -> np.ndarray:
    """By generator.py in the same folder as the weights."""
    spec = importlib.util.spec_from_file_location("generator", folder / "generator.py")
    assert spec is not None and spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    (weights,) = folder.glob("*.safetensors")
    images: np.ndarray = code.load(weights)(torch.from_numpy(latents)).numpy()
    return images


def torchscript(folder: Path, latents: np.ndarray) -> np.ndarray:
    """By torch alone, in Python or C++."""
    generator = torch.jit.load(folder / "generator.pt")  # type: ignore[no-untyped-call]
    images: np.ndarray = generator(torch.from_numpy(latents)).numpy()
    return images


def pt2(folder: Path, latents: np.ndarray) -> np.ndarray:
    """By torch alone."""
    generator = torch.export.load(folder / "generator.pt2").module()
    images: np.ndarray = generator(torch.from_numpy(latents)).numpy()
    return images


def onnx(folder: Path, latents: np.ndarray) -> np.ndarray:
    """By ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        folder / "generator.onnx", providers=["CPUExecutionProvider"]
    )
    (images,) = session.run(["images"], {"latents": latents})
    return np.asarray(images)


def mlflow(folder: Path, latents: np.ndarray) -> np.ndarray:
    """By MLflow."""
    import mlflow

    return np.asarray(mlflow.pyfunc.load_model(str(folder)).predict(latents))


READERS: dict[str, Callable[[Path, np.ndarray], np.ndarray]] = {
    "safetensors": standalone,
    "torchscript": torchscript,
    "pt2": pt2,
    "onnx": onnx,
    "mlflow": mlflow,
    "huggingface": standalone,
}

if __name__ == "__main__":
    sys.modules["progan"] = None  # type: ignore[assignment]  # importing it is an error
    kind, folder, latents, images = sys.argv[1:]
    np.save(images, READERS[kind](Path(folder), np.load(latents)))
