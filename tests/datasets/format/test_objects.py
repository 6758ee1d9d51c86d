"""Files and folders on object storage, on a real S3 server whose connection fails."""

import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from faulty_proxy import FaultyProxy
from progan.datasets.files import sha256_file
from progan.datasets.format.objects.store import ObjectStore, StoreError, remedy
from progan.datasets.format.objects.upload import (
    CHECKSUMS,
    require_free,
    upload_folder,
    write_checksums,
)

EXPIRED = b"""<?xml version="1.0"?><Error><Code>ExpiredToken</Code>
<Message>The provided token has expired.</Message></Error>"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(os.urandom(200_000))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files, one of them in a folder, and their checksums."""
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    for name in ("a.bin", "b.bin", "in/c.bin"):
        (folder / name).write_bytes(os.urandom(5000))
    write_checksums(folder)
    return folder


@pytest.fixture(params=["s3://store/made", "memory://made", "file://{}/made"])
def store(request: pytest.FixtureRequest, s3: FaultyProxy, tmp_path: Path) -> ObjectStore:
    return ObjectStore(request.param.format(tmp_path))


def test_files_come_back_and_are_removed(store: ObjectStore, file: Path, tmp_path: Path) -> None:
    assert store.sizes() == {} and store.read("a/b") is None and store.sha256("a/b") is None
    store.upload(file, "a/b")
    store.write("c", b"text")
    assert store.sizes() == {"a/b": 200_000, "c": 4}
    assert store.sizes("a") == {"a/b": 200_000}
    assert store.sha256("a/b") == sha256_file(file) and store.read("c") == b"text"
    assert store.download("a/b", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    for name in ("a/b", "c", "c"):
        store.remove(name)
    assert store.sizes() == {}
    assert not store.download("c", tmp_path / "none")


def test_cut_upload_leaves_nothing_there(s3: FaultyProxy, file: Path) -> None:
    store = ObjectStore("s3://store/x")
    s3.cut_bodies_to = 100_000
    with pytest.raises(StoreError, match=r"s3://store/x/a: .*; check the network"):
        store.upload(file, "a")
    assert s3.num_lost > 0 and store.sizes() == {}


def test_missing_local_file_is_no_error_of_the_storage(s3: FaultyProxy, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        ObjectStore("s3://store/x").upload(tmp_path / "nothing", "a")


@pytest.mark.parametrize("answer", [(400, EXPIRED), (403, b"")])
def test_refused_credentials_are_named_with_the_remedy(
    s3: FaultyProxy, file: Path, answer: tuple[int, bytes]
) -> None:
    s3.refuse_with = answer
    with pytest.raises(StoreError, match="renew expired ones"):
        ObjectStore("s3://store/x").upload(file, "a")


@pytest.mark.parametrize("address", ["http://127.0.0.1:40185/store", "http://host/expired/403"])
def test_address_of_a_failed_request_is_no_refusal(address: str) -> None:
    assert (
        remedy(OSError(f'Could not connect to "{address}"')) == "check the network and the service"
    )


def test_missing_bucket_is_named(s3: FaultyProxy, file: Path) -> None:
    store = ObjectStore("s3://nobucket/x")
    assert store.sizes() == {}
    with pytest.raises(StoreError, match=r"s3://nobucket/x/a .*no such bucket"):
        store.upload(file, "a")


@pytest.mark.parametrize("url", ["http://host/x", "nothing://host/x"])
def test_what_cannot_be_written_to_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="s3://BUCKET|progan.remote"):
        ObjectStore(url)


def test_folder_is_there_when_its_last_file_is(store: ObjectStore, folder: Path) -> None:
    counts: list[tuple[int, int]] = []
    upload_folder(folder, store, CHECKSUMS, lambda done, total: counts.append((done, total)))
    assert store.sizes().keys() == {"a.bin", "b.bin", "in/c.bin", CHECKSUMS}
    assert counts == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(StoreError, match="is there already"):
        require_free(store, CHECKSUMS)


def test_interrupted_upload_is_absent_and_goes_on(
    s3: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore("s3://store/x")
    (folder / "b.bin").write_bytes(os.urandom(60_000))
    write_checksums(folder)
    s3.cut_bodies_to = 50_000
    with pytest.raises(StoreError):
        upload_folder(folder, store, CHECKSUMS)
    assert CHECKSUMS not in store.sizes()
    s3.cut_bodies_to = None
    upload = Mock(wraps=store.upload)
    monkeypatch.setattr(store, "upload", upload)
    upload_folder(folder, store, CHECKSUMS)
    sent = [call.args[1] for call in upload.call_args_list]
    assert "b.bin" in sent and "a.bin" not in sent
    assert store.read(CHECKSUMS) == (folder / CHECKSUMS).read_bytes()


def test_what_is_damaged_on_the_way_is_noticed(
    s3: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore("s3://store/x")
    monkeypatch.setattr(store, "upload", lambda path, name: store.write(name, b"damaged"))
    with pytest.raises(StoreError, match="its SHA-256 differs"):
        upload_folder(folder, store, CHECKSUMS)
    assert CHECKSUMS not in store.sizes()


def test_other_files_are_not_mixed_with(s3: FaultyProxy, folder: Path) -> None:
    store = ObjectStore("s3://store/x")
    store.write("theirs.txt", b"")
    with pytest.raises(StoreError, match=r"holds other files: theirs\.txt"):
        upload_folder(folder, store, CHECKSUMS)
    assert store.sizes() == {"theirs.txt": 0}
