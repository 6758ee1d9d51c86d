"""Which folders are classes: not train and test, not numbered parts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from progan.datasets.errors import DataError
from progan.datasets.sources.labels import Labels, assign
from progan.datasets.sources.listing import Entry, Listing
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.cli.main import main


def labels(*names: str, choice: str | None = None, notes: list[str] | None = None) -> Labels:
    note = [] if notes is None else notes
    return assign(Listing([Entry(name) for name in names]), "pictures", choice, note.append)


SPLITS = ("test/cat/1.png", "test/dog/2.png", "train/cat/3.png", "train/dog/4.png")


def test_train_and_test_are_no_classes() -> None:
    notes: list[str] = []
    assert labels(*SPLITS, notes=notes) == ((0, 1, 0, 1), ("cat", "dog"))
    assert len(notes) == 1 and "test and train are taken for parts" in notes[0]
    assert "--labels folders" in notes[0]
    assert labels("train/1.png", "test/2.png") == (None, None)


@pytest.mark.parametrize("other", ["val", "valid", "Validation", "test_set", "val2017", "dev"])
def test_names_of_parts_of_a_data_set(other: str) -> None:
    found = labels("x/train/a/1.png", f"x/{other}/a/2.png", f"x/{other}/b/3.png")
    assert found == ((0, 0, 1), ("a", "b"))


def test_domains_of_cyclegan_are_classes() -> None:
    assert labels("testA/1.png", "trainA/2.png", "trainB/3.png") == ((0, 0, 1), ("A", "B"))


def test_folders_can_be_chosen() -> None:
    assert labels(*SPLITS, choice="folders") == ((0, 0, 1, 1), ("test", "train"))
    assert labels(*SPLITS, choice="innermost") == ((0, 1, 0, 1), ("cat", "dog"))
    deep = labels("a/x/1.png", "b/y/x/2.png", "b/z/3.png", choice="innermost")
    assert deep == ((0, 0, 1), ("x", "z"))


@pytest.mark.parametrize("choice", ["folders", "innermost"])
def test_chosen_folders_must_hold_all_pictures(choice: str) -> None:
    with pytest.raises(DataError, match=f"--labels {choice}: 1 of 2 pictures lie in no class"):
        labels("a/1.png", "2.png", choice=choice)


@pytest.mark.parametrize(
    "names",
    [
        ("00000/img00000000.png", "00000/img00000999.png", "00001/img00001000.png"),  # StyleGAN
        ("00000/00999.png", "01000/01000.png"),  # FFHQ
        ("00000/000000007.jpg", "00001/000010003.jpg"),  # img2dataset
        ("images_001/00000001_000.png", "images_002/00001336_000.png"),  # NIH chest X-rays
        ("part-0/a.png", "part-1/b.png"),
    ],
)
def test_numbered_parts_are_no_classes(names: tuple[str, ...]) -> None:
    notes: list[str] = []
    assert labels(*names, notes=notes) == (None, None)
    assert "numbered parts" in notes[0] and "--labels folders" in notes[0]
    assert labels(*names, choice="folders")[0] is not None


@pytest.mark.parametrize(
    "names",
    [
        ("0/1.png", "1/2.png"),  # MNIST
        ("0000045/001.jpg", "0000099/001.jpg"),  # CASIA-WebFace
        ("00000/00000_00000.ppm", "00001/00000_00000.ppm"),  # GTSRB
        (f"00000/{'1' * 5000}.png", f"00001/{'2' * 5000}.png"),  # a tar may hold such names
        ("n01440764/n01440764_18.JPEG", "n01443537/n01443537_2.JPEG"),  # ImageNet
    ],
)
def test_numbered_classes_are_classes(names: tuple[str, ...]) -> None:
    assert labels(*names)[0] == (0, 1)


def test_stylegan_data_without_labels_has_none() -> None:
    entries = [Entry("00000/img00000000.png"), Entry("00001/img00001000.png")]
    listing = Listing(entries, label_files=[("", b'{"labels": null}')])
    assert assign(listing, "pictures", None) == (None, None)


def test_shard_with_a_folder_of_its_own_name() -> None:
    names = ["00000.tar/./00000/000000000.jpg", "00001.tar/./00001/000010000.jpg"]
    listing = Listing([Entry(name) for name in names], in_shards=True)
    assert assign(listing, "pictures", None) == (None, None)


def test_backslashes_and_composed_names() -> None:
    assert labels("a\\1.png", "b\\2.png") == ((0, 1), ("a", "b"))
    assert labels("o\u0308/1.png", "\u00f6/2.png", "x/3.png") == ((1, 1, 0), ("x", "\u00f6"))


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("a/1.png", "b/2.png", "cover.png"), "no labels: 1 of 3 .* such as cover.png"),
        (("train/a/1.png", "train/b/2.png", "val/3.png"), "1 of 3 .* such as val/3.png"),
        (("images/1.png", "masks/1.png"), "folder masks become a class; if they are masks"),
        (tuple(f"{n}x/1.png" for n in range(30)), "30 classes for 30 pictures: .* --labels none"),
    ],
)
def test_what_a_user_may_not_expect_is_noted(names: tuple[str, ...], line: str) -> None:
    notes: list[str] = []
    labels(*names, notes=notes)
    with pytest.raises(AssertionError, match=line):
        raise AssertionError(notes[-1])


def test_prepare_prints_the_notes(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "s" / "train", num=6, size=8)
    draw_dataset(tmp_path / "s" / "test", num=6, size=8)
    arguments = ["prepare", str(tmp_path / "s"), str(tmp_path / "d"), "--resolution", "4"]
    result = CliRunner().invoke(main, [*arguments, "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "12 pictures, 6 classes" in result.stderr
    assert result.stderr.count("the folders test and train are taken for parts") == 1
