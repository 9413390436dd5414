"""The OCPP central system: charge points of any vendor connect here and are steered from here.

Free of Home Assistant. The rest of the program sees `OcppServer`, `ChargePoint` and its events.
"""

from .charge_point import ChargePoint
from .events import (
    Booted,
    ChargePointEvent,
    Connected,
    ConnectorEvent,
    Disconnected,
    FloorAccepted,
    LearntChanged,
    Metered,
    PermitAccepted,
    PermitRejected,
    ProblemsChanged,
    SelfTested,
    StatusChanged,
    TagRefused,
    TransactionEnded,
    TransactionStarted,
)
from .learnt import Learnt
from .model import (
    Authorization,
    AuthorizationStatus,
    BootInfo,
    CallError,
    ChargePointConfig,
    ConnectorView,
    Floor,
    Permit,
    SelfTest,
    Transaction,
    UnknownChargePoint,
)
from .server import OcppServer
from .transactions import OpenTransaction, TransactionLog

__all__ = [
    "Authorization",
    "AuthorizationStatus",
    "BootInfo",
    "Booted",
    "CallError",
    "ChargePoint",
    "ChargePointConfig",
    "ChargePointEvent",
    "Connected",
    "ConnectorEvent",
    "ConnectorView",
    "Disconnected",
    "Floor",
    "FloorAccepted",
    "Learnt",
    "LearntChanged",
    "Metered",
    "OcppServer",
    "OpenTransaction",
    "Permit",
    "PermitAccepted",
    "PermitRejected",
    "ProblemsChanged",
    "SelfTest",
    "SelfTested",
    "StatusChanged",
    "TagRefused",
    "Transaction",
    "TransactionEnded",
    "TransactionLog",
    "TransactionStarted",
    "UnknownChargePoint",
]
