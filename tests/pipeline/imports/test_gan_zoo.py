"""Imports of pytorch_GAN_zoo compute the same as an independent version of its equations."""

import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imported import assert_refused, imported_discriminator
from progan.datasets.errors import DataError
from progan.pipeline.imports.formats import import_checkpoint
from progan.pipeline.sampling.generate import load_generator

LATENT = 16
WIDTHS = [16, 8, 4, 2]
"""Feature maps at 4, 8, 16, 32"""


class BaseConfig:
    """Pickled as models.utils.config.BaseConfig, an object with only attributes."""


def layers(scales: int, channels: int) -> tuple[dict[str, Any], dict[str, Any]]:
    first = WIDTHS[0]
    g: dict[str, Any] = {"formatLayer": (16 * first, LATENT), "groupScale0.0": (first, first, 3, 3)}
    d: dict[str, Any] = {
        "groupScaleZero.0": (first, first + 1, 3, 3),
        "groupScaleZero.1": (first, 16 * first),
        "decisionLayer": (1, first),
    }
    for i, new in enumerate(WIDTHS[:scales]):
        g[f"toRGBLayers.{i}"] = (channels, new, 1, 1)
        d[f"fromRGBLayers.{i}"] = (new, channels, 1, 1)
        if i:
            old = WIDTHS[i - 1]
            g |= {f"scaleLayers.{i - 1}.0": (new, old, 3, 3),
                  f"scaleLayers.{i - 1}.1": (new, new, 3, 3)}  # fmt: skip
            d |= {f"scaleLayers.{i - 1}.0": (new, new, 3, 3),
                  f"scaleLayers.{i - 1}.1": (old, new, 3, 3)}  # fmt: skip
    return g, d


def random_weights(shapes: dict[str, Any]) -> dict[str, Tensor]:
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.module.weight"] = torch.randn(shape)
        state[f"{name}.module.bias"] = torch.randn(shape[0])
    return state


def save_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch, scales: int, channels: int = 3, **settings: Any
) -> dict[str, Any]:
    torch.manual_seed(scales)
    g, d = layers(scales, channels)
    config = BaseConfig()
    vars(config).update(
        leakyReluLeak=0.2, perChannelNormalization=True, categoryVectorDim=0, alpha=0,
        miniBatchStdDev=True, equalizedlR=True,
    )  # fmt: skip
    vars(config).update(settings)
    module = types.ModuleType("models.utils.config")
    monkeypatch.setattr(BaseConfig, "__module__", "models.utils.config")
    module.BaseConfig = BaseConfig  # type: ignore[attr-defined]
    for name in ("models", "models.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "models.utils.config", module)
    state = {
        "config": config,
        "netG": random_weights(g),
        "netD": random_weights(d),
        "avgG": random_weights(g),
    }
    torch.save(state, path)
    return state


def layer(state: dict[str, Tensor], name: str, x: Tensor, scaled: bool = True) -> Tensor:
    """The layer, whose output, including the bias, is multiplied by He's constant."""
    weight, bias = (state[f"{name}.module.{k}"].double() for k in ("weight", "bias"))
    y = (
        F.linear(x, weight, bias)
        if weight.dim() == 2
        else F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    )
    return y * math.sqrt(2 / math.prod(weight.shape[1:])) if scaled else y


def norm(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def generate(state: dict[str, Tensor], latents: Tensor, scales: int, scaled: bool = True) -> Tensor:
    x = F.leaky_relu(layer(state, "formatLayer", norm(latents), scaled), 0.2)
    x = norm(x.reshape(len(latents), -1, 4, 4))
    x = norm(F.leaky_relu(layer(state, "groupScale0.0", x, scaled), 0.2))
    for i in range(scales - 1):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        for j in (0, 1):
            x = norm(F.leaky_relu(layer(state, f"scaleLayers.{i}.{j}", x, scaled), 0.2))
    return layer(state, f"toRGBLayers.{scales - 1}", x, scaled)


def discriminate(state: dict[str, Tensor], images: Tensor, scales: int) -> Tensor:
    x = F.leaky_relu(layer(state, f"fromRGBLayers.{scales - 1}", images), 0.2)
    for i in reversed(range(scales - 1)):
        for j in (0, 1):
            x = F.leaky_relu(layer(state, f"scaleLayers.{i}.{j}", x), 0.2)
        x = F.avg_pool2d(x, 2)
    deviation = (x.var(0) + 1e-8).sqrt().mean()  # of one group of four
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], dim=1)
    x = F.leaky_relu(layer(state, "groupScaleZero.0", x), 0.2)
    x = F.leaky_relu(layer(state, "groupScaleZero.1", x.flatten(1)), 0.2)
    return layer(state, "decisionLayer", x).flatten()


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize(("scales", "channels"), [(1, 3), (2, 3), (3, 3), (4, 3), (2, 1), (2, 4)])
def test_generator_draws_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scales: int, channels: int, scaled: bool
) -> None:
    state = save_checkpoint(tmp_path / "z.pt", monkeypatch, scales, channels, equalizedlR=scaled)
    import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)
    latents = torch.randn(3, LATENT)
    expected = generate(state["avgG"], latents.double(), scales, scaled)
    images = load_generator(tmp_path / "out")(latents)
    limit = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(images.double(), expected, atol=limit, rtol=0)


