"""Decodes pictures so that no file can crash or hang the build, or exhaust the memory.

Python cannot interrupt a C decoder, and a crash in one kills its process. So a process that decodes
limits its memory and sets an alarm that kills it. The worker processes of a build decode in this
way themselves until one of them dies. Then, and in Dask workers and threads, each worker uses a
`SandboxedDecoder`: a process of its own, restarted after a picture that kills it. That takes a
quarter more time.
"""

import fcntl
import hashlib
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from progan.datasets.build.picture import known_formats, square_picture
from progan.datasets.build.pyramid import pyramid
from progan.datasets.errors import TooSmall, UnusablePicture
from progan.datasets.format.codec import codec_for
from progan.datasets.format.options import Options

# Pictures of 64 million pixels need 0.7 GB; libraries reserve more than they use.
_MEMORY_BYTES = 4 << 30
_IDLE_SECONDS = 300
_CLOCK_FACTOR = 10
_PIPE_BYTES = 1 << 20
_REQUEST, _HEADER = struct.Struct("<QQ"), struct.Struct("<I")
# One thread. Memory is kept between pictures: in Dask's default environment malloc returns it after
# each one, which makes decoding 1.6 times slower.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
}
_PROBLEMS: dict[str, type[UnusablePicture]] = {"unusable": UnusablePicture, "small": TooSmall}


class Settings(NamedTuple):
    """How to make samples of pictures."""

    resolution: int
    channels: int
    options: Options
    seconds: float
    """Processor time after which a picture is rejected."""


class Levels(NamedTuple):
    """One picture, encoded at every resolution."""

    encoded: dict[int, bytes]
    sha256: str
    """SHA-256 of the pixels at the top resolution, independent of the codec."""
    enlarged: bool


def make_levels(data: bytes, crop_key: int, settings: Settings) -> Levels:
    """Decode and encode one picture in this process. Raises UnusablePicture."""
    top = square_picture(data, settings.resolution, settings.options, settings.channels, crop_key)
    encoded = {
        resolution: codec_for(settings.options.codec, resolution).encode(level)
        for resolution, level in pyramid(top.pixels).items()
    }
    digest = hashlib.sha256(top.pixels.tobytes()).hexdigest()
    return Levels(encoded, digest, top.enlarged)


def levels_with_alarm(data: bytes, crop_key: int, settings: Settings) -> Levels:
    """As `make_levels`, but a picture that takes too long kills this sandboxed process."""
    _set_alarms(settings.seconds)
    try:
        return make_levels(data, crop_key, settings)
    finally:
        _set_alarms(0)


def sandbox_process() -> None:
    """Limit the memory of this process, let alarms kill it, and silence C libraries."""
    # Not by Python's handlers: they run only after the C decoder returns.
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)
    _limit(resource.RLIMIT_AS, address_space() + _MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # C libraries print a warning for every odd tag
    known_formats()  # loads Pillow's plugins before an alarm runs


class SandboxedDecoder:
    """A sandboxed process that makes levels, started at first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def levels(self, data: bytes, crop_key: int) -> Levels:
        """As `make_levels`. Raises UnusablePicture also for a picture that kills the process."""
        code = 0
        # Twice: the process may have died for another reason, such as a lack of memory.
        for _ in range(2):
            try:
                return self._ask(self._running(), data, crop_key)
            except (EOFError, BrokenPipeError):
                code = self._reap()
            if -code in (signal.SIGPROF, signal.SIGALRM):
                raise UnusablePicture(f"takes longer than {self._settings.seconds:g} s to decode")
        raise UnusablePicture(f"crashes the decoder ({_cause(code)})")

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._reap()

    def __del__(self) -> None:
        self.close()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            settings = self._settings._asdict() | {"options": self._settings.options.model_dump()}
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "progan.datasets.build.sandboxed_decoder",
                    json.dumps(settings),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | _ENVIRONMENT,
            )
            _widen(self._process.stdin)
            _widen(self._process.stdout)
        return self._process

    def _ask(self, process: "subprocess.Popen[bytes]", data: bytes, crop_key: int) -> Levels:
        assert process.stdin and process.stdout
        process.stdin.write(_REQUEST.pack(crop_key, len(data)))
        process.stdin.write(data)
        process.stdin.flush()
        (size,) = _HEADER.unpack(_exactly(process.stdout, _HEADER.size))
        answer: dict[str, Any] = json.loads(_exactly(process.stdout, size))
        if "problem" in answer:
            raise _PROBLEMS[answer["problem"]](answer["reason"])
        encoded = {int(r): _exactly(process.stdout, n) for r, n in answer["sizes"].items()}
        return Levels(encoded, answer["sha256"], answer["enlarged"])

    def _reap(self) -> int:
        """Wait for the process to end; its return code."""
        process, self._process = self._process, None
        assert process and process.stdin and process.stdout
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass  # buffered data that the dead process cannot read
        return process.wait()


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a whole picture, so that the processes wait for each other less often."""
    if pipe and hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # above the user's limit
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _serve(requests: IO[bytes], answers: IO[bytes], settings: Settings) -> None:
    """Answer requests until there are no more."""
    # An idle process ends: the worker that started it may live for long.
    while select.select([requests], [], [], _IDLE_SECONDS)[0]:
        header = requests.read(_REQUEST.size)
        if not header:
            return
        crop_key, size = _REQUEST.unpack(header)
        data = _exactly(requests, size)
        try:
            levels = levels_with_alarm(data, crop_key, settings)
            answer: dict[str, Any] = {
                "sizes": {r: len(encoded) for r, encoded in levels.encoded.items()},
                "sha256": levels.sha256,
                "enlarged": levels.enlarged,
            }
            bodies = list(levels.encoded.values())
        except UnusablePicture as error:
            problem = "small" if isinstance(error, TooSmall) else "unusable"
            answer, bodies = {"problem": problem, "reason": str(error)}, []
        text = json.dumps(answer).encode()
        answers.write(b"".join([_HEADER.pack(len(text)), text, *bodies]))
        answers.flush()


def main() -> None:
    """In the new process: serve its parent."""
    values = json.loads(sys.argv[1])
    settings = Settings(**values | {"options": Options.model_validate(values["options"])})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    sandbox_process()
    with os.fdopen(os.dup(1), "wb") as answers, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # a library's output must not mix with the answers
        _serve(sys.stdin.buffer, answers, settings)


def _set_alarms(seconds: float) -> None:
    """Kill this process after `seconds` of processor time, so that a busy machine rejects no more
    pictures than an idle one, or after ten times as long by the clock. 0 cancels both."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _CLOCK_FACTOR * seconds)


def address_space() -> int:
    """Bytes that this process has mapped; very many if the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 1 << 40
    return pages * resource.getpagesize()


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (allowed, hard))


if __name__ == "__main__":
    main()
