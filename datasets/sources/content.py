"""Recognises, by their first bytes, files that are not what their names say."""

_START = 512
_SIGNATURES = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not the file itself: run `git lfs pull`",
    ),
    (b"/annex/objects/", "a git-annex pointer, not the file itself: run `git annex get`"),
    (b"\0\5\x16\7", "an AppleDouble file, which macOS adds beside the real one"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"DDS ", "a DDS texture"),
    (b"v/1\1", "an OpenEXR picture"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet file"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"PK\3\4", "a zip file"),
    (b"\x1f\x8b", "a gzip file"),
)
# In ISO files, such as MP4, the kind stands at byte 8.
_ISO = {
    "a HEIC picture": (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"),
    "a film": (b"isom", b"mp41", b"mp42", b"qt  ", b"M4V ", b"avc1", b"iso2"),
}
_MARKUP = (
    (b"<svg", "an SVG drawing"),
    (b"<html", "an HTML page, as servers send in place of a file"),
    (b"<!doctype html", "an HTML page, as servers send in place of a file"),
    (b"<error", "an error message of a server in XML"),
)


def describe(data: bytes) -> str | None:
    """What a file that begins with `data` is, with what to do where that is clear; None for a
    usable picture, and where it is not known."""
    start = data[:_START]
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    if start[4:8] == b"ftyp":
        return next((kind for kind, brands in _ISO.items() if start[8:12] in brands), None)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        return next((kind for tag, kind in _MARKUP if tag in text), None)
    if start and not data.strip(b"\0"):
        return "a file of zeros, as an interrupted copy leaves"
    return None
