"""Draws from an export in a process of its own, without progan: how others will load it.

    python -I reload.py FORMAT FOLDER latents.npy images.npy

Imports nothing of progan, and could not: that is what this file is for.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

sys.modules["progan"] = None  # type: ignore[assignment]  # to import it is an error from here on

import numpy as np  # noqa: E402
import torch  # noqa: E402


def plain(folder: Path, latents: np.ndarray) -> np.ndarray:
    """By the generator.py beside the weights."""
    found = importlib.util.spec_from_file_location("generator", folder / "generator.py")
    assert found is not None and found.loader is not None
    code = importlib.util.module_from_spec(found)
    found.loader.exec_module(code)
    (weights,) = folder.glob("*.safetensors")
    images: np.ndarray = code.load(weights)(torch.from_numpy(latents)).numpy()
    return images


def torchscript(folder: Path, latents: np.ndarray) -> np.ndarray:
    """By torch alone, in Python or C++."""
    generator = torch.jit.load(folder / "generator.pt")
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
    "safetensors": plain,
    "torchscript": torchscript,
    "pt2": pt2,
    "onnx": onnx,
    "mlflow": mlflow,
    "huggingface": plain,
}

if __name__ == "__main__":
    kind, folder, latents, images = sys.argv[1:]
    np.save(images, READERS[kind](Path(folder), np.load(latents)))
