"""What kind of picture some bytes are, by their first bytes and never by what their sender calls them.

Pure. The signatures are those of ITU-T T.81 (JPEG), ISO/IEC 15948 (PNG) and RFC 9649 (WebP).
"""

from models.documents.proof import PictureType

__all__ = ["picture_type"]

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


def picture_type(data: bytes) -> PictureType | None:
    """Return the media type of a picture; None for what is none that we keep."""
    if data.startswith(_JPEG):
        return "image/jpeg"
    if data.startswith(_PNG):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None
