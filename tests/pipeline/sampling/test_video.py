"""Videos and pictures from the command line: contents of the files, and errors."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageChops, ImageSequence
from safetensors.torch import save_file

from drawn_run import draw_run
from progan.datasets.files import sha256_file
from progan.pipeline.errors import RunError
from progan.pipeline.report.timelapse import all_grids, film
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.sampling.video import write_movie
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.storage.pretrained import DOCUMENT, WEIGHTS, ExportedGenerator

PROGAN = str(Path(sys.executable).with_name("progan"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained generator, `model`, and a run, `run`."""
    folder = tmp_path_factory.mktemp("videos")
    model = ModelSpec(latent=16, fmap_base=64, fmap_max=16)
    (folder / "model").mkdir()
    save_file(Generator(model, 8).state_dict(), folder / "model" / WEIGHTS)
    document = ExportedGenerator(
        resolution=8,
        model=model,
        images_seen=1,
        latents="",
        sha256=sha256_file(folder / "model" / WEIGHTS),
    )
    (folder / "model" / DOCUMENT).write_text(document.model_dump_json())
    words = ("growth.last=8", "growth.fade_kimg=0.2", "growth.steady_kimg=0.1", "ticks.kimg=0.05",
             "ticks.samples_every=1", "ticks.grid=2")  # fmt: skip
    draw_run(folder / "run", *words)
    return folder


def progan(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGAN, *words], cwd=cwd, capture_output=True, text=True, timeout=120)


def decoded(file: Path) -> tuple[str, bytes]:
    """ffmpeg's description of a video, and the RGB bytes of all its frames."""
    words = ["-i", str(file), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    result = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *words], capture_output=True)
    return result.stderr.decode(), result.stdout


def test_picture_of_a_seed_does_not_depend_on_other_seeds(workspace: Path) -> None:
    for out, seeds in (("many", "0-4,100"), ("few", "100,3")):
        result = progan("generate", "model", out, "--seeds", seeds, cwd=workspace)
        assert result.returncode == 0, result.stderr
    assert len(list((workspace / "many").iterdir())) == 6
    for name in ("seed000100.png", "seed000003.png"):
        many, few = (Image.open(workspace / folder / name) for folder in ("many", "few"))
        assert ImageChops.difference(many, few).getbbox() is None


def test_interpolation_is_seamless_gif(workspace: Path) -> None:
    words = ("--seconds", "1", "--fps", "24", "--num", "3", "--grid", "2")
    result = progan("interpolate", "model", "loop.gif", *words, cwd=workspace)
    assert result.returncode == 0 and "24 frames" in result.stderr, result.stderr
    with Image.open(workspace / "loop.gif") as gif:
        frames = [np.asarray(f.convert("RGB"), float) for f in ImageSequence.Iterator(gif)]
        durations = [f.info["duration"] for f in ImageSequence.Iterator(gif)]
    assert len(frames) == 24 and sum(durations) == 1000 and set(durations) <= {40, 50}
    steps = [abs(a - b).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert abs(frames[-1] - frames[0]).mean() < 2 * max(steps)


def test_timelapse_is_h264_with_yuv420p(workspace: Path) -> None:
    words = ("--seconds", "1", "--fps", "10")
    result = progan("timelapse", "run", "growth.mp4", *words, cwd=workspace)
    assert result.returncode == 0 and "8 grids" in result.stderr, result.stderr
    about, pixels = decoded(workspace / "growth.mp4")
    assert "Video: h264" in about and "yuv420p" in about and "10 fps" in about
    width, height = 2 * 256 + 6, 2 * 256 + 6 + 44
    assert f"{width}x{height}" in about
    assert len(pixels) == 20 * width * height * 3
    assert pixels[: len(pixels) // 20] != pixels[-len(pixels) // 20 :]


def test_timelapse_frames_are_evenly_spaced_in_images_seen(workspace: Path) -> None:
    grids = all_grids(RunFolder(workspace / "run"))
    assert [grid.at for grid in grids] == [50, 100, 150, 200, 250, 300, 350, 400]
    shown = [grid.at for grid in film([grids[0], grids[3], grids[-1]], 8)]
    assert shown == [50, 50, 50, 200, 200, 200, 200, 400]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["generate", "model", "x.jpg"], 2, "a grid is written as .png"),
        (["generate", "model", "x", "--seeds", "5-2"], 2, "goes backwards"),
        (["generate", "model", "x", "--seeds", "1", "--num", "2"], 2, "choose one"),
        (["generate", "model", "x", "--truncation", "0"], 2, "--truncation"),
        (["interpolate", "model", "x.avi"], 2, "must end in .gif or .mp4"),
        (["interpolate", "model", "x.gif", "--fps", "60"], 2, "a GIF shows 50 at most"),
        (["interpolate", "model", "x.gif", "--seeds", "4"], 2, "two or more"),
        (["interpolate", "nowhere", "x.gif"], 2, "nowhere is no exported generator"),
        (["timelapse", "empty", "x.gif"], 1, "has no grids of samples yet"),
        (["timelapse", "nowhere", "x.gif"], 2, "nowhere is no run"),
        (["report", "nowhere"], 2, "nowhere is no run"),
    ],
)
def test_invalid_input_gives_one_line_and_writes_nothing(
    words: list[str], code: int, text: str, workspace: Path
) -> None:
    (workspace / "empty").mkdir(exist_ok=True)
    shutil.copy(workspace / "run" / "config.yaml", workspace / "empty")
    before = set(workspace.iterdir())
    result = progan(*words, cwd=workspace)
    assert (result.returncode, text in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr and set(workspace.iterdir()) == before


@pytest.mark.parametrize("name", ["x.gif", "x.mp4"])
def test_video_that_fails_halfway_leaves_no_file(name: str, tmp_path: Path) -> None:
    def frames() -> Iterator[Image.Image]:
        yield Image.new("RGB", (64, 64))
        raise MemoryError

    with pytest.raises(MemoryError):
        write_movie(tmp_path / name, frames(), 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kilobytes", [1, 4])  # the film has 5: ffmpeg fails early, or at the end
def test_full_disk_leaves_no_cut_film(kilobytes: int, tmp_path: Path) -> None:
    code = f"from pathlib import Path; from {write_movie.__module__} import write_movie"
    code += "; from PIL import Image; frames = [Image.effect_noise((64, 64), 80)] * 30"
    code += "; write_movie(Path('film.mp4'), frames, 25)"
    limited = f"ulimit -f {kilobytes}; exec '{sys.executable}' -c \"{code}\""
    words = ["bash", "-c", limited]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "RunError: film.mp4: ffmpeg could not write it: " in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_mp4_without_the_video_extra_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(RunError, match=r"pip install 'progan\[video\]'"):
        write_movie(tmp_path / "x.mp4", iter([Image.new("RGB", (64, 64))]), 10)
