"""A picture that crashes, hangs or exhausts the decoder is rejected; decoding continues."""

import io
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from progan.datasets.build.sandboxed_decoder import SandboxedDecoder, Settings, make_levels
from progan.datasets.errors import TooSmall, UnusablePicture
from progan.datasets.format.codec import CODECS
from progan.datasets.format.options import Options

Make = Callable[..., SandboxedDecoder]


def picture(side: int = 16) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 50).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def settings(seconds: float = 60, **options: Any) -> Settings:
    return Settings(16, 3, Options(**options), seconds)


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[SandboxedDecoder] = []

    def make_decoder(**options: Any) -> SandboxedDecoder:
        made.append(SandboxedDecoder(settings(**options)))
        return made[-1]

    yield make_decoder
    for decoder in made:
        decoder.close()


def test_levels_equal_those_of_this_process(make: Make) -> None:
    data = picture()
    levels = make().levels(data, crop_key=0)
    assert levels == make_levels(data, 0, settings())
    assert list(levels.encoded) == [4, 8, 16]
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert (CODECS["webp"].decode(levels.encoded[16], 3) == expected).all()


def test_decoder_continues_after_an_unusable_picture(make: Make) -> None:
    decoder = make(small="skip")
    with pytest.raises(UnusablePicture, match="not a picture of a known format"):
        decoder.levels(b"text", 0)
    with pytest.raises(TooSmall, match="9 x 9 is smaller"):
        decoder.levels(picture(9), 0)
    assert decoder.levels(picture(), 0).encoded


def test_slow_picture_is_rejected(make: Make) -> None:
    large = io.BytesIO()
    Image.new("RGB", (8000, 8000)).save(large, "TIFF", compression="tiff_deflate")
    decoder = make(seconds=0.1)
    with pytest.raises(UnusablePicture, match=r"takes longer than 0\.1 s"):
        decoder.levels(large.getvalue(), 0)
    assert decoder.levels(picture(), 0).encoded


def test_killed_process_is_restarted(make: Make) -> None:
    decoder = make()
    decoder.levels(picture(), 0)
    assert decoder._process
    os.kill(decoder._process.pid, signal.SIGKILL)
    assert decoder.levels(picture(), 0).encoded


def test_crash_is_rejected_with_the_signal(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = make()

    def crash(*arguments: object) -> None:
        assert decoder._process
        os.kill(decoder._process.pid, signal.SIGSEGV)
        raise EOFError

    monkeypatch.setattr(decoder, "_ask", crash)
    with pytest.raises(UnusablePicture, match="crashes the decoder .SIGSEGV"):
        decoder.levels(picture(), 0)


def test_largest_accepted_picture_fits_the_memory_limit(make: Make) -> None:
    header = io.BytesIO()
    Image.new("RGB", (8000, 8000)).save(header, "TIFF", compression="tiff_deflate")
    assert make().levels(header.getvalue(), 0).encoded


def test_process_ends_when_its_input_is_closed(make: Make) -> None:
    decoder = make()
    decoder.levels(picture(), 0)
    process = decoder._process
    assert process and process.stdin
    process.stdin.close()
    assert process.wait(timeout=10) == 0
