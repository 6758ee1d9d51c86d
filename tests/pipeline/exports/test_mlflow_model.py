"""MLflow's own server serves an exported model."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from networks import published
from progan.pipeline.sampling.generate import load_generator
from workers import BIN


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    published(folder / "final", resolution=8, classes=3)
    # In another process, since importing MLflow causes warnings.
    command = [str(BIN / "progan"), "export", "final", "mlflow", "--format", "mlflow"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "mlflow"


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[str]:
    """The address of `mlflow models serve`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model)]
    with subprocess.Popen(
        [*command, "--env-manager", "local", "--port", str(port), "--workers", "1"],
        # MLflow starts uvicorn from the PATH.
        env=os.environ
        | {"PATH": f"{BIN}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        address = f"http://127.0.0.1:{port}"
        while process.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/ping")
                break
            except OSError:
                time.sleep(0.2)
        yield address
        os.killpg(process.pid, signal.SIGTERM)


def predict(server: str, **document: Any) -> Any:
    request = urllib.request.Request(
        f"{server}/invocations",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())["predictions"]


@pytest.mark.slow
def test_server_returns_arrays_and_png_files(server: str, model: Path) -> None:
    latents = np.random.default_rng(1).standard_normal((3, 16 + 3), dtype=np.float32)
    expected = load_generator(model)(torch.from_numpy(latents)).numpy()
    drawn = np.array(predict(server, inputs=latents.tolist()))
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    files = predict(server, inputs=latents.tolist(), params={"output": "png"})
    (model / "first.png").write_bytes(base64.b64decode(files[0]))
    with Image.open(model / "first.png") as picture:
        colours = np.asarray(picture).transpose(2, 0, 1)
    np.testing.assert_allclose(colours, ((expected[0] + 1) * 127.5).clip(0, 255), atol=0.51)
