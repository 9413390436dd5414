"""The records of charging sessions: each one once, with the right energy, whatever restarts and repeats (S11)."""

from .record import SessionRecord
from .store import SessionLog

__all__ = ["SessionLog", "SessionRecord"]
