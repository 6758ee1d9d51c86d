"""ADA's transformations against NumPy, in float64, picture by picture."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from progan.stages.objectives.augment import blits, color, geometry
from progan.stages.objectives.augment.augmentation import Ada, Augmentation
from progan.stages.objectives.augment.pixels import normals
from progan.stages.specs.augment import AdaSpec, Pipe

SIZE = 16
Floats = npt.NDArray[np.float64]
CPU = torch.device("cpu")
V = np.ones(3) / math.sqrt(3)
"""The luma axis"""


def uniform(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, dtype=torch.float64, generator=generator)


def probability(p: float) -> Tensor:
    return torch.tensor(p, dtype=torch.float64)


def box_muller(one: float, other: float) -> tuple[float, float]:
    radius = math.sqrt(-2 * math.log(one))
    return radius * math.cos(2 * math.pi * other), radius * math.sin(2 * math.pi * other)


def ada(pipe: Pipe, p: float) -> Augmentation:
    transform = Ada(AdaSpec(kind="ada", pipe=pipe), CPU)
    transform.p.fill_(p)
    return Augmentation(transform)


def test_rotations_are_torchs_and_flips_too() -> None:
    images = uniform(4, 3, SIZE, SIZE)
    found = blits.rotated(images, torch.arange(4))
    assert all(torch.equal(found[k], images[k].rot90(k, (1, 2))) for k in range(4))
    found = blits.flipped(images, torch.tensor([True, False, True, False]))
    assert torch.equal(found[::2], images[::2].flip(3)) and torch.equal(found[1::2], images[1::2])


def test_blits_are_the_papers() -> None:
    images, drawn, p = uniform(200, 3, SIZE, SIZE), uniform(200, blits.DRAWS, seed=2), 0.6
    for x, u, found in zip(
        images.numpy(), drawn.tolist(), blits.blit(images, drawn, probability(p)), strict=True
    ):
        if u[0] < p and int(2 * u[1]) == 0:
            x = x[:, :, ::-1]
        if u[2] < p:
            x = np.rot90(x, int(4 * u[3]), axes=(1, 2))
        if u[4] < p:
            down, right = (round((2 * u[i] - 1) * SIZE / 8) for i in (5, 6))
            padded = np.pad(x, ((0, 0), (4, 4), (4, 4)), mode="reflect")
            x = padded[:, 4 - down : 4 - down + SIZE, 4 - right : 4 - right + SIZE]
        assert np.array_equal(found.numpy(), x)


def recolored(x: Floats, u: list[float], p: float) -> Floats:
    """A picture (3, H, W), one transformation after the other."""
    of_contrast, of_saturation = box_muller(u[3], u[9])
    luma = np.tensordot(V, x, 1)
    if u[0] < p:
        x = x + 0.2 * box_muller(u[1], u[10])[0]
    if u[2] < p:
        x = x * 2 ** (0.5 * of_contrast)
    if u[4] < p and int(2 * u[5]):
        luma = np.tensordot(V, x, 1)
        x = x - 2 * V[:, None, None] * luma
    if u[6] < p:
        angle, luma = math.pi * (2 * u[7] - 1), np.tensordot(V, x, 1)
        turned = np.cross(V, x.transpose(1, 2, 0)).transpose(2, 0, 1)
        along = V[:, None, None] * luma
        x = x * math.cos(angle) + turned * math.sin(angle) + along * (1 - math.cos(angle))
    if u[8] < p:
        along = V[:, None, None] * np.tensordot(V, x, 1)
        x = along + (x - along) * 2**of_saturation
    return x


def test_colors_are_the_papers() -> None:
    images, drawn = uniform(60, 3, 4, 4), uniform(60, color.DRAWS, seed=2)
    found = color.recolor(images, drawn, probability(0.7))
    expected = [recolored(x, u, 0.7) for x, u in zip(images.numpy(), drawn.tolist(), strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_grey_becomes_the_mean_color_and_an_alpha_channel_stays() -> None:
    grey, drawn = uniform(60, 1, 4, 4), uniform(60, color.DRAWS, seed=2)
    of_colors = color.recolor(grey.repeat(1, 3, 1, 1), drawn, probability(0.7))
    found = color.recolor(grey, drawn, probability(0.7))
    np.testing.assert_allclose(found, of_colors.mean(dim=1, keepdim=True), atol=1e-13)
    with_alpha = color.recolor(torch.cat([of_colors, grey], dim=1), drawn, probability(0.7))
    again = color.recolor(of_colors, drawn, probability(0.7))
    assert torch.equal(with_alpha, torch.cat([again, grey], dim=1))


def test_geometry_is_the_inverse_of_the_papers_product() -> None:
    drawn, p = uniform(100, geometry.DRAWS, seed=2), 0.7
    gates, inverses = geometry.transformation(drawn, probability(p), SIZE)
    assert 0.6 < gates[:, 0].double().mean() < 0.8
    of_rotation = 1 - math.sqrt(1 - p)  # either of two: 1 - (1 - of_rotation)^2 = p
    for u, inverse in zip(drawn.tolist(), inverses.numpy(), strict=True):
        zoom, stretch = (2 ** (0.2 * each) for each in box_muller(u[1], u[5]))
        right, down = (SIZE / 8 * each for each in box_muller(u[9], u[10]))
        product = np.eye(3)
        if u[0] < p:
            product = np.diag([zoom, zoom, 1]) @ product
        for gate, number in ((2, 3), (6, 7)):
            if gate == 6 and u[4] < p:
                product = np.diag([stretch, 1 / stretch, 1]) @ product
            if u[gate] < of_rotation:
                c, s = (f(math.pi * (2 * u[number] - 1)) for f in (math.cos, math.sin))
                product = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ product
        if u[8] < p:
            product = np.array([[1, 0, right], [0, 1, down], [0, 0, 1]]) @ product
        np.testing.assert_allclose(inverse, np.linalg.inv(product), atol=1e-12)


def test_resampled_pictures_are_where_the_matrix_puts_them() -> None:
    """A smooth picture, known everywhere, is evaluated where each pixel comes from."""
    size = 32
    y, x = np.mgrid[:size, :size] - (size - 1) / 2

    def picture(x: Floats, y: Floats) -> Floats:
        found: Floats = np.sin(x / 4 + 0.3) * np.cos(y / 5 + 1)
        return found

    drawn = uniform(30, geometry.DRAWS, seed=3)
    _, inverses = geometry.transformation(drawn, probability(1), size)
    images = torch.from_numpy(picture(x, y)).expand(30, 1, size, size)
    for inverse, found in zip(inverses.numpy(), geometry.resampled(images, inverses), strict=True):
        from_x, from_y, _ = np.tensordot(inverse, np.stack([x, y, np.ones_like(x)]), 1)
        inside = (abs(from_x) < size / 2 - 2) & (abs(from_y) < size / 2 - 2)
        error = abs(found[0].numpy() - picture(from_x, from_y))[inside]
        assert inside.sum() > 100 and error.max() < 0.04


def test_whole_pixels_and_no_transformation_are_exact() -> None:
    images = uniform(2, 3, SIZE, SIZE)
    shift = torch.tensor([0.0, 3.0], dtype=torch.float64)
    found = geometry.resampled(images, geometry.moved(-shift, -shift))
    np.testing.assert_allclose(found[0], images[0], atol=1e-11)
    np.testing.assert_allclose(found[1, :, 3:, 3:], images[1, :, :-3, :-3], atol=1e-11)


def test_far_outside_a_picture_is_its_reflection() -> None:
    images = torch.linspace(0, 1, SIZE, dtype=torch.float64).expand(1, 1, SIZE, SIZE)
    shift = torch.tensor([10.0], dtype=torch.float64)
    found = geometry.resampled(images, geometry.moved(-shift, 0 * shift))
    np.testing.assert_allclose(found[..., :10], images[..., 1:11].flip(-1), atol=0.02)


def test_the_filter_is_orthogonal_with_six_vanishing_moments() -> None:
    weights, places = np.array(geometry.SYM6), np.arange(12)
    products = [weights[2 * shift :] @ weights[: 12 - 2 * shift] for shift in range(6)]
    np.testing.assert_allclose(products, [1, 0, 0, 0, 0, 0], atol=1e-11)
    moments = [(-1.0) ** places * places**order @ weights for order in range(6)]
    np.testing.assert_allclose(moments, np.zeros(6), atol=1e-8)


@pytest.mark.parametrize("size", [4, 8, 32])
def test_at_p_0_all_bits_stay_and_at_1_nothing_does(size: int) -> None:
    images, drawn = uniform(8, 3, size, size).float(), uniform(8, Ada.draws, seed=2).float()
    assert torch.equal(ada("bgc", 0)(images, drawn), images)
    changed = ada("bgc", 1)(images, drawn) != images
    assert changed.flatten(1).any(dim=1).all() and changed.double().mean() > 0.9


def test_pictures_of_which_nothing_is_chosen_keep_their_bits() -> None:
    images, drawn = uniform(400, 3, 4, 4).float(), uniform(400, Ada.draws, seed=2).float()
    found = ada("gc", 0.1)(images, drawn)
    same = (found == images).flatten(1).all(dim=1).double().mean()
    assert same == pytest.approx(0.9**9, abs=0.1)  # three of geometry, the rotations one, five


def test_the_numbers_of_a_transformation_do_not_depend_on_the_pipe() -> None:
    images, drawn = uniform(8, 3, 8, 8), uniform(8, Ada.draws, seed=2)
    steps = ada("c", 0.7)(ada("g", 0.7)(ada("b", 0.7)(images, drawn), drawn), drawn)
    assert torch.equal(ada("bgc", 0.7)(images, drawn), steps)


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_are_those_of_finite_differences(order: int) -> None:
    drawn = uniform(2, Ada.draws, seed=5)
    augment = ada("bgc", 0.8)
    images = uniform(2, 3, 4, 4).requires_grad_()
    check = torch.autograd.gradcheck if order == 1 else torch.autograd.gradgradcheck
    # Squared: a linear map has no second derivative.
    assert check(lambda x: augment(x, drawn).square(), (images,), fast_mode=True)


def test_half_precision_is_augmented_in_float32_also_under_autocast() -> None:
    images, drawn = uniform(4, 3, 8, 8).bfloat16(), uniform(4, Ada.draws, seed=2).float()
    augment = ada("bgc", 0.8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = augment(images, drawn)
    assert found.dtype == torch.float32 and torch.equal(found, augment(images.float(), drawn))


def test_normal_numbers_are_normal_at_both_ends() -> None:
    smallest = torch.tensor([2.0**-24, 0.5, 1 - 2.0**-24])
    first, second = normals(smallest, smallest)
    assert first.isfinite().all() and second.isfinite().all() and first.max() < 5.8
    drawn = torch.stack(normals(uniform(20_000), uniform(20_000, seed=2)))
    assert drawn.mean().abs() < 0.02 and (drawn.std() - 1).abs() < 0.02
    assert torch.corrcoef(drawn)[0, 1].abs() < 0.02
