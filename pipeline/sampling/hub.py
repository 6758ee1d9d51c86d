"""Generators on the Hugging Face Hub: hf://USER/NAME, copied into the Hub's cache."""

import re
from pathlib import Path

from progan.pipeline.errors import ConfigError, RunError
from progan.stages.errors import NetworksError, NoNetworksError

SCHEME = "hf://"
_REFERENCE = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?/?")
FILES = ("config.json", "*.safetensors")
"""What is fetched: weights and their description. Code in the repository is neither copied nor
executed."""


def model_folder(model: str | Path) -> Path:
    """The local folder of a model: the path itself, or for hf://USER/NAME[@REVISION] a copy.

    Copies are kept in the Hub's own cache, and used without a network. ConfigError for a malformed
    reference, NoNetworksError if there is no such repository, NetworksError if it cannot be
    fetched, RunError if huggingface_hub is not installed.
    """
    text = str(model)
    if not text.startswith(SCHEME):
        return Path(model)
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text}: write hf://USER/NAME or hf://USER/NAME@REVISION")
    return _fetched(match["name"], match["revision"])


def _fetched(name: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise RunError("hf:// needs a library that is missing: pip install 'progan[hf]'") from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except RevisionNotFoundError as error:
        raise NoNetworksError(f"hf://{name} has no revision {revision}") from error
    except RepositoryNotFoundError as error:
        raise NoNetworksError(
            f"the Hub has no model {name}, or it is private: log in with: hf auth login"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise NetworksError(
            f"hf://{name} cannot be fetched, and no copy is here: {reason}"
        ) from error
