"""DiffAugment against NumPy, in float64, picture by picture."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from progan.stages.objectives.augment.diffaugment import DRAWS, DiffAugment, color
from progan.stages.specs.augment import DiffAugmentSpec, Policy

SIZE = 16
Floats = npt.NDArray[np.float64]


def pictures(count: int = 24, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, SIZE, SIZE, dtype=torch.float64, generator=generator) * 2 - 1


def numbers(count: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, DRAWS, dtype=torch.float64, generator=generator)


def augmented(images: torch.Tensor, drawn: torch.Tensor, *policy: Policy) -> Floats:
    spec = DiffAugmentSpec(kind="diffaugment", policy=policy)
    found: Floats = DiffAugment(spec).transform(images, drawn).numpy()
    return found


def recolored(x: Floats, brightness: float, saturation: float, contrast: float) -> Floats:
    x = x + (brightness - 0.5)
    x = (x - x.mean(axis=0)) * (2 * saturation) + x.mean(axis=0)
    found: Floats = (x - x.mean()) * (contrast + 0.5) + x.mean()
    return found


def shifted(x: Floats, down: float, right: float) -> Floats:
    rows, columns = (int(number * 5) - 2 for number in (down, right))  # an eighth of 16 is 2
    padded = np.pad(x, ((0, 0), (SIZE, SIZE), (SIZE, SIZE)))
    return padded[:, SIZE + rows : 2 * SIZE + rows, SIZE + columns : 2 * SIZE + columns]


def cut(x: Floats, down: float, right: float) -> Floats:
    row, column = (int(number * (SIZE + 1)) - SIZE // 4 for number in (down, right))
    x = x.copy()
    x[:, max(row, 0) : row + SIZE // 2, max(column, 0) : column + SIZE // 2] = 0
    return x


@pytest.mark.parametrize(
    ("policy", "function", "columns"),
    [
        ("color", recolored, slice(0, 3)),
        ("translation", shifted, slice(3, 5)),
        ("cutout", cut, slice(5, 7)),
    ],
)
def test_each_transformation_is_the_authors(
    policy: Policy, function: Callable[..., Floats], columns: slice
) -> None:
    images, drawn = pictures(), numbers()
    expected = [
        function(x, *u[columns].tolist()) for x, u in zip(images.numpy(), drawn, strict=True)
    ]
    np.testing.assert_allclose(augmented(images, drawn, policy), expected, atol=1e-14)


def test_a_policy_is_applied_in_its_order() -> None:
    images, drawn = pictures(), numbers()
    color_last = [
        recolored(cut(x, *u[5:].tolist()), *u[:3].tolist())
        for x, u in zip(images.numpy(), drawn, strict=True)
    ]
    np.testing.assert_allclose(augmented(images, drawn, "cutout", "color"), color_last, atol=1e-14)
    assert not np.allclose(augmented(images, drawn, "color", "cutout"), color_last)


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_has_no_saturation_and_an_alpha_channel_no_color(channels: int) -> None:
    images, drawn = pictures(channels=channels), numbers()[:, :3]
    found = color(images, drawn)
    colored = 3 if channels == 4 else 1
    expected = [
        recolored(x[:colored], *u.tolist()) for x, u in zip(images.numpy(), drawn, strict=True)
    ]
    np.testing.assert_allclose(found[:, :colored], expected, atol=1e-14)
    assert torch.equal(found[:, colored:], images[:, colored:])


def test_translations_and_squares_reach_their_limits_and_no_further() -> None:
    ends = torch.tensor([[1e-7] * 4, [1 - 1e-7] * 4], dtype=torch.float64)
    drawn = torch.cat([torch.full((2, 3), 0.5), ends], dim=1)
    ones = torch.ones(2, 1, SIZE, SIZE, dtype=torch.float64)
    first, last = augmented(ones, drawn, "translation")[:, 0]
    assert first[2:, 2:].all() and not first[:2].any() and not first[:, :2].any()
    assert last[:-2, :-2].all() and not last[-2:].any() and not last[:, -2:].any()
    first, last = augmented(ones, drawn, "cutout")[:, 0]
    assert first.sum() == last.sum() == SIZE**2 - (SIZE // 4) ** 2
    assert not first[: SIZE // 4, : SIZE // 4].any() and not last[-SIZE // 4 :, -SIZE // 4 :].any()
