"""A report's content, collected from a run's folder without torch."""

import base64
import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from drawn_run import BEGAN, draw_run
from progan.pipeline.plan.times import about
from progan.pipeline.report.collect import collect
from progan.pipeline.report.document import Report
from progan.pipeline.report.event_log import logged_events
from progan.pipeline.report.frames import chosen
from progan.pipeline.report.page import render
from progan.pipeline.report.sample_grids import SampleGrid, read_pictures
from progan.pipeline.run.events import Event, EventLog
from progan.pipeline.run.status import status
from progan.pipeline.run_folder import RunFolder
from progan.stages.metrics.evaluation import Result, add_results
from progan.stages.specs.model import ModelSpec
from progan.stages.storage.final import DOCUMENT, Final
from progan.stages.storage.launch_log import Host, Start, append_start
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.stage_folder import StageFolder

WORDS = ("growth.last=16", "growth.fade_kimg=0.3", "growth.steady_kimg=0.3", "ticks.kimg=0.05",
         "ticks.samples_every=2", "ticks.grid=3")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = draw_run(tmp_path_factory.mktemp("collect") / "run", *WORDS, until=(16, 200))
    host = Host(name="gpu", ranks=4, device="H200", device_bytes=139 * 2**30, cpus=64)
    again = Start(
        time=BEGAN + 9000, images_seen=150, ranks=4, hosts=(host,), versions={"torch": "3"}
    )
    append_start(folder.stage(16).starts, again)
    EventLog(folder.events).append("stage_crashed", resolution=16, reason="no memory")
    EventLog(folder.events).append("stage_started", resolution=16, handle="1@2")
    return folder


@pytest.fixture(scope="module")
def report(run: RunFolder) -> Report:
    return collect(run)


def test_stages_begin_where_the_previous_ones_end(report: Report) -> None:
    stages = [(s.resolution, s.begins, s.fade_images, s.images_seen) for s in report.stages]
    assert stages == [(4, 0, 0, 300), (8, 300, 300, 600), (16, 900, 300, 200)]
    assert (report.images_seen, report.total_images) == (1100, 1500)
    assert report.seconds == pytest.approx(0.4 * (4 * 6 + 8 * 12 + 16 * 4))


def test_head_says_how_long_the_whole_run_still_takes(run: RunFolder, report: Report) -> None:
    left = status(run)["seconds_left"]
    assert report.seconds_left == pytest.approx(left)
    page = render(report.model_copy(update={"ends_at": None}))
    assert f"<dt>Time left</dt><dd>about {about(left)} <small>of the whole run</small>" in page
    ends = render(report.model_copy(update={"ends_at": BEGAN}))
    assert "of the whole run, until 2023-11-14 22:13 UTC" in ends
    assert "Time left" not in render(report.model_copy(update={"seconds_left": None}))


def test_frames_are_the_sample_grids_without_gaps(run: RunFolder, report: Report) -> None:
    last = [frame for frame in report.growth.frames if frame.resolution == 8][-1]
    assert (last.at, last.images_seen, last.alpha, last.phase) == (900, 600, 1.0, "done")
    shown = Image.open(io.BytesIO(base64.b64decode(last.picture.partition(",")[2]))).convert("RGB")
    assert shown.size == (24, 24)
    for index, drawn in enumerate(read_pictures(run.stage(8).fakes(600), 8, 9)):
        left, top = index % 3 * 8, index // 3 * 8
        cut = shown.crop((left, top, left + 8, top + 8))
        assert ImageChops.difference(cut, drawn).getbbox() is None


def test_frames_are_evenly_spaced_and_keep_both_ends() -> None:
    seen = [*range(1, 1000), 100_000]
    grids = [SampleGrid(64, at, at, 1.0, "steady", Path()) for at in seen]
    kept = [grid.at for grid in chosen(grids, columns=8)]
    assert kept[0] == 1 and kept[-1] == 100_000 and len(kept) <= 16
    assert chosen([], columns=8) == []


def test_unreadable_grid_is_left_out(tmp_path: Path) -> None:
    folder = draw_run(tmp_path / "run", *WORDS, "growth.last=4")
    before = len(collect(folder).growth.frames)
    folder.stage(4).fakes(200).write_bytes(b"no picture")
    assert len(collect(folder).growth.frames) == before - 1


def test_hosts_and_versions_are_those_of_the_starts(report: Report) -> None:
    starts = report.environment.starts
    assert [(s.resolution, s.images_seen, s.ranks) for s in starts] == [
        (4, 0, 2), (8, 0, 2), (16, 0, 2), (16, 150, 4),
    ]  # fmt: skip
    assert starts[-1].hosts == ("gpu: 4 × H200, 139 GiB, 64 CPUs",)
    assert report.environment.versions == {"torch": "3"}


