"""Mixtures of generators: first layers of their own, a random one a picture, and its classifier."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from networks import published
from progan.pipeline.cli.main import main
from progan.pipeline.sampling.generate import draw_latents, load_generator
from progan.stages.images import png, single
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.rng import grid_latents
from progan.stages.specs.model import ModelSpec

SMALL = {"latent": 6, "fmap_base": 32, "fmap_max": 8, "stddev_group": 2}
DCGAN = {"arch": "dcgan", "generator": {"norm": "none"}}
LABELLED = {"classes": 2, "discriminator": {"head": "projection"}}


def model(generators: int, **changes: Any) -> ModelSpec:
    return ModelSpec.model_validate(SMALL | {"generators": generators} | changes)


@pytest.mark.parametrize("changes", [{}, LABELLED, DCGAN], ids=["paper", "classes", "dcgan"])
def test_each_generator_is_one_with_its_part_of_the_first_layer(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    mixture, alone = (Generator(model(count, **changes), 8).double() for count in (3, 1))
    name = "blocks.4.dense.weight" if "arch" not in changes else "blocks.4.conv.weight"
    rows = 0 if "arch" not in changes else 1  # the dimension of inputs
    weights = mixture.state_dict()
    own = torch.randn(4, alone.model.inputs, dtype=torch.float64)
    for index, part in enumerate(weights[name].chunk(3, dim=rows)):
        alone.load_state_dict(weights | {name: part})
        chosen = torch.eye(3, dtype=torch.float64)[index].expand(4, 3)
        # Apart from pixel norm's epsilon, of 1e-8
        torch.testing.assert_close(
            mixture(torch.cat([own, chosen], dim=1)), alone(own), rtol=1e-6, atol=1e-6
        )


def test_generators_are_drawn_with_equal_probability_and_one_is_no_mixture() -> None:
    spec = model(3, classes=2, discriminator={"head": "acgan"})
    noise, labels = grid_latents(0, 3000, spec.noise), torch.arange(3000) % 2
    inputs = with_conditions(noise, labels, spec)
    assert inputs.shape == (3000, spec.inputs) == (3000, 6 + 2 + 3)
    assert torch.equal(inputs[:, 6:8].argmax(dim=1), labels)
    counts = inputs[:, 8:].sum(dim=0)
    assert inputs[:, 8:].sum(dim=1).eq(1).all() and counts.min() > 900
    assert (model(1).noise, model(1).inputs, model(1).first_inputs) == (6, 6, 6)


def test_classifier_loss_is_the_cross_entropy_of_fakes_and_the_head_sees_no_index() -> None:
    torch.manual_seed(0)
    spec = model(3, generators_weight=0.25, **LABELLED)
    discriminator = Discriminator(spec, 8).double()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    classes, index = (torch.eye(n, dtype=torch.float64)[:, :n] for n in (2, 3))
    classes, index = classes[[0, 1, 1, 0]], index[[2, 0, 1, 2]]
    conditioning = torch.cat([classes, index], dim=1)

    real, fake = discriminator.forward_both(images, images, 1.0, conditioning)
    assert not real.auxiliary_losses
    other = discriminator(images, 1.0, torch.cat([classes, index.roll(1, 0)], dim=1))
    assert torch.equal(fake.logits, other)
    namer = discriminator.namer
    assert namer is not None
    weight, features = (x.detach().numpy() for x in (namer.weight, fake.features))
    logits = features @ weight.T / np.sqrt(features.shape[1])
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -0.25 * np.log(chances[range(4), [2, 0, 1, 2]])
    found = fake.auxiliary_losses["generator_index_loss"]
    np.testing.assert_allclose(found.detach(), expected, 1e-12)


def test_one_generator_of_a_mixture_is_drawn_from_on_request(tmp_path: Path) -> None:
    published(tmp_path / "model", generators=3)
    words = ["generate", str(tmp_path / "model"), str(tmp_path / "out"), "--num", "5"]
    result = CliRunner().invoke(main, [*words, "--generator", "1"])
    assert result.exit_code == 0, result.output
    generator = load_generator(tmp_path / "model")
    latents = grid_latents(0, 5, generator.model.noise)[:, :16]
    inputs = torch.cat([latents, torch.eye(3)[1].expand(5, 3)], dim=1)
    expected = [png(single(image)) for image in draw_latents(generator, inputs)]
    assert [file.read_bytes() for file in sorted((tmp_path / "out").iterdir())] == expected
    for wrong, message in (("3", "there are 3, from 0 on"), ("-1", "not in the range")):
        result = CliRunner().invoke(main, [*words, "--generator", wrong])
        assert result.exit_code == 2 and message in result.output
