"""The networks that a run starts from (`model.init`): checked, and frozen by their checksum."""

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import ConfigError
from progan.stages.errors import StageError
from progan.stages.storage.pretrained import Published, read_published

NOT_IN_WEIGHTS = {"stddev_group"}


def pinned(config: RunConfig) -> RunConfig:
    """The configuration with the checksum of what `model.init` names, which must fit it.

    Raises ConfigError naming the keys to set. A configuration that was frozen is left as it is.
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
    wanted = published.model.model_dump(exclude=NOT_IN_WEIGHTS)
    asked = config.model.model_dump()
    differ = [f"model.{key}={value}" for key, value in wanted.items() if asked[key] != value]
    if config.growth.first != published.resolution:
        differ.append(f"growth.first={published.resolution}")
    if differ:
        raise ConfigError(
            f"model.init: the networks in {config.model.init} are of another shape; "
            f"set {' '.join(differ)}"
        )
