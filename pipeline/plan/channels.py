"""`model.channels`: taken from the data set, before anything starts; no torch."""

from progan.datasets.format.manifest import KINDS, Manifest
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import ConfigError


def with_channels(config: RunConfig, manifest: Manifest | None) -> RunConfig:
    """The configuration with the data set's number of channels for `auto`.

    manifest: the data set's; None while it is not known, which leaves the configuration as it is.
    Raises ConfigError if another number than the data set's is configured, or is that of
    `model.init` or of the encoder at `model.representative`.
    """
    given = config.model.channels
    if manifest is None or given == manifest.channels:
        return config
    have = f"{manifest.channels} ({KINDS[manifest.channels]})"
    if given != "auto" and config.model.init:
        raise ConfigError(
            f"model.init: the networks in {config.model.init} draw {given} channels "
            f"({KINDS[given]}), and the pictures of {config.data.path} have {have}; prepare the "
            f"data set with --channels {given}"
        )
    if given != "auto" and config.model.representative:
        raise ConfigError(
            f"model.representative: the encoder in {config.model.representative} sees {given} "
            f"channels ({KINDS[given]}), and the pictures of {config.data.path} have {have}; "
            f"make another with: progan pretrain {config.data.path} OUT"
        )
    if given != "auto":
        raise ConfigError(
            f"model.channels: {given}, but the pictures of {config.data.path} have {have}; leave "
            f"it out, or prepare the data set with --channels {given}"
        )
    model = config.model.model_copy(update={"channels": manifest.channels})
    return config.model_copy(update={"model": model})


def assumed(config: RunConfig) -> str | None:
    """A note if the number of channels is still not known; None if it is."""
    if config.model.channels != "auto":
        return None
    channels = config.model.spec.channels
    return (
        f"model.channels: {channels} ({KINDS[channels]}) is assumed, because the data set "
        f"{config.data.path} is remote, damaged or not there yet"
    )
