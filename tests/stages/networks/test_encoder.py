"""The mode regulariser against NumPy in float64; its encoder in training and growing."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from objective_of import generator_objective, generator_penalty
from progan.stages.distributed.world import World
from progan.stages.engine.frozen import frozen
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import Encoder, reconstruct
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import downscale
from progan.stages.networks.multi_discriminator import make_discriminator
from progan.stages.objectives.adversarial import loss
from progan.stages.objectives.adversarial_term import Adversarial
from progan.stages.objectives.unrolled import UnrolledDiscriminator, flat_weights
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import ModeRegularizer
from progan.stages.specs.stage import GrowthSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.pretrained import read_published
from progan.stages.storage.tensors import read_tensors
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from workers import spec

MODEL = ModelSpec(latent=8, fmap_base=32, fmap_max=8, stddev_group=2)
MODES = ModeRegularizer(kind="mode_regularizer")
ENCODED = ObjectiveSpec(penalties=(MODES,))


def numerical_gradient(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """The gradient of f, by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += 1e-5
        behind[index] -= 1e-5
        gradient[index] = (f(ahead) - f(behind)) / 2e-5
    return gradient


@pytest.mark.parametrize("distance", ["pixels", "features"])
def test_mode_regularizer_and_its_gradients_match_numpy(
    distance: Literal["pixels", "features"],
) -> None:
    """E(x) = tanh(x A), G(z) = tanh(z B), D's features F x squared, its logit their sum."""
    torch.manual_seed(0)
    reals = torch.randn(5, 6, dtype=torch.float64)
    encoding = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    drawing = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    look = torch.randn(6, 4, dtype=torch.float64)
    nonsaturating = loss(ObjectiveSpec.model_validate({"loss": "nonsaturating"}).loss)
    chosen = MODES.model_copy(update={"lambda_1": 0.7, "lambda_2": 0.3, "distance": distance})
    found = generator_penalty(
        chosen,
        Adversarial(nonsaturating, "mean"),
        features=lambda x: (x @ look).square(),
        reals=reals,
        faded_reals=reals,
        as_real=lambda images: images,
        fake_logits=reals[:, 0],
        reconstruct=lambda: torch.tanh(torch.tanh(reals @ encoding) @ drawing),
        logits=lambda x: (x @ look).square().sum(dim=1),
        discriminators=1,
        players=SimpleNamespace(unrolled=False),
    )
    slopes = torch.autograd.grad(found.mean(), [encoding, drawing])

    x, views = reals.numpy(), look.numpy()

    def term(a: np.ndarray, b: np.ndarray) -> Any:
        again = np.tanh(np.tanh(x @ a) @ b)
        features = (again @ views) ** 2
        apart = again - x if distance == "pixels" else features - (x @ views) ** 2
        probability = 1 / (1 + np.exp(-features.sum(axis=1)))
        return 0.7 * (apart**2).mean(axis=1) - 0.3 * np.log(probability)

    a, b = encoding.detach().numpy(), drawing.detach().numpy()
    np.testing.assert_allclose(found.detach(), term(a, b), 1e-12)
    np.testing.assert_allclose(
        slopes[0], numerical_gradient(lambda a: term(a, b).mean(), a), 1e-6, 1e-8
    )
    np.testing.assert_allclose(
        slopes[1], numerical_gradient(lambda b: term(a, b).mean(), b), 1e-6, 1e-8
    )


