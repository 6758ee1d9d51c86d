"""What discriminator and generator see of an augmentation in a step."""

import pytest
import torch
from torch import Tensor, nn

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import Encoder
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import MultiDiscriminator
from progan.stages.objectives.augment.augmentation import Ada, Augmentation
from progan.stages.objectives.objective import make_terms, objective
from progan.stages.objectives.passes import Batch, DiscriminatorPass, GeneratorPass, Players
from progan.stages.rng import Purpose, RngStreams
from progan.stages.specs.augment import AdaSpec
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec

MODEL = ModelSpec.model_validate(
    {"latent": 8, "fmap_base": 64, "fmap_max": 16, "discriminator": {"critics": 2}}
)
N, ALPHA = 8, 0.5


def shifted(images: Tensor, numbers: Tensor) -> Tensor:
    """An augmentation that adds each picture's number."""
    return images + numbers.reshape(-1, 1, 1, 1)


def players(augment: object = shifted) -> Players:
    torch.manual_seed(0)
    generator, discriminator = (
        Generator(MODEL, 8, fading=True),
        MultiDiscriminator(MODEL, 8, fading=True),
    )
    encoder = Encoder(MODEL, 8, fading=True)
    return Players(generator, discriminator, encoder, None, augment)  # type: ignore[arg-type]


def batch() -> Batch:
    torch.manual_seed(1)
    numbers = torch.stack([torch.arange(N) * 1.0, -torch.arange(N) * 1.0], dim=1)
    return Batch(torch.randn(N, 8), torch.rand(N, 3, 8, 8) * 2 - 1, augmentation=numbers)


def differences(p: DiscriminatorPass | GeneratorPass, images: Tensor, plain: Tensor) -> Tensor:
    """What was added to each picture, which is one number."""
    added = images - plain
    assert (added - added[:, :1, :1, :1]).abs().max() < 1e-5
    return added[:, 0, 0, 0].detach()


@pytest.mark.parametrize("kind", [DiscriminatorPass, GeneratorPass])
def test_reals_and_fakes_are_augmented_after_the_fade_by_numbers_of_their_own(
    kind: type[DiscriminatorPass] | type[GeneratorPass],
) -> None:
    seen, plain = (kind(players(augment), batch(), ALPHA) for augment in (shifted, None))
    copies = 2 if kind is DiscriminatorPass else 1
    expected = torch.arange(N).repeat(copies) * 1.0  # every discriminator sees the same
    assert torch.allclose(differences(seen, seen.reals, plain.reals), expected, atol=1e-5)
    assert torch.allclose(differences(seen, seen.fakes, plain.fakes), -expected, atol=1e-5)
    assert torch.equal(seen.faded_reals, plain.faded_reals)


def test_a_reconstruction_is_of_the_real_itself_and_is_seen_augmented_as_it_is() -> None:
    seen, plain = (GeneratorPass(players(augment), batch(), ALPHA) for augment in (shifted, None))
    assert torch.equal(seen.reconstruct(), plain.reconstruct())
    images = seen.reconstruct()
    assert torch.allclose(differences(seen, seen.as_real(images), images), torch.arange(N) * 1.0)


class OnePicture(nn.Module):
    """A generator that knows one picture."""

    model = ModelSpec(latent=1, fmap_base=64, fmap_max=16)

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.zeros(3, 4, 4))

    def forward(self, latents: Tensor, alpha: float) -> Tensor:
        return self.picture.expand(len(latents), -1, -1, -1)


@pytest.mark.slow
def test_augmentations_of_probability_one_half_do_not_leak() -> None:
    """Flips, rotations, shifts and colors of all that D sees; G's picture becomes the real one."""
    torch.manual_seed(3)
    real = torch.rand(3, 4, 4) * 1.6 - 0.8
    transform = Ada(AdaSpec(kind="ada", pipe="bc"), torch.device("cpu"))
    transform.p.fill_(0.5)
    generator, size = OnePicture(), 32
    discriminator = Discriminator(OnePicture.model, 4)
    table = Players(generator, discriminator, augment=Augmentation(transform))  # type: ignore[arg-type]
    spec = ObjectiveSpec.model_validate(
        {"loss": "nonsaturating", "penalties": [{"kind": "r1", "weight": 0.05}]}
    )
    terms, rng = make_terms(spec, table.networks), RngStreams(1, 4, size, 0, 1)
    optimizers = {
        side: torch.optim.Adam(network.parameters(), lr=0.02, betas=(0.0, 0.99))
        for side, network in table.networks.items()
    }
    for update in range(500):
        for purpose, kind in (
            (Purpose.CRITIC_AUGMENTATION, DiscriminatorPass),
            (Purpose.GENERATOR_AUGMENTATION, GeneratorPass),
        ):
            numbers = rng.uniforms(purpose, update * size, 2 * Ada.draws)
            given = Batch(torch.zeros(size, 1), real.expand(size, -1, -1, -1), augmentation=numbers)
            optimizer = optimizers[kind.side]
            optimizer.zero_grad()
            torch.autograd.backward(objective(terms, kind(table, given, 1.0), update).loss)
            optimizer.step()
    picture = generator.picture.detach()
    whole = [one.rot90(k, (1, 2)) for k in range(4) for one in (real, real.flip(2))]
    own, *others = [float((picture - each).square().mean().sqrt()) for each in whole]
    assert own < 0.2 and min(others) > 0.5
