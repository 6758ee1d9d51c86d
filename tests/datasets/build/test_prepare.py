"""A build gives the same bytes however it is run, and goes on where it stopped."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from progan.datasets.build.plan import make_plan, records_per_shard
from progan.datasets.build.prepare import Progress, prepare
from progan.datasets.errors import DataError
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.options import Options
from progan.datasets.sources.source import open_source
from progan.datasets.synthetic import draw_dataset


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_number_of_workers_does_not_show(drawn: Path, dataset: Path, tmp_path: Path) -> None:
    prepare(drawn, tmp_path / "again", 16, workers=3)
    assert contents(tmp_path / "again") == contents(dataset)


def test_an_interrupted_build_goes_on(drawn: Path, dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "half"
    calls: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        calls.append(progress)
        if progress.pictures_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(drawn, target, 16, workers=1, report=interrupt)
    with pytest.raises(DataError, match="no finished data set"):
        load_manifest(target)
    (target / "0016" / ".000002.tar.0123456789ab.tmp").write_bytes(b"half a shard")

    calls.clear()
    prepare(drawn, target, 16, workers=1, report=calls.append)
    assert calls[0].pictures_done > 0
    assert calls[-1].pictures_done == calls[-1].pictures_total == 70
    assert contents(target) == contents(dataset)


@pytest.mark.slow
def test_a_killed_build_leaves_no_processes_and_goes_on(drawn: Path, tmp_path: Path) -> None:
    target, workers = tmp_path / "killed", tmp_path / "workers"
    call = f"prepare(Path({str(drawn)!r}), Path({str(target)!r}), 256, workers=2, report=tell)"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(call=call, workers=str(workers)))
    build = subprocess.Popen([sys.executable, str(script)])
    wait_for(workers.exists)
    build.kill()
    build.wait()
    pids = [int(pid) for pid in workers.read_text().split()]
    assert pids
    wait_for(lambda: not any(alive(pid) for pid in pids))

    prepare(drawn, target, 256, workers=2)
    prepare(drawn, tmp_path / "reference", 256, workers=1)
    assert contents(target) == contents(tmp_path / "reference")


SCRIPT = """
import multiprocessing
from pathlib import Path

from progan.datasets.build.prepare import prepare
from progan.datasets.files import write_whole


def tell(progress):
    children = " ".join(str(child.pid) for child in multiprocessing.active_children())
    if children:
        write_whole(Path({workers!r}), children.encode())


if __name__ == "__main__":
    {call}
