"""Checks the networks that a run starts from (`model.init`) and pins them by checksum."""

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import ConfigError
from progan.stages.errors import StageError
from progan.stages.storage.pretrained import Published, read_published

NOT_IN_WEIGHTS = {"stddev_group"}


def pinned(config: RunConfig) -> RunConfig:
    """The configuration with the checksum of the networks at `model.init`.

    Raises ConfigError naming the keys to set where their shape differs. A configuration that has a
    checksum is returned as it is.
    """
    model = config.model
    if model.init is None or model.init_sha256 is not None:
        return config
    path = model.init.absolute()
    try:
        published = read_published(path)
    except StageError as error:
        raise ConfigError(f"model.init: {error}") from error
    _check(config, published)
    changes = {"init": path, "init_sha256": published.fingerprint}
    return config.model_copy(update={"model": model.model_copy(update=changes)})


def _check(config: RunConfig, published: Published) -> None:
    given = published.model.model_dump(exclude=NOT_IN_WEIGHTS)
    configured = config.model.model_dump()
    differ = [f"model.{key}={value}" for key, value in given.items() if configured[key] != value]
    if config.growth.first != published.resolution:
        differ.append(f"growth.first={published.resolution}")
    if differ:
        raise ConfigError(
            f"model.init: the networks in {config.model.init} are of another shape; "
            f"set {' '.join(differ)}"
        )
