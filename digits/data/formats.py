"""Name a file's format by its first bytes, for messages about a file of another format."""

import re

LOOKED_AT = 512  # bytes; a tar archive says so only after 257
PICKLE = "a Python pickle: what it holds would be run; save its arrays as .npz"
SIGNATURES = {
    b"\x1f\x8b": "gzip, decompress it first",
    b"PK\x03\x04": "a zip archive (.zip or .npz)",
    b"\xfd7zXZ\0": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"BZh": "a bzip2 archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"\x89PNG\r\n\x1a\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"%PDF-": "a PDF document",
    b"\x93NUMPY": "a .npy file",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (.h5)",
    b"PAR1": "a Parquet table",
    b"MATLAB 5.0 MAT-file": "a MATLAB file",
    b"MATLAB 7.3 MAT-file": "a MATLAB 7.3 file: save it with -v7",
    **dict.fromkeys((b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"), PICKLE),
    b"version https://git-lfs.github.com/spec/": "a Git LFS pointer, to be pulled",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
CSV = re.compile(rb'\s*"?[\w .-]*"?(,"?[\w .-]*"?)+\s*[\r\n]')


def name_format(data: bytes) -> str:
    """Return what the content looks like; an empty text if that is unknown."""
    head = data[:LOOKED_AT]
    for signature, kind in SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if head[257:262] == b"ustar":
        return "a tar archive"
    text = head.lstrip()
    if text.startswith(b"<"):
        if b"<svg" in text:
            return "an SVG drawing, export it as PNG"
        return "an XML document" if text.startswith(b"<?xml") else "an HTML page"
    if text.startswith(b"{"):
        return "JSON text"
    return "a CSV table" if CSV.match(head) else ""


def hint_format(data: bytes) -> str:
    """Return the end of a message, such as `: this is a PNG image`; nothing if that is unknown."""
    found = name_format(data)
    return found and f": this is {found}"
