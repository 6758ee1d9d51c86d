"""Checkpoints of pytorch_GAN_zoo: an independent version of its equations draws the same."""

import math
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from progan.pipeline.errors import RunError
from progan.pipeline.imports.formats import import_checkpoint
from progan.pipeline.sampling.generate import load_generator
from progan.stages.networks.discriminator import Discriminator
from progan.stages.storage.pretrained import read_published
from progan.stages.storage.tensors import read_tensors

LATENT = 16
WIDTHS = [16, 8, 4, 2]
"""At 4, 8, 16, 32."""


class BaseConfig:
    """models.utils.config.BaseConfig: attributes."""


def layers(scales: int) -> tuple[dict[str, Any], dict[str, Any]]:
    first = WIDTHS[0]
    g: dict[str, Any] = {"formatLayer": (16 * first, LATENT), "groupScale0.0": (first, first, 3, 3)}
    d: dict[str, Any] = {
        "groupScaleZero.0": (first, first + 1, 3, 3),
        "groupScaleZero.1": (first, 16 * first),
        "decisionLayer": (1, first),
    }
    for i, new in enumerate(WIDTHS[:scales]):
        g[f"toRGBLayers.{i}"] = (3, new, 1, 1)
        d[f"fromRGBLayers.{i}"] = (new, 3, 1, 1)
        if i:
            old = WIDTHS[i - 1]
            g |= {f"scaleLayers.{i - 1}.0": (new, old, 3, 3),
                  f"scaleLayers.{i - 1}.1": (new, new, 3, 3)}  # fmt: skip
            d |= {f"scaleLayers.{i - 1}.0": (new, new, 3, 3),
                  f"scaleLayers.{i - 1}.1": (old, new, 3, 3)}  # fmt: skip
    return g, d


def drawn(shapes: dict[str, Any]) -> dict[str, Tensor]:
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.module.weight"] = torch.randn(shape)
        state[f"{name}.module.bias"] = torch.randn(shape[0])
    return state


def saved(
    path: Path, monkeypatch: pytest.MonkeyPatch, scales: int, **settings: Any
) -> dict[str, Any]:
    torch.manual_seed(scales)
    g, d = layers(scales)
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
    state = {"config": config, "netG": drawn(g), "netD": drawn(d), "avgG": drawn(g)}
    torch.save(state, path)
    return state


def layer(state: dict[str, Tensor], name: str, x: Tensor, scaled: bool = True) -> Tensor:
    """The module, and then its output, bias and all, times He's constant."""
    weight, bias = (state[f"{name}.module.{k}"].double() for k in ("weight", "bias"))
    y = (
        F.linear(x, weight, bias)
        if weight.dim() == 2
        else F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    )
    return y * math.sqrt(2 / math.prod(weight.shape[1:])) if scaled else y


def norm(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def draw(state: dict[str, Tensor], latents: Tensor, scales: int, scaled: bool = True) -> Tensor:
    x = F.leaky_relu(layer(state, "formatLayer", norm(latents), scaled), 0.2)
    x = norm(x.reshape(len(latents), -1, 4, 4))
    x = norm(F.leaky_relu(layer(state, "groupScale0.0", x, scaled), 0.2))
    for i in range(scales - 1):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        for j in (0, 1):
            x = norm(F.leaky_relu(layer(state, f"scaleLayers.{i}.{j}", x, scaled), 0.2))
    return layer(state, f"toRGBLayers.{scales - 1}", x, scaled)


def judge(state: dict[str, Tensor], images: Tensor, scales: int) -> Tensor:
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
@pytest.mark.parametrize("scales", [1, 2, 3, 4])
def test_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scales: int, scaled: bool
) -> None:
    state = saved(tmp_path / "z.pt", monkeypatch, scales, equalizedlR=scaled)
    import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)
    latents = torch.randn(3, LATENT)
    expected = draw(state["avgG"], latents.double(), scales, scaled)
    images = load_generator(tmp_path / "out")(latents)
    limit = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(images.double(), expected, atol=limit, rtol=0)


@pytest.mark.parametrize("scales", [1, 3])
def test_discriminator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scales: int) -> None:
    state = saved(tmp_path / "z.pt", monkeypatch, scales)
    import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)
    networks = read_published(tmp_path / "out")
    discriminator = Discriminator(networks.model, networks.resolution)
    discriminator.load_state_dict(read_tensors(networks.files["discriminator"]))
    images = torch.randn(4, 3, networks.resolution, networks.resolution)
    with torch.no_grad():
        scores = discriminator(images).double()
    expected = judge(state["netD"], images.double(), scales)
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"alpha": 0.5}, "in the middle of a fade"),
        ({"leakyReluLeak": 0.1}, "leakyReluLeak=0.1"),
        ({"categoryVectorDim": 5}, "categoryVectorDim=5"),
    ],
)
def test_what_cannot_be_folded_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], says: str
) -> None:
    saved(tmp_path / "z.pt", monkeypatch, 2, **settings)
    with pytest.raises(RunError, match=says):
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)


def test_widths_that_progan_does_not_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.WIDTHS", [16, 5, 4, 2])
    saved(tmp_path / "z.pt", monkeypatch, 4)
    with pytest.raises(RunError, match="do not follow"):
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)


def test_a_foreign_file_gets_one_line_without_torchs_advice_to_load_it_anyway(
    tmp_path: Path,
) -> None:
    (tmp_path / "z.pt").write_text("# Pictures")
    with pytest.raises(RunError, match="z.pt is no checkpoint .* torch.save writes no such file"):
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)


def test_a_file_that_is_cut_short_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "z.pt", monkeypatch, 2)
    whole = (tmp_path / "z.pt").read_bytes()
    (tmp_path / "z.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError) as error:
        import_checkpoint(tmp_path / "z.pt", tmp_path / "out", "pytorch_gan_zoo", None)
    assert "z.pt is no checkpoint" in str(error.value) and "\n" not in str(error.value)
