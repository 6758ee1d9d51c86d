"""Checks and pins the networks that a run starts from: `model.init`, `model.representative`."""

from progan.pipeline.config.schema import ModelConfig, RunConfig
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.representative import with_representative
from progan.stages.errors import StageError
from progan.stages.storage.pretrained import Published, read_published

NOT_IN_WEIGHTS = {"stddev_group"}


def pinned(config: RunConfig, begun: RunConfig | None = None) -> RunConfig:
    """The configuration with checksums, shapes and channels of the networks that it names.

    Raises ConfigError naming the keys to set where their shape differs. A configuration that has
    the checksums is returned as it is. If the networks at `model.init` share an encoder, it is
    theirs that the run goes on with, and needs no `model.representative`.

    begun: the configuration frozen in the run that goes on, which has its encoder already.
    """
    model = with_representative(config.model, begun.model if begun else None)
    config = config.model_copy(update={"model": model})
    if model.init is None or model.init_sha256 is not None:
        return config
    path = model.init.absolute()
    try:
        published = read_published(path)
    except StageError as error:
        raise ConfigError(f"model.init: {error}") from error
    config = config.model_copy(update={"model": _with_encoder_of(published, model)})
    _check(config, published)
    changes = {
        "init": path,
        "init_sha256": published.fingerprint,
        "channels": published.model.channels,
    }
    return config.model_copy(update={"model": config.model.model_copy(update=changes)})


def _with_encoder_of(published: Published, model: ModelConfig) -> ModelConfig:
    """The model with the encoder that a published discriminator shares, if there are both."""
    theirs, own = (m.discriminator.representative for m in (published.model, model))
    if "discriminator" not in published.files or theirs == own:
        return model
    if theirs is None or own is not None:
        has = "no encoder's features" if theirs is None else "the features of another encoder"
        raise ConfigError(
            f"model.init: the discriminator in {model.init} shares {has}; leave out "
            "model.representative, or start from an export, which has no discriminator"
        )
    discriminator = model.discriminator.model_copy(update={"representative": theirs})
    return model.model_copy(update={"discriminator": discriminator})


def _check(config: RunConfig, published: Published) -> None:
    free = {"channels"} if config.model.channels == "auto" else set()
    excluded = dict.fromkeys(NOT_IN_WEIGHTS | free, True) | {"discriminator": {"representative"}}
    given = published.model.model_dump(exclude=excluded)
    configured = config.model.model_dump(exclude={"discriminator": {"representative"}})
    differ = [f"model.{key}={value}" for key, value in given.items() if configured[key] != value]
    if config.growth.first != published.resolution:
        differ.append(f"growth.first={published.resolution}")
    if differ:
        raise ConfigError(
            f"model.init: the networks in {config.model.init} are of another shape; "
            f"set {' '.join(differ)}"
        )
