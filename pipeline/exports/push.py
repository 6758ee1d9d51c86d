"""Copies an export to a repository on the Hugging Face Hub."""

import re
from pathlib import Path

from progan.pipeline.errors import ConfigError, RunError

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_push(name: str) -> None:
    """Before anything is exported: ConfigError for a malformed USER/NAME, RunError if
    huggingface_hub is not installed or has no token."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--push {name}: write USER/NAME")
    try:
        from huggingface_hub import get_token
    except ImportError as error:
        raise RunError(
            "--push needs a library that is missing: pip install 'progan[hf]'"
        ) from error
    if get_token() is None:
        raise RunError("--push needs a login on the Hub: hf auth login, or set HF_TOKEN")


def push(folder: Path, name: str, *, private: bool) -> str:
    """Upload the files of a folder as one commit; makes the repository if it is not there.

    Returns the repository's URL. RunError if the Hub refuses, or does not answer.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        url = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Export by progan")
    except (HfHubHTTPError, OSError) as error:
        raise RunError(
            f"the export is in {folder}, and could not be copied to the Hub: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return str(url)
