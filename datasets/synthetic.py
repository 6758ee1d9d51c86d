"""Synthetic pictures of simple shapes, for the demonstration and the tests.

    python -m progan.datasets.synthetic OUT --num 1000 --size 64 --seed 0

Shape, colors, position, size, rotation and background vary independently, so that mode collapse is
visible at a glance.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

from progan.datasets.files import whole_file
from progan.datasets.format.codec import MODES

Color = tuple[int, int, int]
Point = tuple[float, float]
# Drawn at a multiple of the size, then reduced: ImageDraw itself has no antialiasing.
_OVERSAMPLING = 4


def _polygon(radii: list[float], angle: float) -> list[Point]:
    """Corners at equal angles around (0, 0), at the distances `radii`."""
    step = 2 * math.pi / len(radii)
    return [
        (radius * math.cos(angle + k * step), radius * math.sin(angle + k * step))
        for k, radius in enumerate(radii)
    ]


def _cross(angle: float) -> list[Point]:
    arm, half = 1.0, 0.3
    corner = [(arm, -half), (arm, half), (half, half)]
    points = []
    for quarter in range(4):
        rotation = angle + quarter * math.pi / 2
        c, s = math.cos(rotation), math.sin(rotation)
        points += [(x * c - y * s, x * s + y * c) for x, y in corner]
    return points


# Shape -> outline within the unit circle, rotated by an angle. The ring's hole is cut afterwards.
SHAPES: dict[str, Callable[[float], list[Point]]] = {
    "cross": _cross,
    "disc": lambda angle: _polygon([1.0] * 72, angle),
    "ring": lambda angle: _polygon([1.0] * 72, angle),
    "square": lambda angle: _polygon([1.0] * 4, angle),
    "star": lambda angle: _polygon([1.0, 0.42] * 5, angle),
    "triangle": lambda angle: _polygon([1.0] * 3, angle),
}


def _plain(random: Random, size: int, colors: list[Color]) -> Image.Image:
    return Image.new("RGB", (size, size), colors[0])


def _gradient(random: Random, size: int, colors: list[Color]) -> Image.Image:
    ramp = Image.linear_gradient("L").rotate(random.choice([0, 90, 180, 270]))
    first, second = (Image.new("RGB", (size, size), color) for color in colors)
    return Image.composite(first, second, ramp.resize((size, size)))


def _stripes(random: Random, size: int, colors: list[Color]) -> Image.Image:
    image = Image.new("RGB", (size, size), colors[0])
    draw = ImageDraw.Draw(image)
    width = size // random.choice([4, 6, 8])
    for start in range(0, size, 2 * width):
        draw.rectangle((start, 0, start + width - 1, size), fill=colors[1])
    return image.rotate(random.choice([0, 90]))


def _checker(random: Random, size: int, colors: list[Color]) -> Image.Image:
    cells = random.choice([4, 6, 8])
    board = Image.new("RGB", (cells, cells))
    board.putdata([colors[(x + y) % 2] for y in range(cells) for x in range(cells)])
    return board.resize((size, size), Image.Resampling.NEAREST)


BACKGROUNDS: dict[str, Callable[[Random, int, list[Color]], Image.Image]] = {
    "plain": _plain,
    "gradient": _gradient,
    "stripes": _stripes,
    "checker": _checker,
}


def _color(random: Random, lightness: tuple[float, float]) -> Color:
    """A saturated color of any hue."""
    hue, light = random.random(), random.uniform(*lightness)
    channels = [(math.cos(2 * math.pi * (hue - third / 3)) + 1) / 2 for third in range(3)]
    red, green, blue = (round(255 * min(1.0, light * (0.25 + 0.75 * c))) for c in channels)
    return red, green, blue


def draw_picture(shape: str, size: int, random: Random, channels: int = 3) -> Image.Image:
    """One picture of `size` x `size` pixels: grey, RGB, or a shape on transparent ground (4)."""
    large = size * _OVERSAMPLING
    # Light on dark or dark on light, so that the shape always contrasts with the background.
    light, dark = (0.8, 1.1), (0.15, 0.45)
    front, back = random.choice([(light, dark), (dark, light)])
    paint = BACKGROUNDS[random.choice(sorted(BACKGROUNDS))]
    image = paint(random, large, [_color(random, back), _color(random, back)])

    radius = large * random.uniform(0.18, 0.34)
    x, y = (random.uniform(radius, large - radius) for _ in range(2))
    mask = Image.new("L", (large, large))
    draw = ImageDraw.Draw(mask)
    outline = SHAPES[shape](random.uniform(0, 2 * math.pi))
    draw.polygon([(x + radius * px, y + radius * py) for px, py in outline], fill=255)
    if shape == "ring":
        draw.circle((x, y), radius * random.uniform(0.45, 0.65), fill=0)
    image.paste(_color(random, front), mask=mask)
    if channels == 4:
        image.putalpha(mask)
    return image.convert(MODES[channels]).reduce(_OVERSAMPLING)


def draw_simple_picture(shape: str, size: int, random: Random, channels: int = 3) -> Image.Image:
    """A large bright shape, nearly upright and in the middle, on dark ground of one color."""
    large = size * _OVERSAMPLING
    image = Image.new("RGB", (large, large), _color(random, (0.12, 0.25)))
    radius = large * random.uniform(0.3, 0.4)
    x, y = (large * (0.5 + random.uniform(-0.07, 0.07)) for _ in range(2))
    mask = Image.new("L", (large, large))
    draw = ImageDraw.Draw(mask)
    outline = SHAPES[shape](random.uniform(-0.3, 0.3) - math.pi / 2)
    draw.polygon([(x + radius * px, y + radius * py) for px, py in outline], fill=255)
    if shape == "ring":
        draw.circle((x, y), 0.55 * radius, fill=0)
    image.paste(_color(random, (0.9, 1.1)), mask=mask)
    if channels == 4:
        image.putalpha(mask)
    return image.convert(MODES[channels]).reduce(_OVERSAMPLING)


def draw_dataset(
    out: Path, *, num: int, size: int, seed: int = 0, channels: int = 3, simple: bool = False
) -> None:
    """Write `num` PNG files to `out/SHAPE/`, each shape equally often.

    Picture k depends on the seed and k only, so a larger set contains a smaller one. `simple` ones
    are learned in minutes.
    """
    draw = draw_simple_picture if simple else draw_picture
    shapes = sorted(SHAPES)
    for number in range(num):
        shape = shapes[number % len(shapes)]
        image = draw(shape, size, Random(f"{seed}/{number}"), channels)
        with whole_file(out / shape / f"{number:06d}.png") as file:
            image.save(file, "PNG", compress_level=1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="draw pictures of simple shapes")
    parser.add_argument("out", type=Path, help="folder; one sub-folder for each shape is made")
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--channels", type=int, choices=MODES, default=3, help="grey, RGB, or transparent ground"
    )
    parser.add_argument(
        "--simple",
        action="store_true",
        help="bright upright shapes on dark ground, for few minutes",
    )
    draw_dataset(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
