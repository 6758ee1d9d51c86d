"""What another machine gets of a run from checkpoint.mirror, on an S3 server."""

import shutil
from pathlib import Path

import pytest

import workers
from faulty_proxy import FaultyProxy
from mirrored import MIRROR, add_checkpoint, checkpoints, copier, fetched, files, write_config
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.mirror.contents import store_of
from progan.pipeline.run.mirror.fetching import run_to_resume
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import GrowthSpec, StageSpec


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


def test_new_run_has_no_copy(s3: FaultyProxy, elsewhere: RunFolder) -> None:
    assert fetched(elsewhere) == []
    assert not elsewhere.path.exists()


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


def test_resume_refuses_a_mirror_with_credentials(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds credentials"):
        run_to_resume(tmp_path / "run", ("checkpoint.mirror=s3://key:secret@bucket/x",), print)


@pytest.mark.slow
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
    newest = lost.stage(8).newest_checkpoint
    shutil.rmtree(lost.path)
    assert f"8x8 after {newest} images" in fetched(found)[0]
    workers.run(stage(240), found.stage(8).path, ranks=1)
    undisturbed = workers.run(stage(240), tmp_path / "undisturbed" / "0008", ranks=1)
    assert workers.content(found.stage(8).final) == workers.content(undisturbed.final)
