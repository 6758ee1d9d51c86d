"""W&B's library, quiet, and whether it knows who the user is."""

import os
from typing import Any

from progan.pipeline.errors import ConfigError


def quiet_wandb() -> Any:
    """The module `wandb`, which prints nothing."""
    os.environ.setdefault("WANDB_SILENT", "true")  # read when it is imported
    import wandb

    return wandb


def require_login() -> None:
    """ConfigError if W&B would ask for a login, which nobody may be there to answer."""
    wandb = quiet_wandb()
    if wandb.setup().settings.mode in ("online", "shared"):
        if not wandb.login(prompt=False, verify=False):
            raise ConfigError(
                "tracking.wandb: no login was found: run `wandb login`, or set WANDB_API_KEY, or "
                "keep everything in the run's folder for a later `wandb sync`: WANDB_MODE=offline"
            )
