"""Copies of a run at checkpoint.mirror, on an S3 server: what is there, what another machine gets,
and that a slow or failing storage costs training nothing but warnings."""

import shutil
import threading
import time
from pathlib import Path

import pytest

import workers
from faulty_proxy import FaultyProxy
from networks import published
from progan.datasets.format.objects.store import StoreError
from progan.pipeline.config.schema import load_config
from progan.pipeline.config.yaml_io import read_yaml, write_yaml
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.run.beginning.reopening import reopen
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.mirror import background
from progan.pipeline.run.mirror.background import BackgroundMirror
from progan.pipeline.run.mirror.contents import store_of
from progan.pipeline.run.mirror.copier import AnotherRunError, Copier
from progan.pipeline.run.mirror.fetching import fetch, run_to_resume
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.train import train
from progan.stages.specs.stage import CheckpointSpec, GrowthSpec, StageSpec
from progan.stages.storage.json_lines import append_line
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.stage_folder import CHECKPOINT_DOCUMENT, StageFolder

MIRROR = "s3://store/runs"
KEEP_TWO = CheckpointSpec(keep=2)


def add_checkpoint(stage: StageFolder, images_seen: int, content: bytes = b"weights") -> None:
    """A checkpoint, and the line of its tick."""
    with sealing(
        stage.checkpoint(images_seen), CHECKPOINT_DOCUMENT, {"images_seen": images_seen}
    ) as folder:
        (folder / "ema.safetensors").write_bytes(content * 1000)
    append_line(stage.metrics, {"images_seen": images_seen, "time": 0.0})


def copier(run: RunFolder, spec: CheckpointSpec = KEEP_TWO) -> Copier:
    """As in a new process."""
    return Copier(run, store_of(MIRROR, run), spec)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Stage 4 is finished; stage 8 has checkpoints after 100 and 200 images."""
    run = RunFolder(tmp_path / "first" / "faces")
    words = f"checkpoint.mirror={MIRROR}", "launch.env.KEY=secret", "engine.precision=fp32"
    write_config(run, *words)
    EventLog(run.events).append("run_created", data_fingerprint="f" * 64)
    for resolution in (4, 8):
        stage = run.stage(resolution)
        stage.samples.mkdir(parents=True)
        stage.spec.write_text("{}")
        stage.fakes(100).write_bytes(b"grid")
        add_checkpoint(stage, 100)
    add_checkpoint(run.stage(8), 200)
    published(run.stage(4).final, resolution=4)
    return run


def write_config(run: RunFolder, *words: str) -> None:
    """The run's config.yaml."""
    config = load_config("demo", ("growth.last=8", "data.path=/nowhere", *words))
    run.path.mkdir(parents=True, exist_ok=True)
    write_yaml(run.config, config)


@pytest.fixture
def elsewhere(run: RunFolder, tmp_path: Path) -> RunFolder:
    """The run's folder on a machine that has nothing of it."""
    return RunFolder(tmp_path / "second" / run.name)


def fetched(run: RunFolder) -> list[str]:
    notes: list[str] = []
    fetch(run, MIRROR, notes.append)
    return notes


def files(run: RunFolder) -> dict[str, bytes]:
    found = (path for path in run.path.rglob("*") if path.is_file())
    return {str(path.relative_to(run.path)): path.read_bytes() for path in found}


def checkpoints(run: RunFolder, resolution: int) -> list[str]:
    return sorted(path.name for path in run.stage(resolution).checkpoints.glob("*"))


def names(run: RunFolder) -> list[str]:
    return sorted(store_of(MIRROR, run).sizes())


