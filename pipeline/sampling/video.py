"""Writes a sequence of pictures as an animated GIF or an MP4 file. Does not import torch."""

import subprocess
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
H264 = ["-an", "-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", "18"]
H264 += ["-movflags", "+faststart", "-f", "mp4"]


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
            _write_mp4(out, Path(file.name), first.size, all_frames, fps)


def _write_gif(file: BinaryIO, frames: Iterator[Image.Image], fps: int) -> None:
    first = next(frames)
    rest = list(frames)
    # GIF durations are in hundredths of a second; rounded one by one, 30 fps would become 33.
    ends = [round(100 * frame / fps) for frame in range(len(rest) + 2)]
    durations = [10 * (end - begin) for begin, end in zip(ends, ends[1:], strict=False)]
    first.save(file, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)


def _write_mp4(
    out: Path, path: Path, size: tuple[int, int], frames: Iterator[Image.Image], fps: int
) -> None:
    """RunError, with ffmpeg's reason, if the file is not whole."""
    import imageio_ffmpeg

    shape = ["-s", f"{size[0]}x{size[1]}", "-pix_fmt", "rgb24", "-r", str(fps)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", "-f", "rawvideo", *shape]
    command += ["-i", "-", *H264, f"file:{path}"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdin is not None
        try:
            for frame in frames:
                process.stdin.write(frame.convert("RGB").tobytes())
        except BrokenPipeError:
            pass  # ffmpeg has ended: its exit code and reason follow
        except BaseException:
            process.kill()
            process.communicate()
            raise
        _, said = process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").splitlines()
        reason = lines[0] if lines else f"it ended with {process.returncode}; is the disk full?"
        raise RunError(f"{out}: ffmpeg could not write it: {reason}")
