"""Energy meters over Modbus TCP: profiles of their registers, readers, and the connections to their gateways."""

from .commissioning import (
    Doubt,
    LinePhaseLearner,
    doubts,
    is_inverted,
    phase_that_moved,
)
from .correction import NO_CORRECTION, Correction
from .detect import DetectedMeter, DetectionStep, detect_meters
from .errors import MeterError, Oddity, Remark, Trouble
from .frozen import FrozenWatch, Load
from .gateway import ModbusGateways
from .interval import IntervalWatch
from .library import LoadedProfiles, ProfileError, load_profiles
from .poller import MeterPoller
from .profile import MeterProfile, Status
from .reader import MeterProbe, MeterReader, probe_meter
from .reading import corrected
from .resolution import Resolutions
from .schema import InvalidProfile, parse_profile
from .sensors import FOLLOWING_QUANTITIES, SENSOR_QUANTITIES, Wiring
from .teltonika import GatewayStatus, TeltonikaGateway

__all__ = [
    "FOLLOWING_QUANTITIES",
    "NO_CORRECTION",
    "SENSOR_QUANTITIES",
    "Correction",
    "DetectedMeter",
    "DetectionStep",
    "Doubt",
    "FrozenWatch",
    "GatewayStatus",
    "IntervalWatch",
    "InvalidProfile",
    "LinePhaseLearner",
    "Load",
    "LoadedProfiles",
    "MeterError",
    "MeterPoller",
    "MeterProbe",
    "MeterProfile",
    "MeterReader",
    "ModbusGateways",
    "Oddity",
    "ProfileError",
    "Remark",
    "Resolutions",
    "Status",
    "TeltonikaGateway",
    "Trouble",
    "Wiring",
    "corrected",
    "detect_meters",
    "doubts",
    "is_inverted",
    "load_profiles",
    "parse_profile",
    "phase_that_moved",
    "probe_meter",
]
