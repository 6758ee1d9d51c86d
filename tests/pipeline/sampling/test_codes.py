"""Codes by number and value."""

import pytest
import torch

from progan.pipeline.errors import ConfigError
from progan.pipeline.sampling.selection import code_noise
from progan.stages.networks.conditioning import codes
from progan.stages.specs.model import CodesSpec

SPEC = CodesSpec(categorical=(3, 2), continuous=2)


def test_a_code_that_is_set_is_what_the_generator_is_told() -> None:
    noise = code_noise(["0=2", "1=0", "2=-1", "3=0.25"], SPEC)
    told = codes(torch.tensor([[noise[number] for number in range(4)]]), SPEC)
    expected = torch.tensor([[0.0, 0, 1, 1, 0, -1, 0.25]])
    torch.testing.assert_close(torch.cat(told, dim=1), expected)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("0", "write NUMBER=VALUE"),
        ("0=red", "write NUMBER=VALUE"),
        ("0=3", "the values of code 0 are 0 to 2"),
        ("0=0.5", "the values of code 0 are 0 to 2"),
        ("3=1.5", "the values of code 3 are from -1 to 1"),
        ("4=0", "this generator has 4 codes"),
    ],
)
def test_what_means_nothing_is_refused(word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        code_noise([word], SPEC)
    with pytest.raises(ConfigError, match="has no codes"):
        code_noise(["0=1"], CodesSpec())
