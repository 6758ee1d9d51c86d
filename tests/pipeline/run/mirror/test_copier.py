"""What is at checkpoint.mirror, on an S3 server, when a run was copied there."""

import shutil

import pytest

from faulty_proxy import FaultyProxy
from mirrored import add_checkpoint, checkpoints, copier, fetched, files, names
from progan.datasets.format.objects.store import StoreError
from progan.pipeline.config.yaml_io import read_yaml
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.beginning.reopening import reopen
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.mirror.copier import AnotherRunError
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import CheckpointSpec


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
