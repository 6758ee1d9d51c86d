"""Imports of the official code compute the same as an independent NumPy version of its networks."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import imported
from imported import (
    FIELDS,
    Malicious,
    Network,
    Values,
    assert_refused,
    imported_discriminator,
    random_weights,
    save_pickle,
)
from progan.datasets.errors import DataError
from progan.pipeline.imports.formats import import_checkpoint
from progan.pipeline.sampling.generate import load_generator
from progan.stages.storage.pretrained import read_published


def conv(x: np.ndarray, w: np.ndarray) -> Any:
    """tf.nn.conv2d, SAME, NCHW and HWIO."""
    k, (h, v) = w.shape[0], x.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (k // 2,) * 2, (k // 2,) * 2))
    return sum(
        np.einsum("nihw,io->nohw", x[:, :, a : a + h, b : b + v], w[a, b])
        for a in range(k) for b in range(k)
    )  # fmt: skip


def four_shifts(w: np.ndarray) -> Any:
    w = np.pad(w, ((1, 1), (1, 1), (0, 0), (0, 0)))
    return w[1:, 1:] + w[:-1, 1:] + w[1:, :-1] + w[:-1, :-1]


def conv_up(x: np.ndarray, w: np.ndarray) -> Any:
    """tf.nn.conv2d_transpose, stride 2, SAME, of a kernel (H, W, out, in)."""
    w, (n, _, h, v) = four_shifts(w), x.shape
    out = np.zeros((n, w.shape[2], 2 * h + 2, 2 * v + 2))
    for a in range(4):
        for b in range(4):
            out[:, :, a : a + 2 * h : 2, b : b + 2 * v : 2] += np.einsum(
                "nihw,oi->nohw", x, w[a, b]
            )
    return out[:, :, 1:-1, 1:-1]


def act(x: np.ndarray) -> Any:
    return np.maximum(x * 0.2, x)


def norm(x: np.ndarray) -> Any:
    return x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-8)


class Official:
    """The equations of networks.py, in double precision."""

    def __init__(self, values: Values, settings: dict[str, Any]) -> None:
        self.values, self.scaled = values, settings.get("use_wscale", True)
        self.fused = settings.get("fused_scale", True)

    def weight(self, name: str, gain: float, fan_in: int) -> Any:
        scale = gain / np.sqrt(fan_in) if self.scaled else 1.0
        return self.values[f"{name}/weight"].astype(float) * scale

    def layer(self, name: str, x: np.ndarray, gain: float = 2**0.5) -> Any:
        shape = self.values[f"{name}/weight"].shape
        bias = self.values[f"{name}/bias"].astype(float)
        if len(shape) == 2:
            return x.reshape(len(x), -1) @ self.weight(name, gain, shape[0]) + bias
        if name.endswith("_up"):
            y = conv_up(x, self.weight(name, gain, 9 * shape[3]))
        elif name.endswith("_down"):
            y = conv(x, self.weight(name, gain, 9 * shape[2]))
            y = y.reshape(*y.shape[:2], y.shape[2] // 2, 2, -1, 2).mean(axis=(3, 5))
        else:
            y = conv(x, self.weight(name, gain, shape[0] ** 2 * shape[2]))
        return y + bias.reshape(-1, 1, 1)

    def generate(self, latents: np.ndarray, resolution: int, lod: int) -> Any:
        maps = norm(latents) @ self.weight("4x4/Dense", 2**0.5 / 4, latents.shape[1])
        bias = self.values["4x4/Dense/bias"].reshape(-1, 1, 1)
        x = norm(act(maps.reshape(len(latents), -1, 4, 4) + bias))
        x = norm(act(self.layer("4x4/Conv", x)))
        size = 8
        while size <= resolution:
            if self.fused:
                x = norm(act(self.layer(f"{size}x{size}/Conv0_up", x)))
            else:
                x = x.repeat(2, axis=2).repeat(2, axis=3)
                x = norm(act(self.layer(f"{size}x{size}/Conv0", x)))
            x = norm(act(self.layer(f"{size}x{size}/Conv1", x)))
            size *= 2
        return self.layer(f"ToRGB_lod{lod}", x, gain=1.0)

    def discriminate(self, images: np.ndarray) -> Any:
        x = act(self.layer("FromRGB_lod0", images))
        while x.shape[2] > 4:
            size = f"{x.shape[2]}x{x.shape[2]}"
            x = act(self.layer(f"{size}/Conv1_down", act(self.layer(f"{size}/Conv0", x))))
        deviation = np.sqrt(x.var(axis=0) + 1e-8).mean()  # of one group of four
        x = np.concatenate([x, np.full((len(x), 1, 4, 4), deviation)], axis=1)
        x = act(self.layer("4x4/Dense0", act(self.layer("4x4/Conv", x))))
        return self.layer("4x4/Dense1", x, gain=1.0).ravel()


@pytest.mark.parametrize(
    "settings", [{}, {"use_wscale": False}, {"fused_scale": False}, {"num_channels": 1}]
)
@pytest.mark.parametrize("resolution", [4, 8, 16, 32])
def test_generator_draws_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolution: int, settings: dict[str, Any]
) -> None:
    averaged, _ = save_pickle(tmp_path / "n.pkl", monkeypatch, resolution, **settings)
    import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)
    latents = np.random.default_rng(5).standard_normal((3, 16))
    expected = Official(averaged, settings).generate(latents, resolution, lod=0)
    images = load_generator(tmp_path / "out")(torch.from_numpy(latents).float())
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("resolution", "channels"), [(4, 3), (16, 3), (16, 4)])
def test_discriminator_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolution: int, channels: int
) -> None:
    _, values = save_pickle(tmp_path / "n.pkl", monkeypatch, resolution, num_channels=channels)
    import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)
    images = np.random.default_rng(6).standard_normal((4, channels, resolution, resolution))
    logits = imported_discriminator(tmp_path / "out")(torch.from_numpy(images).float()).numpy()
    expected = Official(values, {}).discriminate(images)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_snapshot_is_imported_at_the_resolution_it_has_grown_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    averaged, _ = save_pickle(tmp_path / "n.pkl", monkeypatch, resolution=32, lod=1)
    import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)
    latents = np.random.default_rng(5).standard_normal((3, 16))
    images = load_generator(tmp_path / "out")(torch.from_numpy(latents).float())
    expected = Official(averaged, {}).generate(latents, 16, lod=1)
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-4 * np.abs(expected).max())


def test_discriminator_without_fused_scale_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pickle(tmp_path / "n.pkl", monkeypatch, 8, fused_scale=False)
    converted = import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)
    assert "mean after the activation" in converted.left_out["discriminator"]
    assert "discriminator" not in read_published(tmp_path / "out").files


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_pixelnorm": False}, "use_pixelnorm=False"),
        ({"label_size": 10}, "label_size=10"),
        ({"lod": 0.25}, "in the middle of a fade (lod 0.250)"),
    ],
)
def test_unsupported_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    save_pickle(tmp_path / "n.pkl", monkeypatch, 8, **settings)
    with pytest.raises(DataError, match=message.replace("(", r"\(").replace(")", r"\)")):
        import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)
    assert not (tmp_path / "out").exists()


def test_malicious_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    (tmp_path / "n.pkl").write_bytes(pickle.dumps((Malicious(tmp_path / "ran"), 1, 2)))
    with pytest.raises(DataError, match=r"it names \w+\.system"):
        import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": 1})])
def test_error_for_another_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "n.pkl").write_bytes(content)
    with pytest.raises(DataError) as error:
        import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)
    assert "n.pkl" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_error_for_truncated_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    save_pickle(tmp_path / "n.pkl", monkeypatch, 8)
    whole = (tmp_path / "n.pkl").read_bytes()
    (tmp_path / "n.pkl").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="or damaged"):
        import_checkpoint(tmp_path / "n.pkl", tmp_path / "out", "tensorflow", None)


CONV = "4x4/Conv/weight"


@pytest.mark.parametrize(
    ("lod", "says"),
    [
        (np.inf, "Gs's lod holds NaN, or numbers that are too large"),
        (np.nan, "Gs's lod holds NaN"),
        (-1, "Gs's lod is -1, not from 0"),
        (7, "Gs's lod is 7, not from 0 (the largest pictures) to 1 (4x4)"),
    ],
)
def test_impossible_level_of_detail_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lod: float, says: str
) -> None:
    save_pickle(tmp_path / "n.pkl", monkeypatch, 8, lod=lod)
    assert_refused(tmp_path / "n.pkl", "tensorflow", says)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("lod", "0", "Gs's lod is '0', not numbers"),
        ("lod", None, "Gs lacks lod"),
        (CONV, None, f"Gs lacks {CONV}"),
        (CONV, [1.0], f"Gs's {CONV} is a list, not numbers"),
        (CONV, np.full((3, 3, 16, 16), np.nan), f"Gs's {CONV} holds NaN"),
        (CONV, np.full((3, 3, 16, 16), 1e300), f"Gs's {CONV} holds NaN, or numbers that"),
        (CONV, np.ones((3, 3, 16, 16), int), f"Gs's {CONV} is torch.int64 (3, 3, 16, 16)"),
        (CONV, np.ones((3, 16)), f"Gs's {CONV} is torch.float64 (3, 16), where"),
        (CONV, np.ones((0, 3, 16, 16)), f"Gs's {CONV} has the shape (0, 3, 16, 16)"),
        (CONV, np.ones((3, 3, 9, 16)), "the ema's blocks.4.conv.weight does not fit"),
        ("4x4/Conv/bias", np.ones(99_999), "feature maps {2: 16, 4: 99999, 8: 16} do not follow"),
    ],
)  # fmt: skip
def test_wrong_variable_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, says: str
) -> None:
    def change(shapes: dict[str, Any], lod: float, seed: int) -> Any:
        values: Any = draw(shapes, lod, seed)
        if seed == 2:  # Gs
            values |= {name: value}
        return {key: each for key, each in values.items() if each is not None}

    draw = random_weights
    monkeypatch.setattr(imported, "random_weights", change)
    save_pickle(tmp_path / "n.pkl", monkeypatch, 8)
    assert_refused(tmp_path / "n.pkl", "tensorflow", says)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"resolution": "big"}, "its resolution is 'big', no power of two"),
        ({"resolution": 10**30}, "its resolution is a number of many digits, no power of two"),
        ({"mbstd_group_size": "four"}, "D's mbstd_group_size is 'four', not a number"),
        ({"use_wscale": [True]}, "use_wscale is a list, not a number"),
        ({"label_size": [[[]]]}, "trained with label_size=a list"),
    ],
)
def test_wrong_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], says: str
) -> None:
    fields = FIELDS | settings
    monkeypatch.setattr(imported, "FIELDS", fields)
    save = Network.__getstate__

    def state(network: Network) -> dict[str, Any]:
        saved = save(network)
        return saved | {"static_kwargs": saved["static_kwargs"] | settings}

    monkeypatch.setattr(Network, "__getstate__", state)
    save_pickle(tmp_path / "n.pkl", monkeypatch, 8)
    assert_refused(tmp_path / "n.pkl", "tensorflow", says)
