"""The networks of a stage: drawn in one place, with the weights they begin or go on with."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import Encoder, make_encoder
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import MultiDiscriminator, make_discriminator
from progan.stages.objectives.constraints import install
from progan.stages.rng import weight_seed
from progan.stages.specs.stage import StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.storage.pretrained import Network


@dataclass
class Networks:
    """All that have weights."""

    generator: Generator
    discriminator: Discriminator | MultiDiscriminator
    ema: Generator
    """The generator's moving average"""
    encoder: Encoder | None
    """Trained with the generator, where a penalty needs one"""

    @classmethod
    def drawn(cls, spec: StageSpec) -> "Networks":
        """New weights: the same on every rank and for any number of ranks, all from one seed."""
        torch.manual_seed(weight_seed(spec.seed, spec.resolution))
        penalties, fading = spec.objective.penalties, spec.grown_from is not None
        shape = spec.model, spec.resolution
        recompute_from = spec.engine.activation_checkpointing
        generator = Generator(*shape, fading=fading, recompute_from=recompute_from)
        discriminator = make_discriminator(*shape, fading=fading, recompute_from=recompute_from)
        install("generator", generator, penalties)
        install("discriminator", discriminator, penalties)
        encoder = make_encoder(penalties, *shape, fading=fading, recompute_from=recompute_from)
        # Last, since what it draws is replaced. copy.deepcopy cannot copy fake tensors.
        ema = Generator(*shape, fading=fading, recompute_from=recompute_from)
        install("generator", ema, penalties)
        ema.load_state_dict(generator.state_dict())
        return cls(generator, discriminator, ema.requires_grad_(False).eval(), encoder)

    def by_name(self) -> dict[Network, nn.Module]:
        """Those that exist, by the names of their files."""
        found: dict[Network, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema,
        }
        return found if self.encoder is None else found | {"encoder": self.encoder}


def load_weights(networks: Networks, spec: StageSpec, checkpoint: Checkpoint | None) -> None:
    """Set the weights of a checkpoint, of the stage before, or of the networks to start from."""
    by_name: Mapping[Network, nn.Module] = networks.by_name()
    if spec.init and not checkpoint:
        handoff.start_from(by_name, spec.init)
    if spec.representative and not checkpoint:
        handoff.load_representative(networks.discriminator, spec.representative, spec.model)
    for name, network in by_name.items():
        if checkpoint:
            network.load_state_dict(checkpoint.tensors[name])
        elif spec.grown_from:
            handoff.grow_from(spec.grown_from, name, network, spec.resolution)
