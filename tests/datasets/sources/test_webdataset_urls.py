"""Foreign shards in webdataset's notation give the same data set as the files themselves."""

import functools
import gzip
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from progan.datasets.build.prepare import Progress, prepare
from progan.datasets.errors import DataError
from progan.datasets.format.manifest import Manifest
from progan.datasets.sources.listing import Scratch
from progan.datasets.sources.source import open_source
from progan.datasets.sources.webdataset_urls import title
from progan.datasets.webdataset_library import webdataset


@pytest.fixture(scope="module")
def shards(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of 12 pictures with labels, by webdataset's writer with its own settings."""
    folder = tmp_path_factory.mktemp("shards")
    files = sorted(pictures.rglob("*.png"), key=lambda path: path.name)
    for number in range(3):
        with webdataset().TarWriter(str(folder / f"part-{number}.tar"), encoder=False) as writer:
            for place, path in enumerate(files[12 * number : 12 * number + 12]):
                label = str(place % 6).encode()
                sample = {"__key__": path.stem, "png": path.read_bytes(), "cls": label}
                writer.write(sample | {"txt": b"a caption"})
    return folder


def build(source: str | Path, dataset: Path, copied: list[str] | None = None) -> Manifest:
    copied = [] if copied is None else copied
    with ThreadPoolExecutor(1) as threads:
        return prepare(source, dataset, 8, executor=threads, report_copy=copied.append)


@pytest.fixture(scope="module")
def expected(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The data set of the folder of shards."""
    return build(shards, tmp_path_factory.mktemp("expected") / "d")


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(shards: Path) -> Iterator[str]:
    """The URL of the folder of shards on a web server."""
    handler = functools.partial(QuietHandler, directory=str(shards))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


LOCATIONS: dict[str, tuple[Callable[[str, str], str], int, str]] = {
    "braces": (lambda folder, url: f"{folder}/part-{{0..2}}.tar", 0, "part-{0..2}.tar"),
    "list": (
        lambda folder, url: f"{folder}/part-0.tar::file://{folder}/part-{{1,2}}.tar",
        0,
        "part-0.tar::part-{1,2}.tar",
    ),
    "pattern in a list": (
        lambda folder, url: f"{folder}/part-*.tar::{folder}/part-{{0..1}}.tar",
        0,
        "part-*.tar::part-{0..1}.tar",
    ),
    "command": (lambda folder, url: f"pipe:cat {folder}/part-{{0..2}}.tar", 3, "pipe:cat"),
    "http": (lambda folder, url: f"{url}/part-{{0..2}}.tar?a=b", 3, "part-{0..2}.tar"),
    "mixed": (
        lambda folder, url: f"{url}/part-0.tar::pipe:cat {folder}/part-1.tar::{folder}/part-2.tar",
        2,
        "part-0.tar::pipe:cat::part-2.tar",
    ),
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_same_data_set_from_every_location(
    shards: Path, server: str, expected: Manifest, tmp_path: Path, name: str
) -> None:
    locate, copies, title = LOCATIONS[name]
    copied: list[str] = []
    manifest = build(locate(str(shards), server), tmp_path / "d", copied)
    assert manifest.fingerprint == expected.fingerprint
    assert manifest.class_counts == [6, 6, 6, 6, 6, 6]
    assert manifest.source.name == title
    assert len(copied) == copies
    assert not (tmp_path / "d" / "source.tmp").exists()


def test_names_do_not_depend_on_the_location(shards: Path, server: str, tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "source.tmp")
    remote = open_source(f"{server}/part-{{0..1}}.tar", scratch=scratch)
    assert remote.names == open_source(f"{shards}/part-{{0..1}}.tar").names
    assert remote.names[0] == "part-0.tar/000000.png"


def test_interrupted_build_keeps_the_copies(
    shards: Path, expected: Manifest, tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    runs = tmp_path / "runs"
    source = f"pipe:echo run >> {runs}; cat {shards}/part-{{0..2}}.tar"
    with ThreadPoolExecutor(1) as threads, pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "d", 8, executor=threads, report=interrupt)
    assert len(list((tmp_path / "d" / "source.tmp").iterdir())) == 3
    assert build(source, tmp_path / "d").fingerprint == expected.fingerprint
    assert runs.read_text() == "run\n" * 3
    assert not (tmp_path / "d" / "source.tmp").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{folder}/part-{{1..3}}.tar", r"part-3\.tar does not exist .*: .*part-\{{1\.\.3\}}\.tar"),
        ("{folder}/part-{{1..", "cannot expand .*Unbalanced braces"),
        ("{folder}/${{NO_SUCH}}.tar", "the environment variable WDS_NAME, which is not set"),
        ("{folder}/nothing-*.tar::{folder}/part-0.tar", "no file matches .*/nothing-"),
        ("{folder}/part-0.tar::{folder}/page.html", "page.html is not a tar file: "),
        ("pipe:cat {folder}/part-{{2..3}}.tar", "the command of .*3.tar failed with exit code 1"),
        ("pipe:kill -9 $$", "the command of .* failed with signal SIGKILL"),
        ("pipe:cat {folder}/page.html", "is not a tar file"),
        ("pipe:head -c 2200 {folder}/part-0.tar", "is damaged at byte 2,048, .*: the file ends"),
        ("pipe:head -c 3600 {folder}/part-0.tar", "byte 2,048, .* 419 bytes, and the file ends"),
        ("pipe:cat {folder}/part.tgz", "is compressed, .*: give a command that unpacks it"),
        ("{url}/part-9.tar", "cannot read http.*9.tar: the server answers with an error"),
        ("http://127.0.0.1:9/part-0.tar", "cannot read .*: the server does not answer"),
        ("memory://none/part-0.tar", "does not exist or is not a file: .* tar files, by name or"),
        ("nosuch://host/part-0.tar", "cannot read nosuch:.*: give a command that writes the file"),
    ],
)
def test_wrong_location_raises_data_error(
    shards: Path, server: str, tmp_path: Path, source: str, message: str
) -> None:
    (shards / "page.html").write_text("<!DOCTYPE html><title>404</title>" * 100)
    (shards / "part.tgz").write_bytes(gzip.compress((shards / "part-0.tar").read_bytes()))
    with pytest.raises(DataError, match=message.replace("{{", "{").replace("}}", "}")) as error:
        build(source.format(folder=shards, url=server), tmp_path / "d")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "d" / "plan.json").exists()
    assert not list(tmp_path.rglob("*.tmp/.*"))


def test_nothing_is_copied_into_a_folder_of_something_else(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="is not a data set"):
        build(f"pipe:touch {tmp_path}/ran; cat {shards}/part-0.tar", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_file_with_braces_in_its_name_is_a_file(shards: Path, tmp_path: Path) -> None:
    path = tmp_path / "part-{0..2}.tar"
    shutil.copy(shards / "part-0.tar", path)
    assert len(open_source(path).names) == 12
    assert len(open_source(f"{shards}/part-{{0..2}}.tar").names) == 36


def test_equal_file_names_in_several_folders(shards: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        shutil.copy(shards / f"part-{number}.tar", tmp_path / str(number) / "a.tar")
    source = open_source(f"{tmp_path}/{{1,2}}/a.tar")
    assert len(source.names) == 24
    assert source.names[0] == "000000.tar/000012.png"
    assert not source.rejected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("pipe:TOKEN=secret curl -H secret https://host/a.tar", "pipe:curl"),
        ("https://me:secret@host/shards/a-{0..2}.tar?token=secret", "a-{0..2}.tar"),
        ("https://me:secret@host/::b/c.tar", "tar::c.tar"),
    ],
)
def test_title_discloses_no_passwords(location: str, expected: str) -> None:
    assert title(location) == expected
