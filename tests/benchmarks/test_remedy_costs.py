"""Every remedy whose cost is measured is a configuration that progan accepts."""

import pytest

from measuring.real_step import configuration
from measuring.remedy_costs import ADDED, NARROW, REPLACING, Overrides
from progan.pipeline.plan.plan import check

REMEDIES = REPLACING | ADDED


@pytest.mark.parametrize("overrides", REMEDIES.values(), ids=REMEDIES.keys())
def test_remedy_is_valid_configuration(overrides: Overrides) -> None:
    check(configuration(16, "fp32", (*NARROW, *overrides)), ranks=1)  # raises if it is not
