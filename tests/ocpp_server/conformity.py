"""Which message of which version is spoken, and what tries it; what is known of models: the tables in docs/ocpp.md.

`python -m tests.ocpp_server.conformity` writes them; test_conformity.py checks that they are true.
"""

from collections.abc import Mapping
from pathlib import Path
import re

from custom_components.reev_ems.ocpp_server import quirks, schemas

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ocpp.md"
VERSIONS = ("1.6", "2.0.1")

FROM_CHARGE_POINT: Mapping[str, frozenset[str]] = {
    "1.6": frozenset(
        {
            "Authorize", "BootNotification", "DataTransfer", "DiagnosticsStatusNotification",
            "FirmwareStatusNotification", "Heartbeat", "LogStatusNotification", "MeterValues",
            "SecurityEventNotification", "SignCertificate", "SignedFirmwareStatusNotification",
            "StartTransaction", "StatusNotification", "StopTransaction",
        }
    ),
    "2.0.1": frozenset(
        {
            "Authorize", "BootNotification", "ClearedChargingLimit", "DataTransfer",
            "FirmwareStatusNotification", "Get15118EVCertificate", "GetCertificateStatus", "Heartbeat",
            "LogStatusNotification", "MeterValues", "NotifyChargingLimit", "NotifyCustomerInformation",
            "NotifyDisplayMessages", "NotifyEVChargingNeeds", "NotifyEVChargingSchedule", "NotifyEvent",
            "NotifyMonitoringReport", "NotifyReport", "PublishFirmwareStatusNotification",
            "ReportChargingProfiles", "ReservationStatusUpdate", "SecurityEventNotification",
            "SignCertificate", "StatusNotification", "TransactionEvent",
        }
    ),
}  # fmt: skip
"""Requests of charge points; DataTransfer goes both ways."""

ACTED_ON = frozenset(
    {
        "Authorize", "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification",
        "Heartbeat", "LogStatusNotification", "MeterValues", "NotifyReport", "SecurityEventNotification",
        "SignCertificate", "SignedFirmwareStatusNotification", "StartTransaction", "StatusNotification", "StopTransaction",
        "TransactionEvent",
    }
)  # fmt: skip
"""What is taken in; all others are answered as the schema asks for, and mean nothing here."""

METHODS: Mapping[str, str] = {
    "CancelReservation": "cancel_reservation",
    "CertificateSigned": "renew_certificate",
    "ChangeAvailability": "set_availability",
    "ChangeConfiguration": "change_configuration",
    "ClearCache": "clear_cache",
    "ClearChargingProfile": "fall_back",
    "DataTransfer": "data_transfer",
    "DeleteCertificate": "delete_certificate",
    "ExtendedTriggerMessage": "trigger",
    "GetCompositeSchedule": "self_test, and after each change",
    "GetConfiguration": "get_configuration",
    "GetDiagnostics": "get_diagnostics",
    "GetInstalledCertificateIds": "installed_certificates",
    "GetLocalListVersion": "local_list_version",
    "GetLog": "get_log",
    "GetReport": "set-up, before measurands are set",
    "GetVariables": "get_configuration",
    "InstallCertificate": "install_certificate",
    "RemoteStartTransaction": "remote_start",
    "RemoteStopTransaction": "remote_stop",
    "RequestStartTransaction": "remote_start",
    "RequestStopTransaction": "remote_stop",
    "ReserveNow": "reserve",
    "Reset": "reset",
    "SendLocalList": "send_local_list",
    "SetChargingProfile": "permit",
    "SetVariables": "change_configuration",
    "SignedUpdateFirmware": "update_firmware",
    "TriggerMessage": "trigger",
    "UnlockConnector": "unlock",
    "UpdateFirmware": "update_firmware",
}
"""By which method of ChargePoint a request goes out; every other one can be sent by `raw_call`."""

