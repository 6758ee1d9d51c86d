"""Grey pictures and pictures with alpha, from a folder of files to the exported generator."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from progan.datasets.synthetic import draw_dataset
from progan.pipeline.cli.main import main
from workers import BIN

MODES = {1: "L", 4: "RGBA"}
CONFIG = """
data: {path: data}
model: {latent: 16, fmap_base: 64, fmap_max: 16}
growth: {first: 4, last: 8, fade_kimg: 0.032, steady_kimg: 0.032}
batch: 16
engine: {precision: fp32}
ticks: {kimg: 0.032, grid: 4}
tracking: {mlflow: off}
"""


def mode(picture: Path) -> str:
    with Image.open(picture) as image:
        return image.mode


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_keep_their_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> None:
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output

    draw_dataset(tmp_path / "pictures", num=32, size=8, channels=channels)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    run("prepare", "pictures", "data", "--resolution", "8", "--channels", str(channels))
    run("data", "preview", "data", "preview.png")
    train = [str(BIN / "progan"), "train", "tiny.yaml", "--run", "run"]
    done = subprocess.run(train, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    run("export", "run", "model")
    run("generate", "model", "single", "--num", "2")
    run("generate", "model", "grid.png", "--num", "4")
    run("interpolate", "model", "loop.mp4", "--seconds", "0.2", "--num", "2")
    run("timelapse", "run", "film.gif", "--seconds", "0.2")
    run("evaluate", "run", "--metrics", "ms_ssim")
    assert {mode(file) for file in (tmp_path / "single").iterdir()} == {MODES[channels]}
    sheets = [tmp_path / "grid.png", *(tmp_path / "run").rglob("samples/*.png")]
    assert {mode(sheet) for sheet in sheets} == {"L" if channels == 1 else "RGB"}
    described = json.loads((tmp_path / "model" / "generator.json").read_text())
    assert described["model"]["channels"] == channels
    assert f"channels: {channels}\n" in (tmp_path / "run" / "config.yaml").read_text()
