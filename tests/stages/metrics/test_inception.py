"""Loading InceptionV3: nothing is downloaded, no code in the file is executed."""

import os
import sys
from pathlib import Path

import pytest
import torch

from measured import save_untrained_inception, scenes
from progan.stages.errors import MetricError
from progan.stages.metrics.inception import load_inception

CPU = torch.device("cpu")


def test_missing_weights_error_says_where_to_download_them() -> None:
    with pytest.raises(MetricError) as caught:
        load_inception(None, CPU)
    message = str(caught.value)
    assert "\n" not in message
    assert "download https://github.com/toshas/torch-fidelity/releases/" in message
    assert message.endswith("and set metrics.inception_weights to that file")


def test_missing_library_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(MetricError, match=r"pip install 'progan\[metrics\]'"):
        load_inception(None, CPU)


@pytest.mark.parametrize("content", [None, b"", b"no weights", b"PK\x03\x04 nor these"])
def test_invalid_weights_file_is_named_in_the_error(content: bytes | None, tmp_path: Path) -> None:
    weights = tmp_path / "inception.pth"
    if content is not None:
        weights.write_bytes(content)
    with pytest.raises(MetricError, match="inception.pth cannot be used"):
        load_inception(weights, CPU)


class Harmful:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def test_pickled_code_in_a_weights_file_is_not_executed(tmp_path: Path) -> None:
    weights, folder = tmp_path / "inception.pth", tmp_path / "folder"
    torch.save({"fc.weight": Harmful(folder)}, weights)
    with pytest.raises(MetricError, match="cannot be used"):
        load_inception(weights, CPU)
    assert not folder.exists()
    # Without weights_only the file does execute its code.
    torch.load(weights, weights_only=False)
    assert folder.is_dir()


@pytest.mark.slow
def test_features_come_from_the_file_and_rng_state_is_unchanged(tmp_path: Path) -> None:
    untrained = save_untrained_inception(tmp_path / "inception.pth")
    before = torch.random.get_rng_state()
    network = load_inception(tmp_path / "inception.pth", CPU)
    assert torch.equal(torch.random.get_rng_state(), before)
    images = scenes(2, 32, seed=1)
    found, expected = network(images), untrained(images)
    assert found.pool.shape == (2, 2048) and found.logits.shape == (2, 1008)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