def test_crash_and_restart_have_reason_and_position(report: Report) -> None:
    crash, again = report.happenings[-2:]
    assert (crash.kind, crash.title, crash.text) == ("trouble", "Stage crashed", "no memory")
    assert (again.title, again.resolution) == ("Stage started again", 16)
    # The new workers started at 150 images and have recorded nothing since.
    assert again.at == 900 + 150


def test_events_get_their_position_from_the_clock_of_their_stage() -> None:
    clock = [(0.0, 500), (10.0, 520), (20.0, 540)]
    events = [Event(t, "stage_crashed", {"resolution": 8}) for t in (5, 10, 19, 99)]
    events += [Event(t, "stage_started", {"resolution": 8}) for t in (15, 99)]
    events.append(Event(50, "something_new", {}))
    logged = logged_events(events, {8: clock})
    assert [h.at for h in logged] == [500, 520, 520, 540, 540, 540, None]
    assert logged[-1].title == "Something new"


def measure(folder: StageFolder, resolution: int, *results: tuple[str, int, int, float]) -> None:
    """Finish a stage with results: metric, resolution, images and value."""
    final = Final(
        resolution=resolution, images_seen=300, model=ModelSpec(), seed=0, data_fingerprint="x"
    )
    with sealing(folder.final, DOCUMENT, final.model_dump()) as temporary:
        (temporary / "ema.safetensors").write_bytes(b"weights")
    add_results(
        folder,
        [
            Result.model_validate({"metric": metric, "at": at, "images": images, "values": values})
            for metric, at, images, value in results
            for values in [{f"swd_{at}" if metric == "swd" else metric: value}]
        ],
    )


def test_stages_are_compared_at_their_own_resolution_and_at_the_last(tmp_path: Path) -> None:
    run = draw_run(tmp_path / "run", *WORDS)
    assert collect(run).comparisons == ()
    measure(run.stage(4), 4, ("ms_ssim", 4, 90, 0.3), ("swd", 16, 80, 61.0))
    measure(
        run.stage(16), 16, ("ms_ssim", 16, 90, 0.125), ("swd", 16, 80, 5.0), ("fid", 16, 5000, 9.0)
    )
    report = collect(run)
    own, last = report.comparisons
    assert (own.at, last.at) == (None, 16)
    assert [(c.images, c.heading) for c in own.columns] == [
        (80, "SWD 16 ↓"), (90, "MS-SSIM"), (5000, "FID ↓"),
    ]  # fmt: skip
    assert [(row.resolution, row.values) for row in own.rows] == [
        (4, (None, 0.3, None)), (16, (5.0, 0.125, 9.0)),
    ]  # fmt: skip
    # Only stage 16 has an FID at 16x16: nothing to compare.
    assert [c.heading for c in last.columns] == ["SWD 16 ↓"]
    assert [(row.resolution, row.values) for row in last.rows] == [(4, (61.0,)), (16, (5.0,))]
    page = render(report)
    assert "5,000 images" in page and "<td>0.1250</td>" in page and "<td>–</td>" in page


def test_page_mentions_only_phases_of_the_run(tmp_path: Path) -> None:
    pages = {
        mode: render(collect(draw_run(tmp_path / mode, *WORDS, f"growth.mode={mode}")))
        for mode in ("fade", "none")
    }
    assert ["along the slope" in page for page in pages.values()] == [True, False]
    assert ["Shaded: a resolution fades in." in page for page in pages.values()] == [True, False]


def test_comparison_at_own_resolution_is_left_out_if_repeated(tmp_path: Path) -> None:
    run = draw_run(tmp_path / "run", *WORDS)
    for resolution in (4, 8, 16):
        measure(run.stage(resolution), resolution, ("swd", 16, 80, 64.0 / resolution))
    (only,) = collect(run).comparisons
    assert [row.values for row in only.rows] == [(16.0,), (8.0,), (4.0,)]
    (run.stage(8).final / "ema.safetensors").write_bytes(b"damaged")
    (only,) = collect(run).comparisons
    assert [row.resolution for row in only.rows] == [4, 16]


def test_collecting_and_rendering_load_no_torch() -> None:
    code = (
        "import sys, progan.pipeline.report.page, progan.pipeline.report.timelapse, "
        "progan.stages.storage.launch_log"
    )
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout == "False\n"
