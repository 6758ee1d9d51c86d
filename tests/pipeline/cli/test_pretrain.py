"""The command `progan pretrain`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.cli.main import main
from progan.pipeline.run import pretraining
from progan.stages.storage.encoder_folder import read_encoder
from progan.stages.storage.tensors import read_tensors
from workers import content

NARROW = ("--fmap-base", "64", "--fmap-max", "8", "--batch", "16")


def pretrain(*words: object) -> Result:
    return CliRunner().invoke(main, ["pretrain", *map(str, words)])


def test_same_command_gives_the_same_bytes(shapes: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        ended = pretrain(shapes, tmp_path / name, *NARROW, "--kimg", "0.1", "--resolution", "8")
        assert ended.exit_code == 0, ended.output
        assert "encoder at 8x8 after 112 images, mean squared error" in ended.stderr
    assert content(tmp_path / "a") == content(tmp_path / "b")
    with Image.open(tmp_path / "a" / "reconstructions.png") as picture:
        assert picture.width > 3 * picture.height
    pretrain(shapes, tmp_path / "c", *NARROW, "--kimg", "0.1", "--resolution", "8", "--seed", "1")
    first, other = (read_encoder(tmp_path / name)[1].sha256 for name in ("a", "c"))
    assert first != other


def test_error_falls_in_training(shapes: Path, tmp_path: Path) -> None:
    errors = []
    for kimg in (0.016, 1.6):
        folder = tmp_path / str(kimg)
        pretrain(shapes, folder, *NARROW, "--kimg", kimg, "--resolution", "8")
        errors.append(read_encoder(folder)[0].reconstruction_error)
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_alpha(tmp_path: Path, channels: int) -> None:
    draw_dataset(tmp_path / "pictures", num=16, size=8, channels=channels)
    prepare(tmp_path / "pictures", tmp_path / "data", 8, channels=channels, workers=1)
    ended = pretrain(tmp_path / "data", tmp_path / "out", *NARROW, "--kimg", "0.032")
    assert ended.exit_code == 0, ended.output
    encoder, _ = read_encoder(tmp_path / "out")
    assert (encoder.channels, encoder.resolution) == (channels, 8)
    weights = read_tensors(tmp_path / "out" / "encoder.safetensors")
    assert weights["from_rgb.8.weight"].shape == (8, channels, 1, 1)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--resolution", "32"), 3, "holds 4 to 16 pixels, not 32"),
        (("--fmap-base", "4"), 2, "--fmap-base: 4 leaves no feature map at 16; use at least 8"),
        ((*NARROW, "--lr", "1e30"), 1, "not finite after"),
    ],
)
def test_wrong_words_leave_nothing(
    words: tuple[str, ...], code: int, says: str, shapes: Path, tmp_path: Path
) -> None:
    ended = pretrain(shapes, tmp_path / "out", "--batch", 16, "--kimg", "0.1", *words)
    assert (ended.exit_code, says in ended.stderr) == (code, True), ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_kept(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    ended = pretrain(shapes, tmp_path / "out", "--kimg", "0.1")
    assert ended.exit_code == 2 and "is there already: choose another OUT" in ended.stderr


def test_failure_while_writing_leaves_nothing(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "out"))

    monkeypatch.setattr(pretraining, "write_tensors", full)
    ended = pretrain(shapes, tmp_path / "out", *NARROW, "--kimg", "0.016")
    assert ended.exit_code == 1 and "No space left on device" in ended.stderr
    assert list(tmp_path.iterdir()) == []
