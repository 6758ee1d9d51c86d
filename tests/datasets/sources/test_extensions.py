"""Of pictures that belong together, such as a photograph and its mask, one is used."""

import io
import tarfile
from pathlib import Path

import pytest

from progan.datasets.errors import DataError
from progan.datasets.sources.extensions import choose
from progan.datasets.sources.listing import Entry, Listing
from progan.datasets.sources.source import open_source


def chosen(*names: str, extensions: tuple[str, ...] = (), samples: bool = True) -> list[str]:
    listing = Listing([Entry(name) for name in names], in_samples=samples)
    return [entry.name for entry in choose(listing, "s.tar", extensions).entries]


def test_mask_in_a_tar_is_no_picture(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("1.jpg", "1.png", "1.cls", "2.jpg", "2.png", "2.cls"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(name[:1].encode()))
    notes: list[str] = []
    source = open_source(tmp_path / "a.tar", note=notes.append)
    assert source.names == ("1.jpg", "2.jpg")
    assert source.labels == (1, 2)
    assert "2 samples hold several pictures, such as 1.jpg and 1.png: .jpg is used" in notes[0]
    assert open_source(tmp_path / "a.tar", extensions=["png"]).names == ("1.png", "2.png")


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("1.jpg", "1.png", "2.png"), ["1.jpg", "2.png"]),
        (("1.png", "1.seg.png", "1.depth.png"), ["1.png"]),
        (("1.JPG", "1.seg.png"), ["1.JPG"]),
        (("1.left.png", "1.right.png"), ["1.left.png", "1.right.png"]),
        (
            ("at 10.20.png", "at 10.30.png", "at 10.png"),
            ["at 10.20.png", "at 10.30.png", "at 10.png"],
        ),
        (("v1.0/1.jpg", "v1.0/2.png"), ["v1.0/1.jpg", "v1.0/2.png"]),
    ],
)
def test_usual_picture_of_a_sample(names: tuple[str, ...], kept: list[str]) -> None:
    assert chosen(*names) == kept


def test_sample_without_a_usual_picture_needs_a_choice() -> None:
    with pytest.raises(DataError, match="1.png and 1.webp: choose by --extension png or --ext"):
        chosen("1.png", "1.webp")


@pytest.mark.parametrize(
    ("extensions", "kept"),
    [
        (("png",), ["1.png", "2.seg.png"]),
        ((".PNG",), ["1.png", "2.seg.png"]),
        (("seg.png",), ["1.seg.png", "2.seg.png"]),
        (("jpg", "png"), ["1.png", "2.jpg"]),
        (("png", "jpg"), ["1.png", "2.seg.png"]),
    ],
)
def test_extension_can_be_chosen(extensions: tuple[str, ...], kept: list[str]) -> None:
    names = ("1.png", "1.seg.png", "2.jpg", "2.seg.png")
    assert chosen(*names, extensions=extensions) == kept
    assert chosen(*names, extensions=extensions, samples=False) == kept


def test_extension_that_no_picture_has() -> None:
    with pytest.raises(DataError, match=r"ends in \.jpg or \.gif: it has 2 \.png"):
        chosen("1.png", "2.png", extensions=("jpg", "gif"))


def test_pairs_in_a_folder_are_kept_and_noted() -> None:
    notes: list[str] = []
    listing = Listing([Entry("a/1.jpg"), Entry("a/1.png")])
    assert choose(listing, "s", (), notes.append) == listing
    assert "a/1.jpg and a/1.png: all are used" in notes[0]