"""


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Neither gone nor a zombie nobody has fetched."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_finished_build_is_only_looked_at(drawn: Path, dataset: Path) -> None:
    calls: list[Progress] = []
    before = (dataset / "0016" / "000000.tar").stat().st_mtime_ns
    prepare(drawn, dataset, 16, report=calls.append)
    assert len(calls) == 1
    assert (dataset / "0016" / "000000.tar").stat().st_mtime_ns == before


def test_a_lost_shard_is_made_again(drawn: Path, dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    (copy / "0008" / "000001.tar").unlink()
    prepare(drawn, copy, 16, workers=1)
    assert contents(copy) == contents(dataset)


def test_another_data_set_is_not_overwritten(drawn: Path, dataset: Path) -> None:
    with pytest.raises(DataError, match="is another data set"):
        prepare(drawn, dataset, 8)


def test_a_folder_of_something_else_is_not_touched(drawn: Path) -> None:
    with pytest.raises(DataError, match="is not a data set"):
        prepare(drawn, drawn, 8)


@pytest.mark.parametrize("resolution", [0, 2, 48, 2048])
def test_a_wrong_resolution(drawn: Path, tmp_path: Path, resolution: int) -> None:
    with pytest.raises(DataError, match="not a power of two"):
        prepare(drawn, tmp_path / "d", resolution)


def test_the_fingerprint_is_of_the_pictures(drawn: Path, dataset: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(drawn, tmp_path / "elsewhere"))
    same = prepare(moved, tmp_path / "same", 16, workers=1)
    (moved / "disc" / "000001.png").write_bytes((moved / "disc" / "000007.png").read_bytes())
    other = prepare(moved, tmp_path / "other", 16, workers=1)
    assert same.fingerprint == load_manifest(dataset).fingerprint
    assert len({same.fingerprint, other.fingerprint}) == 2


def test_every_picture_is_one_sample(drawn: Path) -> None:
    plan = make_plan(open_source(drawn), 16, Options(), 3)
    assert sorted(plan.pictures()) == list(range(70))
    assert plan.pictures() != list(range(70))
    assert [n for shard in range(plan.num_shards) for n in plan.samples(shard)] == list(range(70))


@pytest.mark.parametrize(
    ("num", "resolution", "records"),
    [(100, 64, 32), (30_000, 1024, 256), (1_280_000, 256, 4096), (10**7, 32, 8192)],
)
def test_shard_sizes(num: int, resolution: int, records: int) -> None:
    assert records_per_shard(num, resolution, 3) == records


def test_two_builds_of_one_data_set_do_not_meet(drawn: Path, tmp_path: Path) -> None:
    def build_again(progress: Progress) -> None:
        prepare(drawn, tmp_path / "d", 16)

    with pytest.raises(DataError, match="another process is preparing"):
        prepare(drawn, tmp_path / "d", 16, workers=1, report=build_again)


def test_a_full_disk_is_seen_before_the_work(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"needs about 0\.\d GB more"):
        prepare(drawn, tmp_path / "d", 16, workers=1)


def test_the_expected_size_is_near(drawn: Path, tmp_path: Path) -> None:
    calls: list[Progress] = []
    with ThreadPoolExecutor(1) as threads:
        prepare(drawn, tmp_path / "d", 64, executor=threads, report=calls.append)
    written = sum(path.stat().st_size for path in (tmp_path / "d").rglob("*.tar"))
    assert calls[-1].bytes_written == written
    assert calls[0].bytes_expected == pytest.approx(written, rel=0.2)


def test_a_damaged_shard_of_an_unfinished_build_is_made_again(
    drawn: Path, dataset: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    tar = copy / "0008" / "000001.tar"
    tar.write_bytes(tar.read_bytes().replace(b"RIFF", b"riff", 1))
    (copy / "manifest.json").unlink()
    with ThreadPoolExecutor(1) as threads:
        prepare(drawn, copy, 16, executor=threads)
    assert contents(copy) == contents(dataset)


def test_small_pictures_may_be_left_out(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "s", num=8, size=16)
    draw_dataset(tmp_path / "s" / "large", num=6, size=32)
    with ThreadPoolExecutor(1) as threads:
        options = Options(small="skip")
        manifest = prepare(tmp_path / "s", tmp_path / "d", 32, options=options, executor=threads)
    assert (manifest.num_samples, manifest.too_small, manifest.rejected) == (6, 8, 0)
    assert (tmp_path / "d" / "rejected.csv").read_text().count("16 x 16 is smaller") == 8


def test_no_usable_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"text")
    with ThreadPoolExecutor(1) as threads, pytest.raises(DataError, match="no picture of"):
        prepare(tmp_path, tmp_path / "d", 8, executor=threads, max_rejected=1)


def test_a_data_set_of_the_first_version_is_read(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    content = json.loads((copy / "manifest.json").read_text())
    for key in ("rejected", "too_small", "enlarged"):
        del content[key]
    content["options"] = {"crop": "centre", "filter": "lanczos", "codec": "webp"}
    (copy / "manifest.json").write_text(json.dumps(content))
    assert load_manifest(copy).options == Options()


def test_a_picture_that_kills_a_worker_is_rejected(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "s", num=40, size=16)
    with (tmp_path / "s" / "large.tif").open("wb") as file:
        Image.new("RGB", (8000, 8000)).save(file, "TIFF", compression="tiff_deflate")
    manifest = prepare(tmp_path / "s", tmp_path / "d", 16, workers=2, picture_seconds=0.15)
    assert (manifest.num_samples, manifest.rejected) == (40, 1)
    text = (tmp_path / "d" / "rejected.csv").read_text()
    assert text == "picture,reason\nlarge.tif,takes longer than 0.15 s to decode\n"
