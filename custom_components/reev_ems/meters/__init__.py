"""Energy meters over Modbus TCP: profiles of their registers, readers, and the connections to their gateways."""

from .detect import DetectedMeter, DetectionStep, detect_meters
from .errors import MeterError, Trouble
from .gateway import ModbusGateways
from .library import LoadedProfiles, ProfileError, load_profiles
from .poller import MeterPoller
from .profile import MeterProfile, Status
from .reader import MeterProbe, MeterReader, probe_meter
from .schema import InvalidProfile, parse_profile

__all__ = [
    "DetectedMeter",
    "DetectionStep",
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
    "Trouble",
    "detect_meters",
    "load_profiles",
    "parse_profile",
    "probe_meter",
]
