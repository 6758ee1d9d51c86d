"""Pictures in a row -> an animated GIF or an MP4 file; no torch."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from progan.datasets.files import whole_file
from progan.pipeline.errors import ConfigError, RunError

KINDS = (".gif", ".mp4")
GIF_MOST_FPS = 50
"""Browsers show faster ones at ten a second"""
H264 = ["-crf", "18", "-movflags", "+faststart", "-f", "mp4"]


def check_movie(out: Path, fps: int) -> None:
    """Refuse what could not be written before anything is drawn. ConfigError or RunError."""
    kind = out.suffix.lower()
    if kind not in KINDS:
        raise ConfigError(f"{out}: the name must end in {' or '.join(KINDS)}")
    if kind == ".gif" and fps > GIF_MOST_FPS:
        raise ConfigError(f"--fps {fps}: a GIF shows {GIF_MOST_FPS} at most; write an .mp4")
    if kind == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise RunError(
                f"{out}: MP4 needs imageio-ffmpeg: pip install 'progan[video]' (or write a .gif)"
            ) from error


def write_movie(out: Path, frames: Iterable[Image.Image], fps: int) -> None:
    """Write RGB pictures of one even size, at least one, as the suffix says; whole or not at all.

    A GIF is endless; MP4 is H.264 with 4:2:0 colour, which every player knows.
    """
    check_movie(out, fps)
    taken = iter(frames)
    first = next(taken)
    everything = chain([first], taken)
    with whole_file(out) as file:
        if out.suffix.lower() == ".gif":
            _write_gif(file, everything, fps)
        else:
            _write_mp4(Path(file.name), first.size, everything, fps)


def _write_gif(file: BinaryIO, frames: Iterator[Image.Image], fps: int) -> None:
    first = next(frames)
    rest = list(frames)
    # GIF counts hundredths of a second: rounded one by one, 30 a second would become 33.
    ends = [round(100 * frame / fps) for frame in range(len(rest) + 2)]
    durations = [10 * (end - begin) for begin, end in zip(ends, ends[1:], strict=False)]
    first.save(file, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)


def _write_mp4(path: Path, size: tuple[int, int], frames: Iterator[Image.Image], fps: int) -> None:
    import imageio_ffmpeg

    writer = imageio_ffmpeg.write_frames(
        path,
        size,
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,
        macro_block_size=2,
        output_params=H264,
    )
    writer.send(None)
    try:
        for frame in frames:
            writer.send(frame.tobytes())
    finally:
        writer.close()
