"""The commands `progan prepare` and `progan data`."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from progan.datasets.synthetic import draw_dataset
from progan.pipeline.cli.main import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    draw_dataset(folder, num=40, size=20)
    (folder / "disc" / "broken.png").write_bytes(b"text")
    return folder


@pytest.fixture(scope="module")
def made(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("made") / "shapes"
    result = run("prepare", pictures, dataset, "--resolution", 32, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "41 pictures, 0 of them done; about" in result.stderr
    assert "40 pictures, 6 classes at 4 to 32 pixels" in result.stderr
    assert "40 of them were smaller and have been enlarged" in result.stderr
    assert "1 files could not be used" in result.stderr
    assert result.stdout == ""
    return dataset


def test_info_shows_a_table(made: Path) -> None:
    result = run("data", "info", made)
    assert result.exit_code == 0
    for text in ("40 pictures, RGB", "32x32", "webp", "6 classes: cross 7", "fingerprint"):
        assert text in " ".join(result.stdout.split())


def test_info_as_json(made: Path) -> None:
    document = json.loads(run("data", "info", made, "--json").stdout)
    assert document["samples"] == 40
    assert document["rejected"] == 1
    assert document["enlarged"] == 40
    assert list(document["levels"]) == ["4", "8", "16", "32"]
    assert document["classes"]["star"] == 6
    assert document["options"]["crop"] == "center"


def test_verify_of_an_intact_data_set(made: Path) -> None:
    result = run("data", "verify", made)
    assert result.exit_code == 0
    assert "is whole: 8 shards" in result.stdout


def test_verify_finds_damage_and_prepare_repairs_it(made: Path, pictures: Path) -> None:
    tar = made / "0008" / "000000.tar"
    content = bytearray(tar.read_bytes())
    content[600] ^= 1
    tar.write_bytes(content)
    (made / "0004" / "000001.tar").unlink()
    result = run("data", "verify", made, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 3
    assert not document["whole"]
    assert "0004/000001.tar is missing" in document["problems"][0]
    assert "0008/000000.tar has changed" in document["problems"][1]
    assert "2 problems in" in run("data", "verify", made).stdout

    (made / "manifest.json").unlink()
    assert run("prepare", pictures, made, "--resolution", 32, "--workers", 1).exit_code == 0
    assert run("data", "verify", made).exit_code == 0


def test_preview_writes_a_png(made: Path, tmp_path: Path) -> None:
    result = run("data", "preview", made, tmp_path / "sheet.png", "--num", 3)
    assert result.exit_code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * 128
        assert sheet.height > 4 * 128


def test_options_are_passed_to_the_build(pictures: Path, tmp_path: Path) -> None:
    result = run(
        "prepare", pictures, tmp_path / "d", "--resolution", 8, "--channels", 4, "--crop", "pad",
        "--background", "#010203", "--codec", "npy", "--labels", "none", "--max-rejected", "10%",
        "--workers", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(run("data", "info", tmp_path / "d", "--json").stdout)
    assert document["channels"] == 4
    assert document["classes"] is None
    assert document["levels"]["8"]["codec"] == "npy"
    assert document["options"]["background"] == [1, 2, 3]
    assert run("data", "preview", tmp_path / "d", tmp_path / "sheet.png").exit_code == 0


def test_source_of_several_kinds_needs_an_option(
    made: Path, pictures: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(pictures, tmp_path / "s"))
    shutil.copy(made / "0016" / "000000.tar", source / "stray.tar")
    arguments = ("prepare", source, tmp_path / "d", "--resolution", 8, "--workers", 1)
    result = run(*arguments)
    assert result.exit_code == 3
    assert "1 tar file and 41 pictures in folders: choose what to read with --" in result.stderr
    result = run(*arguments, "--source-kind", "tar")
    assert result.exit_code == 0
    assert "31 pictures, 6 classes at 4 to 8 pixels" in result.stderr


def test_column_of_a_table_and_extension_are_passed_to_the_build(tmp_path: Path) -> None:
    names = [f"{n:06d}" for n in range(4)]
    rows = "".join(f"{name}.png  -1  {'1' if name < '000003' else '-1'}\n" for name in names)
    (tmp_path / "list.txt").write_text(f"4\nBald Smiling\n{rows}gone.png 1 1\n")
    (tmp_path / "s").mkdir()
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / "s" / f"{name}.png")
        Image.new("L", (8, 8)).save(tmp_path / "s" / f"{name}.gif")
    result = run(
        "prepare", tmp_path / "s", tmp_path / "d", "--resolution", 4, "--workers", 1,
        "--labels", f"{tmp_path / 'list.txt'}:Smiling", "--extension", "png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "list.txt: 1 of 5 labels match no picture: gone.png" in result.stderr
    document = json.loads(run("data", "info", tmp_path / "d", "--json").stdout)
    assert document["classes"] == {"-1": 1, "1": 3}


def test_extension_must_be_named(pictures: Path, tmp_path: Path) -> None:
    result = run("prepare", pictures, tmp_path / "d", "--resolution", 4, "--extension", "jpg,")
    assert result.exit_code == 2
    assert "names no extension: give for example jpg or jpg,png" in result.stderr


def test_classes_without_pictures_are_told(pictures: Path, tmp_path: Path) -> None:
    names = sorted(p.relative_to(pictures).as_posix() for p in pictures.rglob("*.png"))
    labels = [[name, 3 * (n % 2)] for n, name in enumerate(names)]
    (tmp_path / "labels.json").write_text(json.dumps({"labels": labels}))
    result = run(
        "prepare", pictures, tmp_path / "d", "--resolution", 4, "--workers", 1,
        "--labels", tmp_path / "labels.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stderr.count("2 of 4 classes have no pictures: 1, 2.") == 1
    shown = " ".join(run("data", "info", tmp_path / "d").stdout.split())
    assert "4 classes: 0 20, 1 0, 2 0, 3 20 2 of them have no pictures: 1, 2" in shown


@pytest.mark.parametrize(
    ("num", "line"), [(1, "warning: 1 picture: "), (2, "warning: 2 pictures: ")]
)
def test_data_set_of_few_pictures_gives_a_warning(tmp_path: Path, num: int, line: str) -> None:
    draw_dataset(tmp_path / "s", num=num, size=8)
    result = run("prepare", tmp_path / "s", tmp_path / "d", "--resolution", 8, "--workers", 1)
    assert result.exit_code == 0
    assert f"\n{line}a network learns so few by heart" in result.stderr


def test_source_without_pictures_exits_with_3(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    result = run("prepare", tmp_path / "s", tmp_path / "d", "--resolution", 8)
    assert result.exit_code == 3
    assert "no pictures in" in result.stderr


def test_too_many_rejects_exit_with_3(pictures: Path, tmp_path: Path) -> None:
    arguments = ("prepare", pictures, tmp_path / "d", "--resolution", 8, "--workers", 1)
    result = run(*arguments, "--max-rejected", 1)
    assert result.exit_code == 3
    assert "1 of 41 files of" in result.stderr
    assert "disc/broken.png: not a picture of a known format" in result.stderr


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("{folder}/part-{{0..1}}.tar", ["part-0.tar does not exist or is not a file: "]),
        ("pipe:exit 7", ["copying pipe:exit 7", "pipe:exit 7 failed with exit code 7"]),
        (
            "pipe:false ftp://me:pw@host",
            ["copying pipe:false ftp://***@host", "ftp://***@host fai"],
        ),
    ],
)
def test_source_that_cannot_be_read_exits_with_3(
    tmp_path: Path, source: str, lines: list[str]
) -> None:
    result = run("prepare", source.format(folder=tmp_path), tmp_path / "d", "--resolution", 8)
    assert result.exit_code == 3
    found = result.stderr.splitlines()
    assert all(text in line for text, line in zip(lines, found, strict=True))
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--max-rejected", "120%", "is not a percentage from 0 to 100"),
        ("--background", "blurple", "is no colour"),
        ("--channels", "2", "is not one of '1', '3', '4'"),
    ],
)
def test_wrong_usage_exits_with_2(
    pictures: Path, tmp_path: Path, option: str, value: str, message: str
) -> None:
    result = run("prepare", pictures, tmp_path / "d", "--resolution", 8, option, value)
    assert result.exit_code == 2
    assert message in result.stderr