@pytest.mark.parametrize(("scales", "channels"), [(1, 3), (3, 3), (2, 1)])
def test_discriminator_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scales: int, channels: int
) -> None:
    state = save_checkpoint(tmp_path / "z.pt", monkeypatch, scales, channels)
    import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)
    images = torch.randn(4, channels, 2 << scales, 2 << scales)
    logits = imported_discriminator(tmp_path / "out")(images).double()
    expected = discriminate(state["netD"], images.double(), scales)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.5}, "in the middle of a fade"),
        ({"leakyReluLeak": 0.1}, "leakyReluLeak=0.1"),
        ({"categoryVectorDim": 5}, "categoryVectorDim=5"),
    ],
)
def test_unsupported_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    save_checkpoint(tmp_path / "z.pt", monkeypatch, 2, **settings)
    with pytest.raises(DataError, match=message):
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)


def test_unsupported_feature_maps_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.WIDTHS", [16, 5, 4, 2])
    save_checkpoint(tmp_path / "z.pt", monkeypatch, 4)
    with pytest.raises(DataError, match="do not follow"):
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)


def test_error_for_another_file_is_one_line_without_torchs_advice(
    tmp_path: Path,
) -> None:
    (tmp_path / "z.pt").write_text("# Pictures")
    with pytest.raises(DataError, match="z.pt: no checkpoint .* torch.save writes no such file"):
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)


def test_error_for_truncated_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "z.pt", monkeypatch, 2)
    whole = (tmp_path / "z.pt").read_bytes()
    (tmp_path / "z.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError) as error:
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)
    assert "z.pt: no checkpoint" in str(error.value) and "\n" not in str(error.value)


ZOO = "groupScale0.0.module.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("netD"), "it lacks config, netG or netD"),
        (lambda s: s.update(config=[1]), "config is a list, not a dictionary"),
        (lambda s: s.update(config={"alpha": "half"}), "config's alpha is 'half', not a number"),
        (lambda s: s.update(config={"leakyReluLeak": [0.2]}), "trained with leakyReluLeak=a list"),
        (lambda s: s.update(netG=None), "netG is None, not a dictionary"),
        (lambda s: s["avgG"].clear(), "avgG lacks"),
        (lambda s: s["avgG"].update({ZOO: "x"}), f"avgG.{ZOO} is 'x', not a tensor"),
        (lambda s: s["avgG"].update({ZOO: torch.ones(3)}), f"avgG.{ZOO} is torch.float32 (3,)"),
        (lambda s: s["avgG"].update({ZOO: torch.ones(16, 16, 3, 3) / 0}), f"avgG.{ZOO} holds NaN"),
        (
            lambda s: s["avgG"].update({"formatLayer.module.weight": torch.ones(17, 16)}),
            "avgG.formatLayer has 17 outputs, no 4x4 maps",
        ),
        (
            lambda s: s["avgG"].update(
                {f"scaleLayers.{number}.1.module.bias": torch.ones(2) for number in range(30)}
            ),
            "avgG lacks",
        ),
    ],
)  # fmt: skip
def test_wrong_contents_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any], says: str
) -> None:
    state = save_checkpoint(tmp_path / "z.pt", monkeypatch, 2)
    change(state)
    torch.save(state, tmp_path / "z.pt")
    assert_refused(tmp_path / "z.pt", "pytorch_gan_zoo", says)
