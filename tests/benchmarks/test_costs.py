"""What costs are measured of: every remedy is a configuration that progan accepts."""

import pytest

from costs import LONE, NARROW, ON_TOP, Words
from progan.pipeline.plan.plan import check
from realstep import configuration


@pytest.mark.parametrize("words", (LONE | ON_TOP).values(), ids=(LONE | ON_TOP).keys())
def test_a_remedy_is_a_configuration(words: Words) -> None:
    check(configuration(16, "fp32", (*NARROW, *words)), ranks=1)  # raises where it is not
