"""What tests of metrics need: this process as the only rank, pictures to compare."""

import pytest
from torch import Tensor

from measured import alone, scenes
from progan.stages.metrics.ranks import Ranks


@pytest.fixture
def ranks() -> Ranks:
    """This process, alone."""
    return Ranks(alone())


@pytest.fixture(scope="session")
def pictures() -> Tensor:
    """24 pictures of rectangles with noise, uint8 (24, 3, 64, 64)."""
    return scenes(24, 64, seed=1)


@pytest.fixture(scope="session")
def others() -> Tensor:
    """As many of their kind."""
    return scenes(24, 64, seed=2)
