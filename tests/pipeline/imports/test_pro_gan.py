"""Imports of pro_gan_pytorch compute the same as an independent version of its equations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imported import Malicious, assert_refused, imported_discriminator
from progan.datasets.errors import DataError
from progan.pipeline.errors import ConfigError
from progan.pipeline.imports.formats import import_checkpoint
from progan.pipeline.sampling.generate import load_generator
from progan.stages.storage.pretrained import read_published

DEPTH = 5
LATENT = 16
WIDTHS = [16, 16, 8, 4]
"""Feature maps at 4, 8, 16, 32"""


def layers(channels: int) -> tuple[dict[str, Any], dict[str, Any]]:
    first, last = WIDTHS[0], DEPTH - 2
    g: dict[str, Any] = {
        "layers.0.conv_1": (LATENT, first, 4, 4),
        "layers.0.conv_2": (first, first, 3, 3),
    }
    d: dict[str, Any] = {
        f"layers.{last}.conv_1": (first, first + 1, 3, 3),
        f"layers.{last}.conv_2": (16, first, 4, 4),
        f"layers.{last}.conv_3": (1, 16, 1, 1),
    }
    for i, new in enumerate(WIDTHS):
        g[f"rgb_converters.{i}"] = (channels, new, 1, 1)
        d[f"from_rgb.{last - i}.0"] = (new, channels, 1, 1)
        if i:
            old = WIDTHS[i - 1]
            g |= {f"layers.{i}.conv_1": (new, old, 3, 3), f"layers.{i}.conv_2": (new, new, 3, 3)}
            d |= {f"layers.{last - i}.conv_1": (new, new, 3, 3),
                  f"layers.{last - i}.conv_2": (old, new, 3, 3)}  # fmt: skip
    return g, d


def network(shapes: dict[str, Any], eql: bool, **conf: Any) -> dict[str, Any]:
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = torch.randn(shape)
        transposed = shape[0] == LATENT and name == "layers.0.conv_1"
        state[f"{name}.bias"] = torch.randn(shape[1] if transposed else shape[0])
    conf = {"depth": DEPTH, "num_channels": 3, "latent_size": LATENT, "use_eql": eql} | conf
    return {"conf": conf, "state_dict": state}


def save_checkpoint(
    path: Path, eql: bool = True, num_classes: int | None = None, channels: int = 3
) -> dict[str, Any]:
    torch.manual_seed(0)
    g, d = layers(channels)
    state = {
        "generator": network(g, eql),
        "shadow_generator": network(g, eql),
        "discriminator": network(d, eql, num_classes=num_classes),
        "gen_optim": {},
        "dis_optim": {},
    }
    torch.save(state, path)
    return state


class Peer:
    """The equations of pro_gan_pytorch, in double precision."""

    def __init__(self, saved: dict[str, Any]) -> None:
        self.state, self.eql = saved["state_dict"], saved["conf"]["use_eql"]

    def layer(self, name: str, x: Tensor, transposed: bool = False) -> Tensor:
        weight, bias = (self.state[f"{name}.{k}"].double() for k in ("weight", "bias"))
        if self.eql:
            fan_in = weight.shape[0] if transposed else weight[0].numel()
            weight = weight * (2 / fan_in) ** 0.5
        if transposed:
            return F.conv_transpose2d(x, weight, bias)
        return F.conv2d(x, weight, bias, padding=1 if weight.shape[-1] == 3 else 0)

    def generate(self, latents: Tensor, scales: int) -> Tensor:
        x = norm(latents[:, :, None, None])
        x = F.leaky_relu(self.layer("layers.0.conv_1", x, transposed=True), 0.2)
        x = norm(F.leaky_relu(self.layer("layers.0.conv_2", x), 0.2))
        for i in range(1, scales):
            x = F.interpolate(x, scale_factor=2)
            x = norm(F.leaky_relu(self.layer(f"layers.{i}.conv_1", x), 0.2))
            x = norm(F.leaky_relu(self.layer(f"layers.{i}.conv_2", x), 0.2))
        return self.layer(f"rgb_converters.{scales - 1}", x)

    def discriminate(self, images: Tensor, scales: int) -> Tensor:
        last = DEPTH - 2
        x = F.leaky_relu(self.layer(f"from_rgb.{last - scales + 1}.0", images), 0.2)
        for i in range(last - scales + 1, last):
            x = F.leaky_relu(self.layer(f"layers.{i}.conv_1", x), 0.2)
            x = F.avg_pool2d(F.leaky_relu(self.layer(f"layers.{i}.conv_2", x), 0.2), 2)
        deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()  # of one group of four
        x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], dim=1)
        x = F.leaky_relu(self.layer(f"layers.{last}.conv_1", x), 0.2)
        x = F.leaky_relu(self.layer(f"layers.{last}.conv_2", x), 0.2)
        return self.layer(f"layers.{last}.conv_3", x).flatten()


def norm(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


@pytest.mark.parametrize("eql", [True, False])
@pytest.mark.parametrize(("scales", "channels"), [(1, 3), (2, 3), (3, 3), (4, 3), (2, 1), (2, 4)])
def test_generator_draws_the_same(tmp_path: Path, scales: int, channels: int, eql: bool) -> None:
    state = save_checkpoint(tmp_path / "p.bin", eql, channels=channels)
    import_checkpoint(tmp_path / "p.bin", tmp_path / "out", "pro_gan_pytorch", 2 << scales)
    latents = torch.randn(3, LATENT)
    expected = Peer(state["shadow_generator"]).generate(latents.double(), scales)
    images = load_generator(tmp_path / "out")(latents)
    limit = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(images.double(), expected, atol=limit, rtol=0)


@pytest.mark.parametrize(("scales", "channels"), [(1, 3), (4, 3), (2, 1)])
def test_discriminator_computes_the_same(tmp_path: Path, scales: int, channels: int) -> None:
    state = save_checkpoint(tmp_path / "p.bin", channels=channels)
    import_checkpoint(tmp_path / "p.bin", tmp_path / "out", "pro_gan_pytorch", 2 << scales)
    images = torch.randn(4, channels, 2 << scales, 2 << scales)
    logits = imported_discriminator(tmp_path / "out")(images).double()
    expected = Peer(state["discriminator"]).discriminate(images.double(), scales)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_default_resolution_is_the_largest(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "p.bin")
    import_checkpoint(tmp_path / "p.bin", tmp_path / "out", "pro_gan_pytorch", None)
    assert read_published(tmp_path / "out").resolution == 32
    with pytest.raises(ConfigError, match="the checkpoint has 4, 8, 16, 32"):
        import_checkpoint(tmp_path / "p.bin", tmp_path / "other", "pro_gan_pytorch", 64)


def test_conditional_discriminator_is_left_out(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "p.bin", num_classes=3)
    converted = import_checkpoint(tmp_path / "p.bin", tmp_path / "out", "pro_gan_pytorch", None)
    assert converted.left_out == {"discriminator": "it is conditional"}


def test_malicious_checkpoint_is_refused_and_not_executed(tmp_path: Path) -> None:
    torch.save({"generator": Malicious(tmp_path / "ran")}, tmp_path / "p.bin")
    with pytest.raises(DataError, match=r"it names \w+\.system, which"):
        import_checkpoint(tmp_path / "p.bin", tmp_path / "out", "pro_gan_pytorch", None)
    assert not (tmp_path / "ran").exists()


def set_weight(value: Any) -> Callable[[Any], Any]:
    return lambda state: state["shadow_generator"]["state_dict"].update(
        {"layers.0.conv_2.weight": value}
    )


def set_conf(**values: Any) -> Callable[[Any], Any]:
    return lambda state: state["shadow_generator"]["conf"].update(values)


def claim_maps(state: dict[str, Any]) -> None:
    """Biases of 20,000 maps everywhere: the weights would take 14 GB each."""
    del state["discriminator"]
    for name in ("generator", "shadow_generator"):
        layers = state[name]["state_dict"]
        layers |= {
            key: torch.ones(20_000) for key in layers if key[-4:] == "bias" and key[0] == "l"
        }


WEIGHT = "shadow_generator.state_dict.layers.0.conv_2.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict.clear, "it lacks a generator"),
        (lambda s: s.update(generator=3), "generator is 3, not a dictionary"),
        (lambda s: s["generator"].pop("conf"), "generator.conf is None, not a dictionary"),
        (set_conf(depth="deep"), "shadow_generator.conf's depth is 'deep', not a number"),
        (set_conf(depth=10**9), "shadow_generator.conf's depth is 1000000000, not from 2"),
        (set_conf(depth=float("nan")), "shadow_generator.conf's depth is nan, not a number"),
        (set_weight(None), f"{WEIGHT} is None, not a tensor"),
        (set_weight([1, 2]), f"{WEIGHT} is a list, not a tensor"),
        (set_weight(torch.ones(16, 16, 3, 3, dtype=torch.int)), f"{WEIGHT} is torch.int32"),
        (set_weight(torch.ones(16, 16)), f"{WEIGHT} is torch.float32 (16, 16), where"),
        (set_weight(torch.full((16, 16, 3, 3), torch.nan)), f"{WEIGHT} holds NaN"),
        (claim_maps, "the generator's blocks.16.conv0.weight does not fit"),
        (set_weight(torch.ones(16, 9, 3, 3)), "the ema's blocks.4.conv.weight does not fit"),
        (lambda s: s["discriminator"].update(conf=[]), "discriminator.conf is a list"),
        (lambda s: s["discriminator"]["state_dict"].clear(), "discriminator.state_dict lacks"),
    ],
)
def test_wrong_contents_are_refused(
    tmp_path: Path, change: Callable[[Any], Any], says: str
) -> None:
    state = save_checkpoint(tmp_path / "p.bin")
    change(state)
    torch.save(state, tmp_path / "p.bin")
    assert_refused(tmp_path / "p.bin", "pro_gan_pytorch", says)


def test_double_precision_is_rounded(tmp_path: Path) -> None:
    state = save_checkpoint(tmp_path / "p.bin")
    weights = state["generator"]["state_dict"]
    weights.update({name: value.double() for name, value in weights.items()})
    torch.save(state, tmp_path / "p.bin")
    converted = import_checkpoint(tmp_path / "p.bin", tmp_path / "o", "pro_gan_pytorch", None)
    assert {value.dtype for value in converted.networks["generator"].values()} == {torch.float32}


def test_files_of_older_torch_are_read(tmp_path: Path) -> None:
    state = save_checkpoint(tmp_path / "p.bin")
    torch.save(state, tmp_path / "p.bin", _use_new_zipfile_serialization=False)
    converted = import_checkpoint(tmp_path / "p.bin", tmp_path / "out", "pro_gan_pytorch", None)
    assert len(converted.networks) == 3
