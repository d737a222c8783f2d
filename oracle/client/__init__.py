"""For consumers: read the stream, feed the engine's market. Stands on core.types and core.wire alone."""

from oracle.client.reader import Reader, ReaderError, StaleValue, Update
from oracle.client.sender import Sender

__all__ = ["Reader", "ReaderError", "Sender", "StaleValue", "Update"]
