"""Checks an export: another process, without progan, must draw the same pictures from it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from progan.pipeline.errors import RunError

RELOAD = Path(__file__).parent / "reload.py"
MEAN_TOLERANCE = 1e-4
"""Of pictures in [-1, 1]; other weights or operations differ by more"""
TOLERANCE = 1 / 255
"""Of a single value: half a step of 8 bits. Pixel norm amplifies rounding where it divides by a
norm near zero, the more the fewer feature maps there are"""


def fixed_latents(inputs: int) -> np.ndarray:
    """Latents for the comparison: (5, inputs), float32, the last one zeros.

    Five, since programs are traced with two; zeros, since pixel norm then depends on its epsilon.
    """
    latents = np.random.default_rng(0).standard_normal((5, inputs), dtype=np.float32)
    latents[-1] = 0
    return latents


def check(kind: str, folder: Path, latents: np.ndarray, expected: np.ndarray) -> None:
    """Draw from an export in a new process; RunError unless the pictures are as expected."""
    with tempfile.TemporaryDirectory() as temporary:
        inputs, outputs = Path(temporary) / "latents.npy", Path(temporary) / "images.npy"
        np.save(inputs, latents)
        process = subprocess.run(
            # -I: import nothing from the current folder, PYTHONPATH or the user's site-packages;
            # -B: write no byte code into the export.
            [sys.executable, "-IB", str(RELOAD), kind, str(folder), str(inputs), str(outputs)],
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if process.returncode:
            last = (process.stdout.strip().splitlines() or ["it said nothing"])[-1]
            raise RunError(f"the {kind} export cannot be loaded without progan: {last}")
        images = np.load(outputs)
    if images.shape != expected.shape:
        raise RunError(f"the {kind} export draws {images.shape} where {expected.shape} is right")
    differences = np.abs(images - expected)
    mean, most = float(differences.mean()), float(differences.max())
    if not (mean <= MEAN_TOLERANCE and most <= TOLERANCE):
        raise RunError(
            f"the {kind} export draws other pictures than the run's generator: they differ by "
            f"{mean:.2g} in the mean and {most:.2g} at most, more than {MEAN_TOLERANCE:g} or "
            f"{TOLERANCE:.2g}"
        )
