"""A build writes the same bytes with any workers, and resumes after an interruption."""

import json
import shutil
import subprocess
import sys
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
from waiting import wait_for


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_number_of_workers_does_not_change_bytes(
    pictures: Path, dataset: Path, tmp_path: Path
) -> None:
    prepare(pictures, tmp_path / "again", 16, workers=3)
    assert contents(tmp_path / "again") == contents(dataset)


def test_interrupted_build_resumes(pictures: Path, dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "half"
    calls: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        calls.append(progress)
        if progress.pictures_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(pictures, target, 16, workers=1, report=interrupt)
    with pytest.raises(DataError, match="no finished data set"):
        load_manifest(target)
    (target / "0016" / ".000002.tar.0123456789ab.tmp").write_bytes(b"half a shard")

    calls.clear()
    prepare(pictures, target, 16, workers=1, report=calls.append)
    assert calls[0].pictures_done > 0
    assert calls[-1].pictures_done == calls[-1].pictures_total == 70
    assert contents(target) == contents(dataset)


@pytest.mark.slow
def test_killed_build_leaves_no_processes_and_resumes(pictures: Path, tmp_path: Path) -> None:
    target, workers = tmp_path / "killed", tmp_path / "workers"
    paths = f"Path({str(pictures)!r}), Path({str(target)!r})"
    call = f"prepare({paths}, 256, workers=2, report=write_pids)"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(call=call, workers=str(workers)))
    build = subprocess.Popen([sys.executable, str(script)])
    wait_for(workers.exists)
    build.kill()
    build.wait()
    pids = [int(pid) for pid in workers.read_text().split()]
    assert pids
    wait_for(lambda: not any(alive(pid) for pid in pids))

    prepare(pictures, target, 256, workers=2)
    prepare(pictures, tmp_path / "reference", 256, workers=1)
    assert contents(target) == contents(tmp_path / "reference")


SCRIPT = """
import multiprocessing
from pathlib import Path

from progan.datasets.build.prepare import prepare
from progan.datasets.files import write_whole


def write_pids(progress):
    children = " ".join(str(child.pid) for child in multiprocessing.active_children())
    if children:
        write_whole(Path({workers!r}), children.encode())


if __name__ == "__main__":
    {call}
"""


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_finished_build_writes_no_shards(pictures: Path, dataset: Path) -> None:
    calls: list[Progress] = []
    before = (dataset / "0016" / "000000.tar").stat().st_mtime_ns
    prepare(pictures, dataset, 16, report=calls.append)
    assert len(calls) == 1
    assert (dataset / "0016" / "000000.tar").stat().st_mtime_ns == before


