"""A process group of one, for tests of engines."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch

from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.world import World, detect


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A world of one rank, for the whole session: DeepSpeed cannot be initialised twice."""
    alone = detect()
    start_distributed(alone, timedelta(minutes=1))
    yield alone
    torch.distributed.destroy_process_group()
