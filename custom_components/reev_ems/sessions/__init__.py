"""The records of charging sessions: each one once, with the right energy, whatever restarts and repeats (S11)."""

from .database import Condition
from .record import SessionRecord
from .store import SessionLog
from .tables import NewerRecordsError

__all__ = ["Condition", "NewerRecordsError", "SessionLog", "SessionRecord"]