def test_missing_shard_is_rebuilt(pictures: Path, dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    (copy / "0008" / "000001.tar").unlink()
    prepare(pictures, copy, 16, workers=1)
    assert contents(copy) == contents(dataset)


def test_folder_of_another_data_set_raises_data_error(pictures: Path, dataset: Path) -> None:
    with pytest.raises(DataError, match="is another data set"):
        prepare(pictures, dataset, 8)


def test_folder_of_something_else_raises_data_error(pictures: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="not a data set: it holds a.txt, b.txt, c.txt and 2 more"):
        prepare(pictures, tmp_path, 8)
    with pytest.raises(DataError, match="is a file"):
        prepare(pictures, tmp_path / "a.txt", 8)


@pytest.mark.parametrize("inside", ["", "pyramid", "class/pyramid"])
def test_data_set_in_its_source_raises_data_error(pictures: Path, inside: str) -> None:
    with pytest.raises(DataError, match="lies in the source"):
        prepare(pictures, pictures / inside, 8)
    assert not (pictures / "pyramid").exists()


def test_data_set_in_a_data_set_raises_data_error(pictures: Path, dataset: Path) -> None:
    with pytest.raises(DataError, match="lies in the data set"):
        prepare(pictures, dataset / "0016/again", 8)


@pytest.mark.parametrize("resolution", [0, 2, 48, 2048])
def test_wrong_resolution_raises_data_error(
    pictures: Path, tmp_path: Path, resolution: int
) -> None:
    with pytest.raises(DataError, match="not a power of two"):
        prepare(pictures, tmp_path / "d", resolution)


def test_fingerprint_depends_on_the_pictures_only(
    pictures: Path, dataset: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(pictures, tmp_path / "elsewhere"))
    same = prepare(moved, tmp_path / "same", 16, workers=1)
    (moved / "disc" / "000001.png").write_bytes((moved / "disc" / "000007.png").read_bytes())
    other = prepare(moved, tmp_path / "other", 16, workers=1)
    assert same.fingerprint == load_manifest(dataset).fingerprint
    assert len({same.fingerprint, other.fingerprint}) == 2


def test_plan_permutes_the_pictures(pictures: Path) -> None:
    plan = make_plan(open_source(pictures), 16, Options(), 3)
    assert sorted(plan.pictures()) == list(range(70))
    assert plan.pictures() != list(range(70))
    assert [n for shard in range(plan.num_shards) for n in plan.samples(shard)] == list(range(70))


@pytest.mark.parametrize(
    ("num", "resolution", "records"),
    [(100, 64, 32), (30_000, 1024, 256), (1_280_000, 256, 4096), (10**7, 32, 8192)],
)
def test_records_per_shard(num: int, resolution: int, records: int) -> None:
    assert records_per_shard(num, resolution, 3) == records


def test_second_build_of_a_data_set_raises_data_error(pictures: Path, tmp_path: Path) -> None:
    def build_again(progress: Progress) -> None:
        prepare(pictures, tmp_path / "d", 16)

    with pytest.raises(DataError, match="another process is preparing"):
        prepare(pictures, tmp_path / "d", 16, workers=1, report=build_again)


def test_lack_of_disk_space_raises_data_error_before_the_build(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"needs about 0\.\d MB more and .* has 0\.0 MB free"):
        prepare(pictures, tmp_path / "d", 16, workers=1)


def test_estimated_size_is_within_20_percent(pictures: Path, tmp_path: Path) -> None:
    calls: list[Progress] = []
    with ThreadPoolExecutor(1) as threads:
        prepare(pictures, tmp_path / "d", 64, executor=threads, report=calls.append)
    written = sum(path.stat().st_size for path in (tmp_path / "d").rglob("*.tar"))
    assert calls[-1].bytes_written == written
    assert calls[0].bytes_expected == pytest.approx(written, rel=0.2)


def test_damaged_shard_of_unfinished_build_is_rebuilt(
    pictures: Path, dataset: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    tar = copy / "0008" / "000001.tar"
    tar.write_bytes(tar.read_bytes().replace(b"RIFF", b"riff", 1))
    (copy / "manifest.json").unlink()
    with ThreadPoolExecutor(1) as threads:
        prepare(pictures, copy, 16, executor=threads)
    assert contents(copy) == contents(dataset)


def test_option_small_skip_leaves_out_small_pictures(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "s", num=8, size=16)
    draw_dataset(tmp_path / "s" / "large", num=6, size=32)
    with ThreadPoolExecutor(1) as threads:
        options = Options(small="skip")
        manifest = prepare(tmp_path / "s", tmp_path / "d", 32, options=options, executor=threads)
    assert (manifest.num_samples, manifest.too_small, manifest.rejected) == (6, 8, 0)
    assert (tmp_path / "d" / "rejected.csv").read_text().count("16 x 16 is smaller") == 8


@pytest.mark.parametrize("reason", ["not a picture of a known format", "2 x 2 is smaller"])
def test_source_without_usable_picture_raises_data_error(tmp_path: Path, reason: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.png").write_bytes(b"text")
    if "smaller" in reason:
        Image.new("RGB", (2, 2)).save(tmp_path / "s" / "a.png")
    with ThreadPoolExecutor(1) as threads, pytest.raises(DataError, match="rejected.csv says why"):
        options = Options(small="skip")
        prepare(
            tmp_path / "s", tmp_path / "d", 8, options=options, executor=threads, max_rejected=1
        )
    assert reason in (tmp_path / "d" / "rejected.csv").read_text()


def test_picture_with_an_odd_name_is_listed_as_text(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "s", num=2, size=8)
    (tmp_path / "s" / "=1+1\x1b[31m.png").write_bytes(b"text")
    with ThreadPoolExecutor(1) as threads:
        prepare(tmp_path / "s", tmp_path / "d", 8, executor=threads, max_rejected=1)
    rows = (tmp_path / "d" / "rejected.csv").read_text().splitlines()
    assert rows[1:] == [r"'=1+1\x1b[31m.png,not a picture of a known format"]


def test_manifest_of_the_first_version_is_read(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    content = json.loads((copy / "manifest.json").read_text())
    for key in ("rejected", "too_small", "enlarged"):
        del content[key]
    content["options"] = {"crop": "centre", "filter": "lanczos", "codec": "webp"}
    (copy / "manifest.json").write_text(json.dumps(content))
    assert load_manifest(copy).options == Options()


def test_picture_that_kills_a_worker_is_rejected(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "s", num=40, size=16)
    with (tmp_path / "s" / "large.tif").open("wb") as file:
        Image.new("RGB", (8000, 8000)).save(file, "TIFF", compression="tiff_deflate")
    manifest = prepare(tmp_path / "s", tmp_path / "d", 16, workers=2, picture_seconds=0.15)
    assert (manifest.num_samples, manifest.rejected) == (40, 1)
    text = (tmp_path / "d" / "rejected.csv").read_text()
    assert text == "picture,reason\nlarge.tif,takes longer than 0.15 s to decode\n"
