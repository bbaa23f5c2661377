"""What a file is, by its first bytes: what people have in place of what they meant to have."""

from __future__ import annotations

JPEG, PNG, GZIP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\x1f\x8b"
_STARTS = {
    JPEG: "a JPEG file",
    PNG: "a PNG file",
    GZIP: "a gzip file",
    b"GIF8": "a GIF file",
    b"BM": "a BMP file",
    b"RIFF": "a WebP file",
    b"II*\0": "a TIFF file",
    b"MM\0*": "a TIFF file",
    b"PK\x03\x04": "a ZIP archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a .npy file",
    b"version https://git-lfs": "a Git LFS pointer instead of the file (run: git lfs pull)",
}
ENOUGH = 512  # bytes that are looked at


def describe_content(start: bytes) -> str:
    """Name what begins with these bytes, such as "a web page (HTML)"."""
    if not start:
        return "an empty file"
    text = start[:ENOUGH].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):
        return "a web page (HTML)" if b"html" in text else "an XML document"
    for known, name in _STARTS.items():
        if start.startswith(known):
            return name
    if start[4:8] == b"ftyp":
        return "a HEIC, AVIF or MP4 file"
    return f"a file that starts with {start[:12]!r}"