ASKED_OF_OCPP_RPC: Mapping[str, frozenset[str]] = {
    "1.6": frozenset({"ChangeConfiguration", "GetConfiguration", "SetChargingProfile"}),
    "2.0.1": frozenset({"GetVariables", "SetChargingProfile"}),
}
"""Requests that its charge point gets in test_foreign.py."""

_SIMULATED = {
    "1.6": ("ocpp16", "serviced", "maintenance"),
    "2.0.1": ("ocpp201", "transactions201", "charging201", "serviced", "maintenance"),
}


def _simulated(version: str) -> str:
    return "".join(
        (ROOT / "simulator" / f"{name}.py").read_text() for name in _SIMULATED[version]
    )


def _called_by_ocpp_rpc(version: str) -> set[str]:
    """Return what the charge point in foreign/ sends."""
    program = (Path(__file__).parent / "foreign" / "charge_point.js").read_text()
    before, _, after = program.partition("function chargingIn201")
    part = before if version == "1.6" else after
    return set(re.findall(r"client\.call\('(\w+)'", part)) | {"Heartbeat"}


def trials(version: str, action: str) -> list[str]:
    """Return what tries a message besides the raw client of tests/ocpp_server."""
    found = ["wire"]
    if f'"{action}"' in _simulated(version):
        found.append("simulator")
    if action in _called_by_ocpp_rpc(version) | ASKED_OF_OCPP_RPC[version]:
        found.append("ocpp-rpc")
    if action in {"BootNotification", "Heartbeat"}:
        found.append("test-ocpp")
    return found


def to_charge_point(version: str) -> set[str]:
    """Return the requests that we may make."""
    all_of_them = set(schemas.load(version).requests)
    return (all_of_them - FROM_CHARGE_POINT[version]) | {"DataTransfer"}


def messages() -> str:
    """Return the table, as Markdown."""
    lines = ["| from the charge point | | 1.6 | 2.0.1 |", "|---|---|---|---|"]
    for action in sorted(set().union(*FROM_CHARGE_POINT.values())):
        means = "acted on" if action in ACTED_ON else "answered"
        cells = (
            ", ".join(trials(version, action))
            if action in FROM_CHARGE_POINT[version]
            else ""
            for version in VERSIONS
        )
        lines.append(f"| {action} | {means} | {' | '.join(cells)} |")
    lines += ["", "| from us | by | 1.6 | 2.0.1 |", "|---|---|---|---|"]
    requests = {version: to_charge_point(version) for version in VERSIONS}
    for action in sorted(set().union(*requests.values()) & set(METHODS)):
        cells = (
            ", ".join(trials(version, action)) if action in requests[version] else ""
            for version in VERSIONS
        )
        lines.append(f"| {action} | `{METHODS[action]}` | {' | '.join(cells)} |")
    raw = sorted(set().union(*requests.values()) - set(METHODS))
    lines += ["", f"By `raw_call` only: {', '.join(raw)}.", ""]
    return "\n".join(lines)


def models() -> str:
    """Return the table of known models, as Markdown."""
    lines = ["| model | what is known | source |", "|---|---|---|"]
    for entry in quirks.load():
        known = [
            f"`{name}: {value}`"
            for key, values in entry.values.items()
            for name, value in (
                values.items() if isinstance(values, dict) else ((key, values),)
            )
        ]
        cells = (entry.name, "; ".join(known) or "nothing to do here", entry.source)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, ""])


TABLES = {"messages": messages, "models": models}


def begin(name: str) -> str:
    """Return the line before a table."""
    return f"<!-- Table of {name}, written by python -m tests.ocpp_server.conformity. -->\n"


def end(name: str) -> str:
    """Return the line after a table."""
    return f"<!-- End of the table of {name}. -->\n"


if __name__ == "__main__":
    page = PAGE.read_text()
    for table, write in TABLES.items():
        before, _, rest = page.partition(begin(table))
        _, _, after = rest.partition(end(table))
        page = f"{before}{begin(table)}{write()}{end(table)}{after}"
    PAGE.write_text(page)
