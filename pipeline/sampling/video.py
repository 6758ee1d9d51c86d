"""Writes a sequence of pictures as an animated GIF or an MP4 file. Does not import torch."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from progan.datasets.files import whole_file
from progan.pipeline.errors import ConfigError, RunError

SUFFIXES = (".gif", ".mp4")
MAX_GIF_FPS = 50
"""Browsers show faster GIFs at 10 frames a second"""
H264 = ["-crf", "18", "-movflags", "+faststart", "-f", "mp4"]


def check_movie(out: Path, fps: int) -> None:
    """ConfigError or RunError if the file could not be written; called before anything is drawn."""
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{out}: the name must end in {' or '.join(SUFFIXES)}")
    if suffix == ".gif" and fps > MAX_GIF_FPS:
        raise ConfigError(f"--fps {fps}: a GIF shows {MAX_GIF_FPS} at most; write an .mp4")
    if suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise RunError(
                f"{out}: MP4 needs imageio-ffmpeg: pip install 'progan[video]' (or write a .gif)"
            ) from error


def write_movie(out: Path, frames: Iterable[Image.Image], fps: int) -> None:
    """Write grey or RGB pictures of equal, even size, at least one, in the suffix's format; atomic.

    A GIF loops; MP4 is H.264 with 4:2:0 colour, which every player supports.
    """
    check_movie(out, fps)
    iterator = iter(frames)
    first = next(iterator)
    all_frames = chain([first], iterator)
    with whole_file(out) as file:
        if out.suffix.lower() == ".gif":
            _write_gif(file, all_frames, fps)
        else:
            _write_mp4(Path(file.name), first.size, all_frames, fps)


def _write_gif(file: BinaryIO, frames: Iterator[Image.Image], fps: int) -> None:
    first = next(frames)
    rest = list(frames)
    # GIF durations are in hundredths of a second; rounded one by one, 30 fps would become 33.
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
            writer.send(frame.convert("RGB").tobytes())
    finally:
        writer.close()
