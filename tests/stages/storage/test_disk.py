"""Checkpoints, hand-offs and ticks: written atomically, exact, verified."""

import json
import threading
from pathlib import Path

import pytest
import torch

from progan.stages.errors import StageError
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import CheckpointSpec
from progan.stages.storage import checkpoint, handoff
from progan.stages.storage.checkpoint import Checkpoint, CheckpointWriter
from progan.stages.storage.final import Final, is_done, read_final
from progan.stages.storage.json_lines import append_line
from progan.stages.storage.metrics_log import RunningMeans, read_ticks, rewind
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.stage_folder import CHECKPOINT_DOCUMENT, StageFolder

MODEL = ModelSpec(latent=8, fmap_base=32, fmap_max=8)
KEEP_TWO = CheckpointSpec(keep=2)


def a_checkpoint(images_seen: int) -> Checkpoint:
    weights = {"ema": {"w": torch.full((3,), float(images_seen))}}
    return Checkpoint(images_seen, images_seen + 16, weights, {"a": 0.1})


def test_checkpoint_round_trip_is_exact(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    checkpoint.save(folder, a_checkpoint(320), CheckpointSpec())
    back = checkpoint.newest(folder)
    assert back is not None
    assert "tally" in json.loads((folder.checkpoint(320) / CHECKPOINT_DOCUMENT).read_bytes())
    assert (back.images_seen, back.position, back.running_means) == (320, 336, {"a": 0.1})
    assert torch.equal(back.tensors["ema"]["w"], torch.full((3,), 320.0))


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    for images_seen in (16, 32, 48, 64):
        checkpoint.save(folder, a_checkpoint(images_seen), KEEP_TWO)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["000000048", "000000064"]


def test_keep_every_kimg_keeps_the_first_checkpoint_of_each_period() -> None:
    spec = CheckpointSpec(keep=2, keep_every_kimg=1)
    taken = [400, 800, 1200, 1600, 2000, 2400, 2800]
    # The first of each thousand after the first one, and the newest two.
    assert spec.superseded(taken) == {400, 800, 1600}


def test_damaged_checkpoint_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = StageFolder(tmp_path)
    for images_seen in (16, 32):
        checkpoint.save(folder, a_checkpoint(images_seen), KEEP_TWO)
    weights = folder.checkpoint(32) / "ema.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    back = checkpoint.newest(folder)
    assert back is not None and back.images_seen == 16
    assert "its checksum does not hold; using the checkpoint before it" in caplog.text


def test_checkpoint_writer_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_disk, save = threading.Event(), checkpoint.save

    def slow_save(folder: StageFolder, state: Checkpoint, spec: CheckpointSpec) -> None:
        slow_disk.wait(10)
        save(folder, state, spec)

    monkeypatch.setattr(checkpoint, "save", slow_save)
    writer = CheckpointWriter(StageFolder(tmp_path), KEEP_TWO)
    writer.write(a_checkpoint(16))
    assert writer.busy and checkpoint.newest(StageFolder(tmp_path)) is None
    slow_disk.set()
    writer.wait()
    assert not writer.busy and checkpoint.newest(StageFolder(tmp_path)) is not None


def test_full_disk_keeps_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = StageFolder(tmp_path)
    writer = CheckpointWriter(folder, KEEP_TWO)
    writer.write(a_checkpoint(16))
    writer.wait()

    def full(path: Path, tensors: dict[str, torch.Tensor]) -> None:
        path.write_bytes(b"part of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    writer.write(a_checkpoint(32))
    writer.wait()
    assert "checkpoint after 32 images not written" in caplog.text
    assert [path.name for path in folder.checkpoints.iterdir()] == ["000000016"]


def test_newest_is_none_without_checkpoints(tmp_path: Path) -> None:
    assert checkpoint.newest(StageFolder(tmp_path)) is None


def test_failed_write_keeps_the_previous_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with sealing(folder, "it.json", {"n": 1}) as target:
        (target / "file").write_bytes(b"old")
    with pytest.raises(RuntimeError), sealing(folder, "it.json", {"n": 2}) as target:
        (target / "file").write_bytes(b"new")
        raise RuntimeError
    assert (folder / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def published(folder: Path, resolution: int = 8) -> Generator:
    network = Generator(MODEL, resolution, fading=resolution > 4)
    final = Final(resolution=resolution, images_seen=5, model=MODEL, seed=0, data_fingerprint="f")
    handoff.publish(folder, final, {"ema": network})
    return network


def test_hand_off_leaves_out_the_previous_to_rgb(tmp_path: Path) -> None:
    network = published(tmp_path / "final")
    names = set(handoff.load(tmp_path / "final", "ema"))
    gone = set(network.state_dict()) - names
    assert gone == {"to_rgb.4.weight", "to_rgb.4.bias"}


def test_growing_loads_all_but_the_new_block(tmp_path: Path) -> None:
    old = published(tmp_path / "final")
    new = Generator(MODEL, 16, fading=True)
    drawn = new.state_dict()["blocks.16.conv0.weight"].clone()
    handoff.grow(new, handoff.load(tmp_path / "final", "ema"), 16)
    assert torch.equal(new.state_dict()["blocks.8.conv0.weight"],
                       old.state_dict()["blocks.8.conv0.weight"])  # fmt: skip
    assert torch.equal(new.state_dict()["blocks.16.conv0.weight"], drawn)


def test_growing_refuses_networks_of_the_wrong_resolution(tmp_path: Path) -> None:
    published(tmp_path / "final", resolution=4)
    with pytest.raises(StageError, match="do not fit those at 16"):
        handoff.grow(Generator(MODEL, 16, fading=True), handoff.load(tmp_path / "final", "ema"), 16)


def test_stage_is_done_when_its_final_folder_is_valid(tmp_path: Path) -> None:
    final = tmp_path / "final"
    assert not is_done(final)
    published(final)
    assert is_done(final) and read_final(final).resolution == 8
    (final / "ema.safetensors").unlink()
    with pytest.raises(StageError, match="ema.safetensors is missing; .* progan resume RUN"):
        is_done(final)


def test_rewind_drops_ticks_and_samples_after_a_checkpoint(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.samples.mkdir()
    for images_seen in (100, 200, 300):
        append_line(folder.metrics, {"images_seen": images_seen, "time": 1.0})
        folder.fakes(images_seen).touch()
    with folder.metrics.open("a") as file:
        file.write('{"images_se')  # killed in the middle of a line
    rewind(folder, 200)
    assert [tick["images_seen"] for tick in read_ticks(folder.metrics)] == [100, 200]
    assert sorted(folder.samples.iterdir()) == [folder.fakes(100), folder.fakes(200)]


def test_running_means_resume_exactly() -> None:
    whole, first = RunningMeans(), RunningMeans()
    for value in (0.1, 0.2):
        whole.add({"x": value})
        first.add({"x": value})
    state = first.state()
    first.add({"x": 9.0})  # training goes on while a checkpoint is written
    second = RunningMeans(**json.loads(json.dumps(state)))
    whole.add({"x": 0.7})
    second.add({"x": 0.7})
    assert whole.take() == second.take()
