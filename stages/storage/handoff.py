"""From one resolution to the next: publish the finished networks, load them into larger ones."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from progan.stages.errors import StageError
from progan.stages.networks.discriminator import RepresentativeFeatures
from progan.stages.networks.weights.spectral import convert_spectral_norm
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import InitSpec
from progan.stages.storage.encoder_folder import WEIGHTS, read_encoder
from progan.stages.storage.final import DOCUMENT, Final, read_final
from progan.stages.storage.pretrained import Network, read_published
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.tensors import parameters, read_tensors, write_tensors
from progan.stages.storage.weights import fitting_weights

log = logging.getLogger(__name__)


def publish(folder: Path, final: Final, networks: Mapping[str, nn.Module]) -> None:
    """Write a finished stage's networks atomically.

    The previous resolution's to/fromRGB layer, which is no longer used, is left out.
    """
    unused = at_resolution(final.resolution // 2, "to_rgb|from_rgb")
    with sealing(folder, DOCUMENT, final.model_dump(mode="json")) as target:
        for name, network in networks.items():
            state = {k: v for k, v in parameters(network).items() if not unused.match(k)}
            write_tensors(target / f"{name}.safetensors", state)


def at_resolution(resolution: int, layers: str) -> re.Pattern[str]:
    """Pattern of the names of a resolution's parameters.

    They may belong to one of several discriminators, and to its decoder.
    """
    return re.compile(rf"(each\.\d+\.)?(head\.decoder\.)?({layers})\.{resolution}\.")


def load(folder: Path, name: str) -> dict[str, Tensor]:
    """One network's parameters from a finished stage, its checksums verified."""
    read_final(folder)
    return read_tensors(folder / f"{name}.safetensors")


def start_from(networks: Mapping[Network, nn.Module], init: InitSpec) -> None:
    """Load all weights of pretrained networks of the same resolution.

    A discriminator that the folder lacks, as exports do, keeps its drawn weights. Raises StageError
    if the folder's fingerprint differs, or its networks do not fit.
    """
    published = read_published(init.path)
    if published.fingerprint != init.sha256:
        raise StageError(
            f"{init.path} is not what this run was started with: its weights have changed "
            f"(fingerprint {published.fingerprint[:12]}, not {str(init.sha256)[:12]})"
        )
    for name, network in networks.items():
        if name not in published.files:
            log.warning("%s has no %s: it begins anew", init.path, name)
            continue
        network.load_state_dict(fitting_weights(published.files[name], network))


def load_representative(discriminator: nn.Module, folder: Path, model: ModelSpec) -> None:
    """Load the frozen encoder that a discriminator, or several, share.

    StageError if the folder is damaged, or is not the one that the model was made with.
    """
    _, found = read_encoder(folder)
    if found != model.discriminator.representative:
        raise StageError(
            f"{folder} is not what this run was started with: its encoder has changed "
            f"(checksum {found.sha256[:12]}); restore it, or start another run"
        )
    for module in discriminator.modules():
        if isinstance(module, RepresentativeFeatures):
            module.load_state_dict(fitting_weights(folder / WEIGHTS, module))


def grow_from(folder: Path, name: Network, network: nn.Module, resolution: int) -> None:
    """Load the previous stage's network of that name; StageError if it does not fit.

    An encoder keeps its drawn weights where the previous stage had none.
    """
    if name == "encoder" and not (folder / "encoder.safetensors").is_file():
        log.warning("%s has no encoder: it begins anew", folder)
        return
    grow(network, load(folder, name), resolution)


def grow(network: nn.Module, previous: dict[str, Tensor], resolution: int) -> None:
    """Load the previous stage's parameters by name into a network one resolution larger.

    Raises StageError unless exactly the new block and the new to/fromRGB layer keep their drawn
    weights.
    """
    found = network.load_state_dict(convert_spectral_norm(previous, network), strict=False)
    new = at_resolution(resolution, "blocks|to_rgb|from_rgb")
    expected = {name for name in network.state_dict() if new.match(name)}
    if found.unexpected_keys or set(found.missing_keys) != expected:
        odd = sorted(set(found.unexpected_keys) | set(found.missing_keys) ^ expected)
        raise StageError(
            f"the networks at {resolution // 2} do not fit those at {resolution}: "
            f"{len(odd)} parameters differ, first {odd[0]}"
        )
