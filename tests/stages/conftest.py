"""What tests of engines need: a process group of this process alone."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch

from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.world import World, detect


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """This process, alone. One for all tests, since DeepSpeed cannot begin twice."""
    alone = detect()
    start_distributed(alone, timedelta(minutes=1))
    yield alone
    torch.distributed.destroy_process_group()
