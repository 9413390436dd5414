"""The configuration keys of an OCPP 1.6 charge point."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .car import Supply
from .link import Json
from .measurands import MEASURANDS
from .outlets import ChargePointConfig, Outlet
from .profiles import Unit

_MOST_KEYS = 50


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _is_flag(value: str) -> bool:
    return value.lower() in ("true", "false")


def _are_measurands(value: str) -> bool:
    return all(name.strip() in MEASURANDS for name in value.split(",") if name.strip())


@dataclass(slots=True, kw_only=True)
class _Key:
    value: str
    accepts: Callable[[str], bool] | None = None
    """None: read only."""
    secret: bool = False


class Configuration:
    """Reads and writes keys; names are not case sensitive."""

    def __init__(
        self,
        config: ChargePointConfig,
        outlets: Sequence[Outlet],
        *,
        vendor_key: str = "",
    ) -> None:
        """Start as delivered."""
        names = ",".join(config.measurands)
        most = config.measurands_max or len(MEASURANDS)
        self._keys = {
            "AuthorizationKey": _Key(
                value="", accepts=lambda value: 1 <= len(value) <= 40, secret=True
            ),
            "AuthorizeRemoteTxRequests": _Key(value="false", accepts=_is_flag),
            "ClockAlignedDataInterval": _Key(value="0"),
            "ConnectionTimeOut": _Key(value="60"),
            "ConnectorPhaseRotation": _Key(
                value=",".join(_rotation(outlet) for outlet in outlets)
            ),
            "ConnectorSwitch3to1PhaseSupported": _Key(value="false"),
            "ChargeProfileMaxStackLevel": _Key(value=str(config.max_stack_level)),
            "ChargingScheduleAllowedChargingRateUnit": _Key(
                value=_unit_names(config.units)
            ),
            "ChargingScheduleMaxPeriods": _Key(value=str(config.max_periods)),
            "GetConfigurationMaxKeys": _Key(value=str(_MOST_KEYS)),
            "HeartbeatInterval": _Key(value="300", accepts=_is_number),
            "LocalAuthListEnabled": _Key(value="false", accepts=_is_flag),
            "LocalAuthListMaxLength": _Key(value=str(config.local_list_max)),
            "LocalAuthorizeOffline": _Key(value="true"),
            "LocalPreAuthorize": _Key(value="false"),
            "MaxChargingProfilesInstalled": _Key(value=str(config.max_profiles)),
            "MeterValueSampleInterval": _Key(
                value=str(config.sample_interval_s), accepts=_is_number
            ),
            "MeterValuesAlignedData": _Key(value=""),
            "MeterValuesSampledData": _Key(
                value=names,
                accepts=lambda value: (
                    _are_measurands(value) and len(value.split(",")) <= most
                ),
            ),
            "NumberOfConnectors": _Key(value=str(len(outlets))),
            "ResetRetries": _Key(value="0"),
            "SendLocalListMaxLength": _Key(value=str(config.local_list_per_message)),
            "StopTransactionOnEVSideDisconnect": _Key(value="true"),
            "StopTransactionOnInvalidId": _Key(value="true", accepts=_is_flag),
            "StopTxnAlignedData": _Key(value=""),
            "StopTxnSampledData": _Key(value=""),
            "SupportedFeatureProfiles": _Key(
                value="Core,SmartCharging,RemoteTrigger,FirmwareManagement,"
                "LocalAuthListManagement,Reservation"
            ),
            "TransactionMessageAttempts": _Key(value="3", accepts=_is_number),
            "TransactionMessageRetryInterval": _Key(value="10", accepts=_is_number),
            "UnlockConnectorOnEVSideDisconnect": _Key(value="true"),
            "WebSocketPingInterval": _Key(value="30", accepts=_is_number),
        }
        if config.measurands_max is not None:
            self._keys["MeterValuesSampledDataMaxLength"] = _Key(value=str(most))
        if vendor_key:
            self._keys[vendor_key] = _Key(value="32", accepts=_is_number)
        self._names = {name.casefold(): name for name in self._keys}

    def read(self, names: Iterable[str]) -> tuple[list[Json], list[str]]:
        """Return the known keys (all, if none is named) and the names that are not known."""
        wanted = list(names) or list(self._keys)
        known: list[Json] = []
        unknown: list[str] = []
        for name in wanted:
            key = self._find(name)
            if key is None:
                unknown.append(name)
                continue
            entry: Json = {
                "key": self._names[name.casefold()],
                "readonly": key.accepts is None,
            }
            if not key.secret:
                entry["value"] = key.value
            known.append(entry)
        return known, unknown

    def write(self, name: str, value: str) -> str:
        """Write a key; return the status of ChangeConfiguration."""
        key = self._find(name)
        if key is None:
            return "NotSupported"
        if key.accepts is None or not key.accepts(value):
            return "Rejected"
        key.value = value
        return "Accepted"

    def _find(self, name: str) -> _Key | None:
        known = self._names.get(name.casefold())
        return self._keys[known] if known is not None else None

    def number(self, name: str) -> float:
        """Return a key that is a number."""
        return float(self._keys[name].value)

    def flag(self, name: str) -> bool:
        """Return a key that is true or false."""
        return self._keys[name].value.lower() == "true"

    def names(self, name: str) -> tuple[str, ...]:
        """Return a key that is a list."""
        return tuple(
            part.strip() for part in self._keys[name].value.split(",") if part.strip()
        )


def _unit_names(units: Sequence[Unit]) -> str:
    return ",".join("Current" if unit is Unit.AMPERE else "Power" for unit in units)


def _rotation(outlet: Outlet) -> str:
    """Return the phase rotation as OCPP names it: R, S, T stand for L1, L2, L3."""
    lines = outlet.connector.line_phases
    if outlet.connector.supply is Supply.DC or len(lines) < 3:
        return f"{outlet.number}.NotApplicable"
    return f"{outlet.number}." + "".join("RST"[line] for line in lines)
