"""A shared, frozen encoder: the head on both networks' features, and what must not change it."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from networks import encoder_folder
from objective_of import discriminator_objective
from progan.stages.distributed.world import World
from progan.stages.errors import StageError
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import MultiDiscriminator, make_discriminator
from progan.stages.networks.widths import autoencoder_model, discriminator_parameters
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.optimizers import SgdSpec
from progan.stages.specs.stage import GrowthSpec
from progan.stages.storage import handoff
from progan.stages.storage.tensors import parameters
from progan.stages.training.loop import step
from progan.stages.training.networks import Networks, load_weights
from progan.stages.training.stage import Stage, build
from workers import spec

ENCODER = {"resolution": 8, "fmap_base": 16, "fmap_max": 6, "sha256": ""}


def model(**discriminator: Any) -> ModelSpec:
    shape = {"latent": 8, "fmap_base": 32, "fmap_max": 8, "stddev_group": 2}
    return ModelSpec.model_validate(
        shape | {"discriminator": {"representative": ENCODER} | discriminator}
    )


def encoder_of(discriminator: Discriminator) -> dict[str, Tensor]:
    assert discriminator.representative is not None
    return discriminator.representative.state_dict()


def code(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """The encoder's layers one by one, as the paper has them, on images (N, 3, 8, 8)."""

    def layer(name: str, x: Tensor) -> Tensor:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        scaled = weight * math.sqrt(2 / weight[0].numel())
        if weight.dim() == 2:
            return x.flatten(1) @ scaled.T + bias
        return F.conv2d(x, scaled, bias, padding=weight.shape[-1] // 2)

    def activate(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    x = activate(layer("from_rgb.8", images))
    x = activate(layer("blocks.8.conv0", x))
    # The mean is taken before the activation, with the convolution.
    x = activate(F.avg_pool2d(layer("blocks.8.conv1", x), 2))
    x = activate(layer("blocks.4.dense0", activate(layer("blocks.4.conv", x))))
    normalised: Tensor = x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    return normalised


@pytest.mark.parametrize("resolution", [4, 8, 16])
@pytest.mark.parametrize("fading", [False, True])
def test_head_sees_both_networks_features(resolution: int, fading: bool) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(model(), resolution, fading=fading and resolution > 4).double()
    images = torch.randn(4, 3, resolution, resolution, dtype=torch.float64)
    alpha = 0.3 if fading and resolution > 4 else 1.0
    found = discriminator.forward_features(images, alpha)
    resized = images.repeat_interleave(2, 2).repeat_interleave(2, 3)  # by pixels, or their means
    if resolution > 4:
        factor = resolution // 8
        resized = images.reshape(4, 3, 8, factor, 8, factor).mean(dim=(3, 5))
    expected = code(encoder_of(discriminator), resized)
    own = found.features[:, : -expected.shape[1]]
    torch.testing.assert_close(found.features[:, own.shape[1] :], expected)
    dense = discriminator.head.dense
    assert isinstance(dense, torch.nn.Module)
    weight, bias = dense.get_parameter("weight"), dense.get_parameter("bias")
    logits = (torch.cat([own, expected], dim=1) @ weight[0]) / weight.shape[1] ** 0.5 + bias
    torch.testing.assert_close(found.logits, logits)


@pytest.mark.parametrize("resolution", [4, 16])
def test_gradients_of_images_pass_through_the_encoder(resolution: int) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(model(minibatch="none"), resolution).double()
    images = torch.randn(1, 3, resolution, resolution, dtype=torch.float64, requires_grad=True)
    assert discriminator.representative is not None
    assert torch.autograd.gradcheck(discriminator.representative, images)

    def penalty(x: Tensor) -> Tensor:
        (slopes,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
        return slopes.square().sum()

    weight = discriminator.head.get_parameter("dense.weight")
    (found,) = torch.autograd.grad(penalty(images), weight)
    expected = torch.empty_like(weight)
    for column in range(weight.shape[1]):
        ends = []
        for shift in (1e-5, -1e-5):
            with torch.no_grad():
                weight[0, column] += shift
            ends.append(penalty(images).detach())
            with torch.no_grad():
                weight[0, column] -= shift
        expected[0, column] = (ends[0] - ends[1]) / 2e-5
    assert expected[:, -6:].abs().min() > 1e-6
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


EVERYTHING = ObjectiveSpec.model_validate(
    {
        "loss": "hinge",
        "penalties": [
            {"kind": "spectral_norm", "networks": ["generator", "discriminator"]},
            {"kind": "orthogonal", "weight": 0.1, "networks": ["discriminator"]},
            {"kind": "historical_average", "weight": 0.1, "networks": ["discriminator"]},
            {"kind": "weight_clip", "bound": 0.001},
            {"kind": "r1", "weight": 1},
            {"kind": "gradient_norm", "weight": 1},
        ],
    }
)


@pytest.mark.parametrize("changes", [
    {},
    {"objective": EVERYTHING},
    {"objective": ObjectiveSpec(unrolled=2)},
    {"model": model(critics=2), "optimizer": SgdSpec(kind="sgd", momentum=0.9)},
    {"model": model(minibatch="none").model_copy(update={"arch": "dcgan"})},
], ids=["paper", "penalties", "unrolled", "critics", "dcgan"])  # fmt: skip
def test_training_leaves_the_encoder_as_it_is(
    changes: dict[str, Any], shapes: Path, world: World
) -> None:
    stage = build(spec(shapes, **({"model": model(), "lr": 0.1} | changes)), world, None, [])
    before = {k: v for k, v in parameters(stage.discriminator).items() if "representative" in k}
    trained = [parameter.detach().clone() for parameter in stage.discriminator.parameters()]
    counted = discriminator_parameters(stage.spec.model, 8)
    assert sum(parameter.numel() for parameter in trained) == counted
    steps(stage, 2)
    after = parameters(stage.discriminator)
    assert len(before) == 10 * stage.spec.model.discriminator.critics
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    trained_on = zip(trained, stage.discriminator.parameters(), strict=True)
    assert any(not torch.equal(*pair) for pair in trained_on)
    assert not any("representative" in k for k in stage.checkpoint({}).tensors["optimizer"])


def steps(stage: Stage, number: int) -> None:
    with stage.batches:
        for _ in range(number):
            step(stage, dict)


def test_several_discriminators_have_one_encoder() -> None:
    discriminators = make_discriminator(model(critics=3), 8)
    assert isinstance(discriminators, MultiDiscriminator)
    assert len({id(each.representative) for each in discriminators.each}) == 1


def test_recomputed_encoder_gives_the_same_gradients() -> None:
    found = []
    for recompute_from in (None, 4):
        torch.manual_seed(0)
        discriminator = Discriminator(model(), 8, recompute_from=recompute_from)
        reals, latents = torch.randn(4, 3, 8, 8), torch.randn(4, 8)
        networks = Generator(model(), 8), discriminator
        loss = discriminator_objective(
            *networks, reals, latents, torch.rand(4), 1.0, ObjectiveSpec()
        ).loss
        found.append(torch.autograd.grad(loss, list(discriminator.parameters())))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_encoder_comes_from_its_folder_and_goes_on_without_it(
    shapes: Path, world: World, tmp_path: Path
) -> None:
    shape = encoder_folder(tmp_path / "encoder")
    shared = model(representative=shape)
    first = spec(shapes, model=shared, representative=tmp_path / "encoder")
    networks = Networks.drawn(first)
    load_weights(networks, first, None)
    assert isinstance(networks.discriminator, Discriminator)
    given = encoder_of(networks.discriminator)
    torch.manual_seed(7)
    drawn = Discriminator(autoencoder_model(shape, 3), shape.resolution)
    assert all(torch.equal(tensor, drawn.get_parameter(name)) for name, tensor in given.items())

    handoff.publish(tmp_path / "final", build(first, world, None, []).final(), {
        "generator": networks.generator,
        "discriminator": networks.discriminator,
    })  # fmt: skip
    for file in (tmp_path / "encoder").iterdir():
        file.unlink()
    fade = GrowthSpec(fade_images=64, steady_images=64)
    grown = spec(shapes, model=shared, resolution=16, grown_from=tmp_path / "final", growth=fade)
    after = Networks.drawn(grown)
    handoff.grow_from(tmp_path / "final", "discriminator", after.discriminator, 16)
    assert isinstance(after.discriminator, Discriminator)
    kept = encoder_of(after.discriminator)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in given.items())


def test_encoder_that_changed_after_the_start_is_refused(shapes: Path, tmp_path: Path) -> None:
    shape = encoder_folder(tmp_path / "encoder")
    encoder_folder(tmp_path / "encoder", seed=8)
    changed = spec(shapes, model=model(representative=shape), representative=tmp_path / "encoder")
    with pytest.raises(StageError, match="its encoder has changed"):
        load_weights(Networks.drawn(changed), changed, None)


def test_weights_of_another_shape_are_refused(shapes: Path, tmp_path: Path) -> None:
    shape = encoder_folder(tmp_path / "encoder", fmap_max=4, claimed=6)
    wrong = spec(shapes, model=model(representative=shape), representative=tmp_path / "encoder")
    with pytest.raises(StageError, match=r"encoder.safetensors does not fit"):
        load_weights(Networks.drawn(wrong), wrong, None)
