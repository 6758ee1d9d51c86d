"""Fixtures for tests of metrics: collectives of one rank, and pictures to compare."""

import pytest
from torch import Tensor

from measured import alone, scenes
from progan.stages.metrics.safe_collectives import SafeCollectives


@pytest.fixture
def ranks() -> SafeCollectives:
    """Collectives of one rank."""
    return SafeCollectives(alone())


@pytest.fixture(scope="session")
def pictures() -> Tensor:
    """24 pictures of rectangles with noise, uint8 (24, 3, 64, 64)."""
    return scenes(24, 64, seed=1)


@pytest.fixture(scope="session")
def others() -> Tensor:
    """Another 24 of them."""
    return scenes(24, 64, seed=2)
