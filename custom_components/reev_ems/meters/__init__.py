"""Energy meters over Modbus TCP: profiles of their registers, readers, and the connections to their gateways."""

from .detect import DetectedMeter, DetectionStep, detect_meters
from .errors import MeterError, Trouble
from .frozen import FrozenWatch
from .gateway import ModbusGateways
from .library import LoadedProfiles, ProfileError, load_profiles
from .poller import MeterPoller
from .profile import MeterProfile, Status
from .reader import MeterProbe, MeterReader, probe_meter
from .schema import InvalidProfile, parse_profile
from .teltonika import GatewayStatus, TeltonikaGateway

__all__ = [
    "DetectedMeter",
    "DetectionStep",
    "FrozenWatch",
    "GatewayStatus",
    "InvalidProfile",
    "LoadedProfiles",
    "MeterError",
    "MeterPoller",
    "MeterProbe",
    "MeterProfile",
    "MeterReader",
    "ModbusGateways",
    "ProfileError",
    "Status",
    "TeltonikaGateway",
    "Trouble",
    "detect_meters",
    "load_profiles",
    "parse_profile",
    "probe_meter",
]
