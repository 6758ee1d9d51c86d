"""Tar files in webdataset's notation: braces, lists, URLs and commands.

    shards-{000..009}.tar                          ten files
    a.tar::b.tar                                   two
    https://host/shards-{000..009}.tar             URLs: http, https, sftp, gs, ais ...
    s3://bucket/shards-{000..009}.tar              other URLs that fsspec opens
    pipe:aws s3 cp s3://bucket/shard.tar -         what a command writes

A URL or a command gives its tar file only from start to end, but every process of a build reads
pictures from anywhere in it. So webdataset copies each tar file once, into the folder of the data
set under construction. `prepare` removes the copies when the data set is complete; an interrupted
build keeps the complete ones and uses them when it resumes.

`pipe:` runs a shell command. The command comes only from the source that the user names.
"""

import glob
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from progan.datasets.errors import DataError, missing_library
from progan.datasets.files import whole_file
from progan.datasets.sources.listing import Listing, Scratch
from progan.datasets.sources.tar import Tar, list_tars
from progan.datasets.sources.tar_members import is_compressed, is_tar, members
from progan.datasets.webdataset_library import webdataset

_PIPE, _FILE, _LIST = "pipe:", "file://", "::"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CHUNK_BYTES = 1 << 20
# Exit codes of curl, with which webdataset reads http, https, sftp and the like.
_CURL = {
    6: "no host of this name",
    7: "the server does not answer",
    22: "the server answers with an error, such as 404 (not found)",
    28: "the server takes too long",
}


def recognises(location: str) -> bool:
    """Braces that expand, a list, a URL or a command; not the name of a file that exists."""
    if os.path.exists(location):
        return False
    if any(_is_remote(part) or part.startswith(_FILE) for part in location.split(_LIST)):
        return True
    return _LIST in location or ("{" in location and _expand(location) != [location])


def absolute(location: str) -> str:
    """The same tar files with absolute local paths; commands and URLs stay as they are."""
    parts = location.split(_LIST)
    return _LIST.join(part if _is_remote(part) else _absolute(part) for part in parts)


def title(location: str) -> str:
    """A short name, for manifests. Only the program of a command and only the file of a URL: the
    rest may hold passwords."""
    return _LIST.join(map(_title, location.split(_LIST)))


def listing(location: str, scratch: Scratch | None) -> Listing:
    """Copy what is remote to `scratch`, and list the pictures. Raises DataError."""
    found = [name for url in _expand(location) for name in _existing(url, location)]
    urls = list(dict.fromkeys(found))
    names = [None if url.startswith(_PIPE) else _last_name(url) for url in urls]
    unique = None not in names and len(set(names)) == len(names)
    tars = []
    for number, (url, name) in enumerate(zip(urls, names, strict=True)):
        path = _copied(url, scratch) if _is_remote(url) else url
        tars.append(Tar(path, str(name) if unique else f"{number:06d}.tar", url))
    return list_tars(tars)


def _expand(location: str) -> list[str]:
    """Expand lists, braces and ${NAME} to one name for each tar file. Raises DataError."""
    try:
        urls: list[str] = webdataset().shardlists.expand_urls(location)
    except AssertionError as error:
        raise DataError(
            f"cannot expand {location}: webdataset replaces ${{NAME}} by the environment variable "
            "WDS_NAME, which is not set"
        ) from error
    except ValueError as error:  # unbalanced braces
        raise DataError(f"cannot expand {location}: {error}") from error
    return urls


def _existing(url: str, location: str) -> list[str]:
    """The paths of a local name, which may have `*`. Raises DataError if there are none."""
    if _is_remote(url):
        return [url]
    found = sorted(glob.glob(url)) if "*" in url else [url]
    for path in found:
        if not Path(path).is_file():
            raise DataError(f"{path} does not exist or is not a file: {location} names it")
        if not is_tar(path) and not is_compressed(path):
            raise DataError(f"{path} is not a tar file: {location} names it")
    if not found:
        raise DataError(f"no file matches {url}: {location} names it")
    return found