def test_empty_folder_gets_all_but_older_checkpoints(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    (note,) = fetched(elsewhere)
    assert note == (
        "fetched from s3://store/runs/faces: 4x4 finished, 4x4 after 100 images, "
        "8x8 after 200 images"
    )
    expected = files(run)
    for name in ("ema.safetensors", "state.json"):
        del expected[f"stages/0008/checkpoints/000000100/{name}"]
    found = files(elsewhere)
    del found[".lock"], found["config.yaml"], expected["config.yaml"]
    assert found == expected


def test_secret_values_stay_on_the_machine(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    fetched(elsewhere)
    assert read_yaml(run.config)["launch"]["env"] == {"KEY": "secret"}
    assert not read_yaml(elsewhere.config)["launch"]["env"]


def test_nothing_new_is_nothing_to_do(s3: FaultyProxy, run: RunFolder) -> None:
    mirror = copier(run)
    assert mirror.is_behind
    mirror.copy()
    assert not mirror.is_behind
    add_checkpoint(run.stage(8), 300)
    assert mirror.is_behind


def test_checkpoint_that_was_cut_is_absent_until_it_is_whole(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    mirror = copier(run)
    mirror.copy()
    add_checkpoint(run.stage(8), 300, b"w" * 100)
    s3.cut_bodies_to = 50_000
    with pytest.raises(StoreError, match="000000300/ema.safetensors"):
        mirror.copy()
    fetched(elsewhere)
    assert checkpoints(elsewhere, 8) == ["000000200"]
    s3.cut_bodies_to = None
    mirror.forget()
    mirror.copy()
    fetched(elsewhere)
    assert checkpoints(elsewhere, 8) == ["000000200", "000000300"]
    assert files(elsewhere)["stages/0008/metrics.jsonl"] == run.stage(8).metrics.read_bytes()


def test_old_checkpoints_are_removed_there_as_here(s3: FaultyProxy, run: RunFolder) -> None:
    spec = CheckpointSpec(keep=1, keep_every_kimg=0.2)
    mirror = copier(run, spec)
    mirror.copy()
    for count in (250, 300, 500, 600):
        add_checkpoint(run.stage(8), count)
        mirror.copy()
    kept = {name.split("/")[3] for name in names(run) if "0008/checkpoints" in name}
    assert kept == {"000000200", "000000500", "000000600"}


def test_damaged_copy_is_not_used(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    copier(run).copy()
    store = store_of(MIRROR, run)
    store.write("stages/0008/checkpoints/000000200/ema.safetensors", b"other")
    store.remove("stages/0004/final/ema.safetensors")
    fetched(elsewhere)
    assert checkpoints(elsewhere, 8) == ["000000100"]
    assert not elsewhere.stage(4).final.exists()
    text = caplog.text
    assert "faces/stages/0008/checkpoints/000000200/ema.safetensors is damaged" in text
    assert "faces/stages/0004/final/ema.safetensors is missing" in text


def test_discarded_results_are_removed_there(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    mirror = copier(run)
    mirror.copy()
    reopen(run, 4)
    assert fetched(run) == []  # discarded here, and still there
    mirror.copy()
    assert not [name for name in names(run) if "0008" in name or "final" in name]
    fetched(elsewhere)
    assert checkpoints(elsewhere, 4) == ["000000100"]


def test_checkpoint_that_was_trained_again_replaces_the_former(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    shutil.rmtree(run.stage(8).checkpoint(200))
    add_checkpoint(run.stage(8), 200, b"others!")
    copier(run).copy()
    fetched(elsewhere)
    copy = elsewhere.stage(8).checkpoint(200) / "ema.safetensors"
    assert copy.read_bytes() == b"others!" * 1000


def test_checkpoints_of_finished_stages_stay_there(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    fetched(elsewhere)
    shutil.rmtree(elsewhere.stage(4).checkpoints)
    before = names(run)
    copier(elsewhere).copy()
    assert names(run) == before


def test_two_machines_do_not_mix_one_run(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    first = copier(run)
    first.copy()
    fetched(elsewhere)
    EventLog(elsewhere.events).append("stopped", resolution=8)
    copier(elsewhere).copy()
    EventLog(run.events).append("stage_finished", resolution=8)
    with pytest.raises(AnotherRunError, match="another machine has continued it"):
        first.copy()
    with pytest.raises(ConfigError, match="--run with a new folder named faces"):
        fetched(run)


def test_folder_that_is_behind_goes_on_from_the_copy(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    fetched(elsewhere)
    add_checkpoint(run.stage(8), 300)
    EventLog(run.events).append("stopped", resolution=8)
    copier(run).copy()
    (note,) = fetched(elsewhere)
    assert "8x8 after 300 images" in note and "4x4" not in note
    assert elsewhere.events.read_bytes() == run.events.read_bytes()


def test_interrupted_fetch_goes_on(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier(run).copy()
    with monkeypatch.context() as patch:
        patch.setattr("progan.pipeline.run.mirror.fetching.unseal", _interrupted_at("0008"))
        with pytest.raises(KeyboardInterrupt):
            fetched(elsewhere)
    assert not elsewhere.config.exists()
    (note,) = fetched(elsewhere)
    assert "8x8 after 200 images" in note and "4x4" not in note
    assert elsewhere.events.read_bytes() == run.events.read_bytes()


def _interrupted_at(stage: str) -> object:
    from progan.stages.storage.sealed_folder import unseal

    def verify(folder: Path, document: str) -> object:
        if stage in folder.parts:
            raise KeyboardInterrupt
        return unseal(folder, document)

    return verify


def test_no_second_run_begins_while_the_copy_cannot_be_read(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    copier(run).copy()
    s3.down = True
    with pytest.raises(RunError, match=r"no new one begins .*checkpoint\.mirror=null"):
        fetched(elsewhere)
    assert not elsewhere.path.exists()
    assert fetched(run) == []
    assert "the run goes on as this folder has it" in caplog.text


def test_resume_finds_the_copy_that_is_named(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    with pytest.raises(ConfigError, match="is no run"):
        run_to_resume(elsewhere.path, (), print)
    found = run_to_resume(elsewhere.path, (f"checkpoint.mirror={MIRROR}",), print)
    assert checkpoints(found, 8) == ["000000200"]


def test_stage_goes_on_elsewhere_with_the_same_bytes(
    s3: FaultyProxy, shapes: Path, tmp_path: Path
) -> None:
    def stage(images: int) -> StageSpec:
        growth = GrowthSpec(mode="none", fade_images=0, steady_images=images)
        return workers.spec(shapes, growth=growth)

    lost, found = RunFolder(tmp_path / "lost" / "run"), RunFolder(tmp_path / "found" / "run")
    write_config(lost)
    EventLog(lost.events).append("run_created", data_fingerprint="f" * 64)
    shutil.rmtree(workers.run(stage(160), lost.stage(8).path, ranks=1).final)
    copier(lost).copy()
    shutil.rmtree(lost.path)
    assert "8x8 after 160 images" in fetched(found)[0]
    workers.run(stage(240), found.stage(8).path, ranks=1)
    undisturbed = workers.run(stage(240), tmp_path / "undisturbed" / "0008", ranks=1)
    assert workers.content(found.stage(8).final) == workers.content(undisturbed.final)


@pytest.mark.parametrize(
    ("value", "problem"),
    [("bucket/runs", "such as s3://BUCKET/RUNS"), ("https://host/runs", "can be written to"),
     ("s3://key:secret@bucket/runs", "holds credentials")],
)  # fmt: skip
def test_mirror_is_a_url_without_credentials(value: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        load_config("demo", ("data.path=x", f"checkpoint.mirror={value}"))
    assert "secret" not in str(caught.value)


def test_resume_refuses_a_mirror_with_credentials(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds credentials"):
        run_to_resume(tmp_path / "run", ("checkpoint.mirror=s3://key:secret@bucket/x",), print)


def test_detached_jobs_would_not_be_copied(tmp_path: Path) -> None:
    words = "data.path=x", f"checkpoint.mirror={MIRROR}", "engine.precision=fp32"
    with pytest.raises(ConfigError, match="--detach: checkpoint.mirror is copied to by"):
        train(load_config("demo", words), tmp_path / "run", detach=True)
    assert list(tmp_path.iterdir()) == []


def test_new_run_has_no_copy(s3: FaultyProxy, elsewhere: RunFolder) -> None:
    assert fetched(elsewhere) == []
    assert not elsewhere.path.exists()


NEWEST = "stages/0008/checkpoints/000000300/state.json"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(background, "LONGEST_PAUSE_SECONDS", 0.2)


def started(run: RunFolder) -> BackgroundMirror:
    mirror = BackgroundMirror(run, MIRROR, KEEP_TWO)
    mirror.start()
    return mirror


def test_last_checkpoint_is_there_when_the_run_ends(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = started(run)
    add_checkpoint(run.stage(8), 300)
    mirror.close(5)
    assert NEWEST in store_of(MIRROR, run).sizes()
    assert "not all was copied" not in caplog.text


def test_slow_storage_is_waited_for_within_bounds(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    s3.delay_seconds = 0.5
    begin = time.monotonic()
    mirror = started(run)
    assert time.monotonic() - begin < 0.3
    mirror.close(1)
    assert time.monotonic() - begin < 2
    assert "not all was copied to s3://store/runs" in caplog.text
    s3.delay_seconds = 0


def test_failures_are_tried_again_and_said_once(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    s3.down = True
    mirror = started(run)
    time.sleep(1)
    add_checkpoint(run.stage(8), 300)
    s3.down = False
    mirror.close(5)
    warnings = [r.message for r in caplog.records if "training goes on" in r.message]
    assert warnings, "the failure was not told"
    assert all("check the network and the service" in warning for warning in warnings)
    assert len(warnings) == len(set(warnings))
    assert NEWEST in store_of(MIRROR, run).sizes()


def test_expired_credentials_are_a_warning_with_the_remedy(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    s3.refuse_with = (403, b"")
    started(run).close(1)
    assert "renew expired ones" in caplog.text


def test_run_that_another_machine_continues_is_left_alone(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    started(run).close(5)
    store = store_of(MIRROR, run)
    there = store.read("events.jsonl")
    assert there is not None
    store.write("events.jsonl", there + b'{"time": 1, "event": "stopped"}\n')
    EventLog(run.events).append("stopped", resolution=8)
    started(run).close(5)
    assert "nothing more is copied there" in caplog.text
    assert (store.read("events.jsonl") or b"").endswith(b'"stopped"}\n')


def test_without_a_mirror_nothing_runs(run: RunFolder) -> None:
    before = set(threading.enumerate())
    mirror = BackgroundMirror(run, None, KEEP_TWO)
    mirror.start()
    assert set(threading.enumerate()) == before
    mirror.close()
