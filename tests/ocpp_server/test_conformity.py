"""The table of messages in docs/ocpp.md is complete and true."""

from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    CallError,
    CertificateHash,
    CertificateUse,
    FirmwareSignature,
    FloorAccepted,
    LogKind,
    OcppServer,
    Permit,
    PermitAccepted,
    composite,
    schemas,
)

from . import conformity

IDS = {
    "connectorId": 1,
    "evseId": 1,
    "transactionId": 1,
    "idTag": "T",
    "transactionInfo": {"transactionId": "t"},
    "evse": {"id": 1},
}


def test_every_message_has_a_place() -> None:
    """No message of the standard is forgotten, and none is in the table that does not exist."""
    for version in conformity.VERSIONS:
        requests = set(schemas.load(version).requests)
        assert conformity.FROM_CHARGE_POINT[version] <= requests
    every = set().union(
        *(schemas.load(version).requests for version in conformity.VERSIONS)
    )
    assert set(conformity.METHODS) | conformity.ACTED_ON <= every


@pytest.mark.parametrize("name", conformity.TABLES)
def test_the_page_has_the_tables(name: str) -> None:
    """`python -m tests.ocpp_server.conformity` was run."""
    _, _, rest = conformity.PAGE.read_text().partition(conformity.begin(name))
    written, end, _ = rest.partition(conformity.end(name))
    assert end
    assert written == conformity.TABLES[name]()


@pytest.mark.parametrize("version", conformity.VERSIONS)
async def test_every_request_is_answered_as_the_schema_asks(
    adopt: Any, dial: Any, version: str
) -> None:
    """What charge points may ask has a valid answer; what they may not ask is an error."""
    adopt()
    client = await dial(protocols=(f"ocpp{version}",))
    for action in sorted(conformity.FROM_CHARGE_POINT[version]):
        answer = await client.ask(action, **IDS)
        violation = schemas.load(version).response_violation(action, answer)
        assert violation is None, (action, answer, violation.message)
    for action in conformity.to_charge_point(version) - {"DataTransfer"}:
        assert (await client.call(action, {}))[2] == "NotImplemented", action


@pytest.mark.parametrize("version", conformity.VERSIONS)
async def test_every_method_sends_what_the_table_says(
    adopt: Any,
    dial: Any,
    version: str,
    server: OcppServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that the table names goes out, and obeys the schema."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.0)
    monkeypatch.setattr(
        "custom_components.reev_ems.ocpp_server.charge_point._CERTIFICATE_WAIT_S", 0.0
    )
    server.sign_request = lambda request, charge_point_id: "PEM"
    point, recorder = adopt()
    client = await dial(protocols=(f"ocpp{version}",))
    client.handlers |= {
        "GetReport": lambda _: {"status": "NotSupported"},
        "GetVariables": lambda _: {
            "getVariableResult": [
                {
                    "attributeStatus": "Accepted",
                    "attributeValue": "Voltage",
                    "component": {"name": "SampledDataCtrlr"},
                    "variable": {"name": "TxUpdatedMeasurands"},
                }
            ]
        },
        "SetVariables": lambda payload: {
            "setVariableResult": [
                {"attributeStatus": "Accepted"} | data
                for data in payload["setVariableData"]
            ]
        },
        "GetLocalListVersion": lambda _: {"listVersion": 1, "versionNumber": 1},
    }
    if version == "1.6":
        await client.boot()
        await recorder.wait(FloorAccepted)
        await client.start()
    else:
        station = {"vendorName": "V", "model": "M"}
        await client.ask("BootNotification", reason="PowerUp", chargingStation=station)
        await recorder.wait(FloorAccepted)
        at = datetime.now(UTC).isoformat()
        await client.ask("TransactionEvent", eventType="Started", timestamp=at, **IDS)
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    await client.until(lambda: client.sent("GetCompositeSchedule"))
    now, url = datetime.now(UTC), "https://example.com/x"
    await point.remote_start(1, "TAG")
    await point.remote_stop(1)
    await point.reset()
    await point.unlock(1)
    await point.set_availability(1, operative=True)
    await point.trigger("Heartbeat")
    await point.trigger("LogStatusNotification")
    await point.get_configuration(["A.B"])
    await point.change_configuration("A.B", "1")
    await point.data_transfer("v", "m", "x")
    await point.clear_cache()
    await point.reserve(1, "TAG", now, 5)
    await point.cancel_reservation(5)
    await point.update_firmware(url, now)
    signature = FirmwareSignature(certificate="PEM", signature="c2ln")
    await point.update_firmware(url, now, signature)
    await point.get_diagnostics(url)
    await point.get_log(LogKind.SECURITY, url)
    await point.send_local_list({"A": True}, 2)
    await point.local_list_version()
    use = CertificateUse.CENTRAL_SYSTEM
    await point.install_certificate(use, "PEM")
    await point.installed_certificates(use)
    await point.delete_certificate(
        CertificateHash(
            algorithm="SHA256",
            issuer_name_hash="a",
            issuer_key_hash="b",
            serial_number="1",
        )
    )
    await client.ask("SignCertificate", csr="PEM")
    await client.until(lambda: client.sent("CertificateSigned"))
    await point.leaving.fall_back(5)
    with pytest.raises(CallError, match="unknown_connector"):
        await point.remote_start(9, "TAG")
    for action, payload in client.requests:
        violation = schemas.load(version).request_violation(action, payload)
        assert violation is None, (action, payload, violation.message)
    named = set(conformity.METHODS) & conformity.to_charge_point(version)
    assert {action for action, _ in client.requests} == named
