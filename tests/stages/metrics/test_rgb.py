"""Pictures of any number of channels as the three that InceptionV3 takes."""

import numpy as np
import torch
from PIL import Image

from progan.stages.metrics.inception import to_rgb

WHITE = (255, 255, 255)


def test_grey_is_repeated_and_rgb_unchanged() -> None:
    grey = torch.randint(256, (2, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(to_rgb(grey, WHITE), grey.expand(2, 3, 4, 4))
    rgb = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8)
    assert torch.equal(to_rgb(rgb, WHITE), rgb)


def test_alpha_shows_the_background_as_pillow_draws_it() -> None:
    torch.manual_seed(0)
    pictures = torch.randint(256, (1, 4, 32, 32), dtype=torch.uint8)
    background = (200, 100, 0)
    above = Image.fromarray(pictures[0].permute(1, 2, 0).numpy())
    behind = Image.new("RGBA", above.size, background)
    expected = np.asarray(Image.alpha_composite(behind, above).convert("RGB")).astype(int)
    found = to_rgb(pictures, background)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() <= 1  # Pillow rounds twice


def test_transparent_and_opaque_pixels_are_exact() -> None:
    pictures = torch.tensor([[7, 8, 9, 0], [7, 8, 9, 255]], dtype=torch.uint8)[:, :, None, None]
    assert to_rgb(pictures, (1, 2, 3)).flatten(1).tolist() == [[1, 2, 3], [7, 8, 9]]