@pytest.mark.parametrize(
    ("name", "costs"),
    [
        ("minimax", lambda real, again: np.log1p(np.exp(-again))),
        ("nonsaturating", lambda real, again: np.log1p(np.exp(-again))),
        ("wgan", lambda real, again: -again),
        ("hinge", lambda real, again: -again),
        ("lsgan", lambda real, again: (again - 1) ** 2 / 2),
        ("rgan", lambda real, again: np.log1p(np.exp(real - again))),
    ],
)
def test_reconstructions_use_the_generator_loss(
    name: str, costs: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    torch.manual_seed(0)
    nets = Generator(MODEL, 8), Discriminator(MODEL, 8)
    encoder, reals, latents = Encoder(MODEL, 8), torch.randn(6, 3, 8, 8), torch.randn(6, 8)
    objective = ObjectiveSpec.model_validate({"loss": name, "penalties": [MODES]})
    found = generator_objective(*nets, latents, 1.0, objective, reals, encoder=encoder).scalars
    with torch.no_grad():
        again = reconstruct(nets[0], encoder, reals, latents[:, 8:], 1.0)
        real_logits, logits = (nets[1](x).double().numpy() for x in (reals, again))
    squares = ((again - reals).double().numpy() ** 2).mean(axis=(1, 2, 3))
    expected = 0.2 * squares.mean() + 0.4 * costs(real_logits, logits).mean()
    assert found["generator_mode_regularizer_penalty"].item() == pytest.approx(expected, rel=1e-4)


def test_mode_regularizer_trains_generator_and_encoder_only() -> None:
    torch.manual_seed(0)
    model = MODEL.model_copy(
        update={"discriminator": MODEL.discriminator.model_copy(update={"critics": 2})}
    )
    generator = Generator(model, 8, fading=True)
    discriminators = make_discriminator(model, 8, fading=True)
    encoder = Encoder(model, 8, fading=True)
    reals, latents = torch.randn(4, 3, 8, 8), torch.randn(4, 8)
    both = ObjectiveSpec(penalties=(MODES, MODES.model_copy(update={"distance": "features"})))
    with frozen(discriminators):
        found = generator_objective(
            generator, discriminators, latents, 0.3, both, reals, encoder=encoder
        )
        torch.autograd.backward(found.loss)
    for network in (generator, encoder):
        assert all(p.grad is not None and p.grad.any() for p in network.parameters())
    assert all(p.grad is None for p in discriminators.parameters())


def test_mode_regularizer_uses_the_unrolled_discriminator() -> None:
    torch.manual_seed(0)
    generator, discriminator, encoder = (
        Generator(MODEL, 4),
        Discriminator(MODEL, 4),
        Encoder(MODEL, 4),
    )
    reals, latents = torch.randn(4, 3, 4, 4), torch.randn(4, 8)

    def term(judge: Discriminator | UnrolledDiscriminator) -> Tensor:
        batch = latents, 1.0, ENCODED, reals
        found = generator_objective(generator, judge, *batch, encoder=encoder)
        return found.scalars["generator_mode_regularizer_penalty"]

    weights = flat_weights(discriminator)
    here, there = (UnrolledDiscriminator(discriminator, weights * factor) for factor in (1, 2))
    assert term(here) == term(discriminator) != term(there)


def test_reconstruction_is_conditioned_on_the_classes_of_the_reals() -> None:
    model = MODEL.model_copy(update={"classes": 3})
    generator, encoder = Generator(model, 4), Encoder(model, 4)
    reals, classes = torch.randn(4, 3, 4, 4), torch.eye(3)[[0, 2, 1, 2]]
    reconstruction = reconstruct(generator, encoder, reals, classes, 1.0)
    assert encoder(reals).shape == (4, 8)
    torch.testing.assert_close(
        reconstruction, generator(torch.cat([encoder(reals), classes], dim=1))
    )


@pytest.mark.parametrize("resolution", [8, 16, 64])
@torch.no_grad()
def test_encoder_at_alpha_0_is_the_previous_one_on_downscaled_images(resolution: int) -> None:
    old, new = Encoder(MODEL, resolution // 2), Encoder(MODEL, resolution, fading=True)
    handoff.grow(new, old.state_dict(), resolution)
    images = torch.randn(2, 3, resolution, resolution)
    torch.testing.assert_close(new(images, 0.0), old(downscale(images)))
    assert not torch.allclose(new(images, 0.5), new(images, 0.0))


def trained(stage_spec: StageSpec, world: World, steps: int) -> Stage:
    stage = build(stage_spec, world, None, [])
    with stage.batches:
        for _ in range(steps):
            step(stage, dict)
            stage.images_seen += stage_spec.images_per_step
            stage.position += stage_spec.images_per_step
    return stage


def test_encoder_is_handed_on_in_its_own_file(shapes: Path, world: World, tmp_path: Path) -> None:
    plain = spec(shapes, objective=ObjectiveSpec())
    encoded = spec(shapes, objective=ENCODED)
    first, without = build(encoded, world, None, []), build(plain, world, None, [])
    assert first.encoder is not None and without.encoder is None
    initial = first.encoder.state_dict()
    same = zip(first.generator.parameters(), without.generator.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in same)

    stage = trained(encoded, world, steps=2)
    assert stage.encoder is not None
    moved = [not torch.equal(initial[k], v) for k, v in stage.encoder.state_dict().items()]
    assert all(moved)
    handoff.publish(tmp_path / "final", stage.final(), stage.networks())
    published = read_published(tmp_path / "final")
    for name in ("generator", "ema"):
        given = read_tensors(published.files[name])
        assert given.keys() == without.generator.state_dict().keys()

    grown = spec(
        shapes,
        objective=ENCODED,
        resolution=16,
        grown_from=tmp_path / "final",
        growth=GrowthSpec(fade_images=64, steady_images=64),
    )
    after = build(grown, world, None, [])
    assert after.encoder is not None
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(after.encoder(images, 0.0), stage.encoder(downscale(images)))


def test_new_encoder_if_the_previous_stage_had_none(
    shapes: Path, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = build(spec(shapes), world, None, [])
    handoff.publish(tmp_path / "final", stage.final(), stage.networks())
    grown = spec(shapes, objective=ENCODED, resolution=16, grown_from=tmp_path / "final")
    assert build(grown, world, None, []).encoder is not None
    assert "has no encoder: it begins anew" in caplog.text
