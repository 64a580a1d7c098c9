"""What is stored of a partition, so that whoever holds it next goes on from there. Pure."""

import msgspec
import zstandard

from engine.eta.table import EtaImage
from models.messages.commands import StopPlan
from models.messages.records import Layout

__all__ = ["PartitionImage"]

_LEVEL = 3


class PartitionImage(msgspec.Struct, frozen=True):
    """A partition's state at one position of its log, as it is stored."""

    drivers: bytes
    stops: bytes
    tenants: dict[int, str]
    names: dict[int, tuple[str, str, str]]
    """Driver number → (id, name, profile)."""
    deliveries: dict[int, tuple[str, str, int, int, str]]
    """Key → (id, tenant, driver number, version, status)."""
    plans: dict[int, tuple[StopPlan, ...]]
    pending: bytes
    """`STORED` records that history did not hold then."""
    cargo: dict[int, tuple[float, str]] = {}
    """Key → (weight in kilograms, priority)."""
    etas: EtaImage = EtaImage()
    layouts: tuple[Layout, Layout] = ([], [])
    """Of `drivers` and `stops`: another release may have other fields."""

    def pack(self) -> bytes:
        """Return the image as compressed msgpack."""
        return zstandard.ZstdCompressor(level=_LEVEL).compress(msgspec.msgpack.encode(self))

    @classmethod
    def unpack(cls, data: bytes) -> "PartitionImage":
        """Return the image that `pack` made."""
        return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data), type=cls)
