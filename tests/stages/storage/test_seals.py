"""Checksums cover the documents of checkpoints and hand-offs too, not only their tensors."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from progan.stages.errors import StageError
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import CheckpointSpec
from progan.stages.storage import checkpoint
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.storage.final import DOCUMENT, Final, is_done, is_published, read_final
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.stage_folder import StageFolder

Damage = Callable[[dict[str, Any]], object]

ALTERED: dict[str, Damage] = {
    "images_seen": lambda state: state.update(images_seen=33),
    "position": lambda state: state.update(position=0),
    "a mean": lambda state: state["tally"]["sums"].update(a=0.2),
    "a missing key": lambda state: state.pop("position"),
    "an unknown key": lambda state: state.update(alpha=1),
    "no checksums": lambda state: state.pop("sha256"),
    "a checksum's type": lambda state: state.update(sha256=[]),
}
BROKEN = {"empty": b"", "half": b'{"images_seen": 32,', "a list": b"[]", "a byte": b'{"a": "\xff"}',
          "zeros": bytes(64), "deep": b"[" * 99_999}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    """Checkpoints after 16 and 32 images."""
    folder = StageFolder(tmp_path)
    for seen in (16, 32):
        means = {"sums": {"a": 0.1}, "steps": {"a": 1}}
        state = Checkpoint(seen, seen, {"ema": {"w": torch.ones(3)}}, means)
        checkpoint.save(folder, state, CheckpointSpec(keep=2))
    return folder


def alter(path: Path, change: Damage) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", ALTERED)
def test_altered_state_is_damage_and_the_checkpoint_before_is_used(
    name: str, folder: StageFolder, caplog: pytest.LogCaptureFixture
) -> None:
    alter(folder.checkpoint(32) / "state.json", ALTERED[name])
    with caplog.at_level(logging.WARNING):
        found = checkpoint.newest(folder)
    assert found and found.images_seen == 16
    (warning,) = caplog.messages
    assert str(folder.checkpoint(32) / "state.json") in warning
    assert warning.endswith("; using the checkpoint before it")


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_state_is_damage_too(content: bytes, folder: StageFolder) -> None:
    (folder.checkpoint(32) / "state.json").write_bytes(content)
    found = checkpoint.newest(folder)
    assert found and found.images_seen == 16


@pytest.fixture
def final(tmp_path: Path) -> Path:
    manifest = Final(resolution=8, images_seen=5, model=ModelSpec(), seed=0, data_fingerprint="f")
    with sealing(tmp_path / "final", DOCUMENT, manifest.model_dump(mode="json")) as target:
        (target / "ema.safetensors").write_bytes(b"weights")
    return tmp_path / "final"


@pytest.mark.parametrize("key", ["resolution", "images_seen", "seed", "data_fingerprint"])
def test_altered_manifest_is_damage(key: str, final: Path) -> None:
    assert read_final(final).images_seen == 5
    alter(final / DOCUMENT, lambda manifest: manifest.update({key: 16}))
    with pytest.raises(StageError, match=r"manifest\.json is damaged: its checksum does not hold"):
        is_done(final)


def test_is_published_reads_no_networks(final: Path) -> None:
    (final / "ema.safetensors").write_bytes(b"other")
    assert is_published(final) and not is_published(final.parent / "none")
    (final / DOCUMENT).write_bytes(b"{")
    with pytest.raises(StageError, match="is damaged"):
        is_published(final)
