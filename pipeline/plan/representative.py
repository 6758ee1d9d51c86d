"""Checks the encoder that a discriminator shares (`model.representative`) and pins it; no torch."""

from pathlib import Path

from progan.pipeline.config.schema import ModelConfig
from progan.pipeline.errors import ConfigError
from progan.stages.errors import StageError
from progan.stages.specs.model import RepresentativeSpec
from progan.stages.storage.encoder_folder import read_encoder


def with_representative(model: ModelConfig, begun: ModelConfig | None = None) -> ModelConfig:
    """The model with the shape, checksum and channels of the encoder at `model.representative`.

    A model that has them is returned as it is. begun: the model of the run that goes on; if it
    names the same folder, its shape and checksum are taken, and the folder is not read. Raises
    ConfigError if there is no encoder, it is damaged, or it sees another number of channels.
    """
    if model.representative is None or model.discriminator.representative is not None:
        return model
    folder = model.representative.absolute()
    if begun and begun.representative == folder:
        return _with_shape(model, folder, begun.discriminator.representative)
    try:
        encoder, shape = read_encoder(folder)
    except StageError as error:
        raise ConfigError(f"model.representative: {error}") from error
    if model.channels not in ("auto", encoder.channels):
        raise ConfigError(
            f"model.representative: the encoder in {folder} sees {encoder.channels} channels, and "
            f"model.channels is {model.channels}"
        )
    model = model.model_copy(update={"channels": encoder.channels})
    return _with_shape(model, folder, shape)


def _with_shape(model: ModelConfig, folder: Path, shape: RepresentativeSpec | None) -> ModelConfig:
    discriminator = model.discriminator.model_copy(update={"representative": shape})
    return model.model_copy(update={"representative": folder, "discriminator": discriminator})