def _is_remote(url: str) -> bool:
    return url.startswith(_PIPE) or bool(_URL.match(url) and not url.startswith(_FILE))


def _absolute(path: str) -> str:
    return str(Path(path.removeprefix(_FILE)).expanduser().absolute())


def _title(part: str) -> str:
    if not part.startswith(_PIPE):
        return _last_name(part)
    words = part.removeprefix(_PIPE).split()
    return _PIPE + next((word for word in words if "=" not in word), "")  # NAME=VALUE comes before


def _last_name(url: str) -> str:
    path = urlsplit(url).path if _URL.match(url) else url
    return path.rstrip("/").rpartition("/")[2] or "tar"


def _copied(url: str, scratch: Scratch | None) -> str:
    """The path of the copy of a remote tar file. Copies it unless there is a copy."""
    if scratch is None:
        raise DataError(f"{url} has to be copied, and there is no folder for the copy")
    path = scratch.folder / f"{sha256(url.encode()).hexdigest()[:20]}.tar"
    if path.is_file():
        return str(path)
    created = [folder for folder in (path.parent, path.parent.parent) if not folder.exists()]
    scratch.report(url)
    try:
        with whole_file(path) as file:
            for chunk in _chunks(url):
                file.write(chunk)
            file.flush()
            _require_tar(url, Path(file.name))
    except OSError as error:
        raise DataError(f"cannot copy {url} to {path.parent}: {error.strerror}") from error
    finally:
        with suppress(OSError):  # not empty: the usual case
            for folder in created:
                folder.rmdir()
    return str(path)


def _chunks(url: str) -> Iterator[bytes]:
    """The bytes of a URL or a command's output. Raises DataError."""
    stream: Any = None
    try:
        stream = _opened(url)
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
        stream.close()  # raises for a command that has failed
    except DataError:
        raise
    except Exception as error:  # each service has its own
        raise DataError(_reason(url, getattr(stream, "status", None), error)) from error
    finally:
        with suppress(Exception):
            if stream is not None:
                stream.close()


def _opened(url: str) -> Any:
    """A stream, from webdataset, or from fsspec for what webdataset does not know. Raises DataError
    for a file that is missing on object storage, and other errors."""
    try:
        return webdataset().gopen(url)
    except ValueError:
        import fsspec  # takes time to load

        if url.startswith(_PIPE) or url.partition("://")[0] not in fsspec.available_protocols():
            raise
    try:
        files, path = fsspec.core.url_to_fs(url)
        if files.info(path)["type"] != "file":  # s3fs opens a folder as an empty file
            raise FileNotFoundError
        return files.open(path, "rb")
    except ImportError as error:
        raise missing_library(url, "remote") from error
    except (FileNotFoundError, ValueError) as error:  # ValueError: the name of a bucket
        raise DataError(
            f"{url} does not exist or is not a file: on object storage SOURCE is tar files, by "
            "name or with braces, such as s3://BUCKET/part-{000..099}.tar"
        ) from error


def _reason(url: str, status: int | None, error: Exception) -> str:
    """The message for a failed URL or command; `status` is the return code of its process."""
    if url.startswith(_PIPE):
        if status is None:
            return f"cannot run {url}: {error}"
        end = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
        return f"the command of {url} failed with {end}"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"cannot read {url}: webdataset needs the program {error.filename} for it"
    if status is not None:
        return f"cannot read {url}: {_CURL.get(status, f'exit code {status}')}"
    if isinstance(error, ValueError):  # no program or library for its scheme
        return f"cannot read {url}: give a command that writes the file, as '{_PIPE}COMMAND'"
    return f"cannot read {url}: {error}"


def _require_tar(url: str, path: Path) -> None:
    """Raise DataError unless the copy of `url` at `path` is a whole tar file."""
    if is_compressed(path):
        raise DataError(
            f"{url} is compressed, so no picture can be read by itself: give a command that "
            "unpacks it, such as 'pipe:curl -sfL URL | gzip -dc'"
        )
    if not is_tar(path):
        raise DataError(f"{url} is not a tar file")
    for _ in members(str(path), url):
        pass
