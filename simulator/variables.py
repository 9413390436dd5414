"""The device model of an OCPP 2.0.1 charging station: components and their variables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .link import Json
from .measurands import MEASURANDS
from .outlets import ChargePointConfig, Outlet

_LONGEST_VALUE = 1000
"""SetVariableData.attributeValue of the schema."""

type Key = tuple[str, str, str | None]
"""Component, variable, instance of the variable."""


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _is_flag(value: str) -> bool:
    return value in ("true", "false")


def _are_measurands(value: str) -> bool:
    return all(name in MEASURANDS for name in value.split(",") if name)


@dataclass(slots=True, kw_only=True)
class _Variable:
    value: str
    kind: str = "string"
    accepts: Callable[[str], bool] | None = None
    """None: read only."""
    secret: bool = False
    longest: int | None = None
    """maxLimit of a list, in characters; None: none is told."""


class Variables:
    """Reads, writes and reports variables; names are not case sensitive."""

    def __init__(
        self,
        config: ChargePointConfig,
        outlets: Sequence[Outlet],
        *,
        vendor_key: str = "",
    ) -> None:
        """Start as delivered; a vendor's variable is named `Component.Variable`."""
        rate_units = ",".join(unit.value for unit in config.units)
        interval_s = str(config.sample_interval_s)
        measurands = ",".join(config.measurands)
        self._variables: dict[Key, _Variable] = {
            ("AuthCtrlr", "AuthorizeRemoteStart", None): _Variable(
                value="false", kind="boolean", accepts=_is_flag
            ),
            ("AuthCtrlr", "LocalAuthorizeOffline", None): _Variable(
                value="false", kind="boolean", accepts=_is_flag
            ),
            ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", None): _Variable(
                value="true", kind="boolean", accepts=_is_flag
            ),
            ("ChargingStation", "Model", None): _Variable(value=config.model),
            ("ChargingStation", "SupplyPhases", None): _Variable(
                value=str(max(outlet.wiring.phases for outlet in outlets)),
                kind="integer",
            ),
            ("LocalAuthListCtrlr", "BytesPerMessage", None): _Variable(
                value="16000", kind="integer"
            ),
            ("LocalAuthListCtrlr", "Enabled", None): _Variable(
                value="false", kind="boolean", accepts=_is_flag
            ),
            ("LocalAuthListCtrlr", "ItemsPerMessage", None): _Variable(
                value=str(config.local_list_per_message), kind="integer"
            ),
            ("OCPPCommCtrlr", "HeartbeatInterval", None): _Variable(
                value="300", kind="integer", accepts=_is_number
            ),
            ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"): _Variable(
                value="3", kind="integer", accepts=_is_number
            ),
            ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"): _Variable(
                value="10", kind="integer", accepts=_is_number
            ),
            ("OCPPCommCtrlr", "OfflineThreshold", None): _Variable(
                value="60", kind="integer", accepts=_is_number
            ),
            ("OCPPCommCtrlr", "WebSocketPingInterval", None): _Variable(
                value="30", kind="integer", accepts=_is_number
            ),
            ("SampledDataCtrlr", "TxEndedMeasurands", None): _Variable(
                value="Energy.Active.Import.Register",
                kind="MemberList",
                accepts=_are_measurands,
            ),
            ("SampledDataCtrlr", "TxStartedMeasurands", None): _Variable(
                value="Energy.Active.Import.Register",
                kind="MemberList",
                accepts=_are_measurands,
            ),
            ("SampledDataCtrlr", "TxUpdatedInterval", None): _Variable(
                value=interval_s, kind="integer", accepts=_is_number
            ),
            ("SampledDataCtrlr", "TxUpdatedMeasurands", None): _Variable(
                value=measurands,
                kind="MemberList",
                accepts=_are_measurands,
                longest=config.measurands_max,
            ),
            ("SecurityCtrlr", "BasicAuthPassword", None): _Variable(
                value="", accepts=lambda value: 16 <= len(value) <= 40, secret=True
            ),
            ("SmartChargingCtrlr", "Available", None): _Variable(
                value="true", kind="boolean"
            ),
            ("SmartChargingCtrlr", "Enabled", None): _Variable(
                value="true", kind="boolean"
            ),
            ("SmartChargingCtrlr", "Entries", "ChargingProfiles"): _Variable(
                value=str(config.max_profiles), kind="integer"
            ),
            ("SmartChargingCtrlr", "PeriodsPerSchedule", None): _Variable(
                value=str(config.max_periods), kind="integer"
            ),
            ("SmartChargingCtrlr", "ProfileStackLevel", None): _Variable(
                value=str(config.max_stack_level), kind="integer"
            ),
            ("SmartChargingCtrlr", "RateUnit", None): _Variable(
                value=rate_units, kind="MemberList"
            ),
            ("TxCtrlr", "EVConnectionTimeOut", None): _Variable(
                value="60", kind="integer"
            ),
            ("TxCtrlr", "StopTxOnEVSideDisconnect", None): _Variable(
                value="true", kind="boolean"
            ),
            ("TxCtrlr", "StopTxOnInvalidId", None): _Variable(
                value="true", kind="boolean", accepts=_is_flag
            ),
            ("TxCtrlr", "TxStartPoint", None): _Variable(
                value="Authorized,EVConnected", kind="OptionList"
            ),
            ("TxCtrlr", "TxStopPoint", None): _Variable(
                value="Authorized,EVConnected", kind="OptionList"
            ),
        }
        if vendor_key:
            component, _, name = vendor_key.partition(".")
            self._variables[component, name, None] = _Variable(
                value="32", kind="integer", accepts=_is_number
            )
        self._names = {_folded(key): key for key in self._variables}
        self._components = {component.casefold() for component, _, _ in self._variables}

    def number(self, component: str, name: str, instance: str | None = None) -> float:
        """Return a variable that is a number."""
        return float(self._variables[component, name, instance].value)

    def flag(self, component: str, name: str) -> bool:
        """Return a variable that is true or false."""
        return self._variables[component, name, None].value == "true"

    def names(self, component: str, name: str) -> tuple[str, ...]:
        """Return a variable that is a list."""
        return tuple(
            part
            for part in self._variables[component, name, None].value.split(",")
            if part
        )

    def get(self, asked: Json) -> Json:
        """Answer one entry of GetVariables."""
        answer = _echo(asked)
        variable, status = self._find(asked)
        if variable is not None and variable.secret:
            status = "Rejected"
        answer["attributeStatus"] = status
        if variable is not None and status == "Accepted":
            answer["attributeValue"] = variable.value
        return answer

    def set(self, asked: Json) -> Json:
        """Answer one entry of SetVariables."""
        answer = _echo(asked)
        variable, status = self._find(asked)
        if variable is not None:
            value = asked["attributeValue"]
            if (
                variable.accepts is None
                or not variable.accepts(value)
                or len(value) > (variable.longest or _LONGEST_VALUE)
            ):
                status = "Rejected"
            else:
                variable.value = value
        answer["attributeStatus"] = status
        return answer

    def _find(self, asked: Json) -> tuple[_Variable | None, str]:
        if asked.get("attributeType", "Actual") != "Actual":
            return None, "NotSupportedAttributeType"
        component, variable = asked["component"], asked["variable"]
        if component["name"].casefold() not in self._components or "evse" in component:
            return None, "UnknownComponent"
        key = self._names.get(
            _folded((component["name"], variable["name"], variable.get("instance")))
        )
        return (
            (None, "UnknownVariable")
            if key is None
            else (self._variables[key], "Accepted")
        )

    def report(self) -> list[Json]:
        """Return all variables as the entries of NotifyReport."""
        entries: list[Json] = []
        for (component, name, instance), variable in self._variables.items():
            attribute: Json = {"type": "Actual", "mutability": "ReadOnly"}
            if variable.accepts is not None:
                attribute["mutability"] = (
                    "WriteOnly" if variable.secret else "ReadWrite"
                )
            if not variable.secret:
                attribute["value"] = variable.value
            entries.append(
                {
                    "component": {"name": component},
                    "variable": {"name": name}
                    | ({"instance": instance} if instance else {}),
                    "variableAttribute": [attribute],
                    "variableCharacteristics": {
                        "dataType": variable.kind,
                        "supportsMonitoring": False,
                    }
                    | ({"maxLimit": variable.longest} if variable.longest else {}),
                }
            )
        return entries


def _folded(key: Key) -> Key:
    component, name, instance = key
    return (
        component.casefold(),
        name.casefold(),
        instance.casefold() if instance else None,
    )


def _echo(asked: Json) -> Json:
    """Return the part of a question that its answer repeats."""
    return {
        name: asked[name]
        for name in ("attributeType", "component", "variable")
        if name in asked
    }
