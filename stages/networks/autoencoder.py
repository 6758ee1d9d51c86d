"""A discriminator that reconstructs: its energy is how far a picture is from that."""

from torch import Tensor, nn

from progan.stages.networks.generator import Generator
from progan.stages.networks.growing import Growing
from progan.stages.networks.layers import Alpha, at_least_float32
from progan.stages.networks.widths import decoder_model
from progan.stages.spec import ModelSpec
from progan.stages.spec_heads import AutoencoderHead


class Autoencoder(nn.Module):
    """-|x - Dec(Enc(x))|: the discriminator's features are a code, and a generator decodes it.

    The decoder grows and fades as the generator does. The energy, a logit's negative, is the mean
    over a picture's values of the difference's absolute value (power 1, BEGAN: Berthelot et al.
    2017, section 3.1) or its square (power 2, EBGAN: Zhao et al. 2017, section 2.3).
    """

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__()
        chosen = model.discriminator.head
        assert isinstance(chosen, AutoencoderHead)
        self.power = chosen.power
        resolution, fading, recompute_from = growing
        self.decoder = Generator(
            decoder_model(model, features),
            resolution,
            fading=fading,
            recompute_from=recompute_from,
        )

    def forward(self, features: Tensor, conditions: Tensor, images: Tensor, alpha: Alpha) -> Tensor:
        """(N, features) of images (N, C, R, R) -> logits (N,), the negative of their energies."""
        difference = self.decoder(features, alpha) - at_least_float32(images)
        energy: Tensor = difference.abs().pow(self.power).mean(dim=(1, 2, 3))
        return -energy

    def costs(self, features: Tensor, conditions: Tensor, *, fakes: bool) -> dict[str, Tensor]:
        """Nothing besides."""
        return {}
