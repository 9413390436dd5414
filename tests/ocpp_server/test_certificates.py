"""Certificates over OCPP: a charge point gets its own from the site's authority, and signs in with it (profile 3)."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
import pytest

from custom_components.reev_ems.ocpp_server import (
    CallError,
    CertificateHash,
    CertificateIssued,
    CertificateUse,
    FirmwareSignature,
    FirmwareStatusChanged,
    LogKind,
    OcppServer,
    SecurityEventReported,
    UploadStatusChanged,
    schemas,
    tls,
)
from custom_components.reev_ems.ocpp_server.charge_point import ChargePoint

from .conftest import Recorder
from .encrypted import Dialer, csr, pem
from .wire import Payload, WireChargePoint, iso

VERSIONS = ("1.6", "2.0.1")


@pytest.fixture(params=VERSIONS)
async def speaking(
    request: pytest.FixtureRequest, adopt: Any, dial: Any, server: OcppServer
) -> tuple[str, ChargePoint, Recorder, WireChargePoint]:
    """Return a charge point of each version that is connected."""
    version: str = request.param
    point, recorder = adopt()
    client = await dial(protocols=(f"ocpp{version}",))
    if version != "1.6":
        client.handlers = {"GetVariables": lambda _: {"getVariableResult": []}}
    await client.ask("Heartbeat")
    return version, point, recorder, client


async def test_s12_a_charge_point_is_given_its_own_certificate(
    speaking: Any, server: OcppServer, tmp_path: Path
) -> None:
    """It asks in the clear or encrypted, and from then on its certificate opens its own connection and no other."""
    _, _, recorder, client = speaking
    authority = tls.Authority.load_or_create(tmp_path / "tls")
    key = ec.generate_private_key(ec.SECP256R1())
    assert (await client.ask("SignCertificate", csr=csr(key)))["status"] == "Rejected"
    server.sign_request = authority.sign_request
    assert (await client.ask("SignCertificate", csr=csr(key)))["status"] == "Accepted"
    issued = await recorder.wait(CertificateIssued)
    assert issued.accepted
    chain = client.sent("CertificateSigned")[0]["certificateChain"]
    assert len(chain) <= 10_000

    files = authority.server_certificate(("127.0.0.1",))
    await server.listen_anew("127.0.0.1", tls.context(*files, authority.path))
    dialer = Dialer(authority)
    context = dialer.showing(chain.encode(), pem(key))
    assert await dialer.handshake(server.port, context) == 101
    server.adopt(type(recorder.point.config)(id="CP2"))
    assert await dialer.handshake(server.port, context, "CP2") == 403


def _forged() -> str:
    """Return a request that is signed by another key."""
    text = csr(ec.generate_private_key(ec.SECP256R1()))
    der = bytearray(
        x509.load_pem_x509_csr(text.encode()).public_bytes(serialization.Encoding.DER)
    )
    der[-1] ^= 1
    broken = x509.load_der_x509_csr(bytes(der))
    return broken.public_bytes(serialization.Encoding.PEM).decode()


BAD_REQUESTS: dict[str, Callable[[], object]] = {
    "no text": lambda: 5,
    "nothing": lambda: "",
    "no request": lambda: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n",
    "too long": lambda: csr(ec.generate_private_key(ec.SECP256R1())) + " " * 6000,
    "weak key": lambda: csr(
        rsa.generate_private_key(public_exponent=65537, key_size=1024)
    ),
    "forged": _forged,
}


@pytest.mark.parametrize("kind", BAD_REQUESTS)
async def test_s12_bad_certificate_requests_are_rejected(
    adopt: Any, dial: Any, server: OcppServer, tmp_path: Path, kind: str
) -> None:
    """What is no request, weak or not signed by its own key gets no certificate, and costs nothing."""
    server.sign_request = tls.Authority.load_or_create(tmp_path).sign_request
    adopt()
    client = await dial()
    answer = await client.call("SignCertificate", {"csr": BAD_REQUESTS[kind]()})
    assert answer[2] == {"status": "Rejected"}
    assert not client.sent("CertificateSigned")


async def test_certificates_for_paying_are_not_ours(
    adopt: Any, dial: Any, server: OcppServer, tmp_path: Path
) -> None:
    """A V2G certificate comes from another authority."""
    server.sign_request = tls.Authority.load_or_create(tmp_path).sign_request
    adopt()
    client = await dial(protocols=("ocpp2.0.1",))
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    answer = await client.ask(
        "SignCertificate", csr=request, certificateType="V2GCertificate"
    )
    assert answer == {"status": "Rejected"}


async def test_store_of_certificates(speaking: Any) -> None:
    """Install, list and remove, in the words of each version."""
    version, point, _, client = speaking
    entry = {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": "aa",
        "issuerKeyHash": "bb",
        "serialNumber": "1f",
    }
    listed: Payload = (
        {"certificateHashData": [entry]}
        if version == "1.6"
        else {
            "certificateHashDataChain": [
                {
                    "certificateType": "CSMSRootCertificate",
                    "certificateHashData": entry,
                }
            ]
        }
    )
    client.handlers["GetInstalledCertificateIds"] = lambda _: {
        "status": "Accepted",
        **listed,
    }
    await point.install_certificate(CertificateUse.CENTRAL_SYSTEM, "PEM")
    found = await point.installed_certificates(CertificateUse.CENTRAL_SYSTEM)
    assert found == (
        CertificateHash(
            algorithm="SHA256",
            issuer_name_hash="aa",
            issuer_key_hash="bb",
            serial_number="1f",
        ),
    )
    await point.delete_certificate(found[0])
    assert client.sent("DeleteCertificate")[0]["certificateHashData"] == entry
    client.handlers["GetInstalledCertificateIds"] = lambda _: {"status": "NotFound"}
    assert await point.installed_certificates(CertificateUse.MANUFACTURER) == ()
    client.handlers["DeleteCertificate"] = lambda _: {"status": "NotFound"}
    with pytest.raises(CallError, match="rejected"):
        await point.delete_certificate(found[0])
    await point.renew_certificate()
    await point.get_log(LogKind.SECURITY, "https://example.com/log")
    await point.update_firmware(
        "https://example.com/fw",
        datetime.now(UTC),
        FirmwareSignature(certificate="PEM", signature="c2ln"),
    )
    version_field = "listVersion" if version == "1.6" else "versionNumber"
    client.handlers["GetLocalListVersion"] = lambda _: {version_field: 7}
    assert await point.local_list_version() == 7
    await point.trigger("LogStatusNotification")
    for name, payload in client.requests:
        violation = schemas.load(version).request_violation(name, payload)
        assert violation is None, (name, payload, violation.message)
    asked = {name for name, _ in client.requests}
    assert ("ExtendedTriggerMessage" in asked) == (version == "1.6")
    assert ("SignedUpdateFirmware" in asked) == (version == "1.6")


async def test_progress_and_security_events_are_told(speaking: Any) -> None:
    """Firmware, uploads and security events reach the subscribers; without a status nothing is told."""
    version, point, recorder, client = speaking
    signed = "Signed" if version == "1.6" else ""
    await client.ask(
        f"{signed}FirmwareStatusNotification", status="Installing", requestId=3
    )
    await client.ask("LogStatusNotification", status="Uploaded", requestId=4)
    at = datetime.now(UTC)
    await client.ask(
        "SecurityEventNotification",
        type="TamperDetectionActivated",
        timestamp=iso(at),
        techInfo="door",
    )
    assert recorder.of(FirmwareStatusChanged) == [
        FirmwareStatusChanged(charge_point_id="CP1", status="Installing", request_id=3)
    ]
    assert point.firmware_status == "Installing"
    assert recorder.of(UploadStatusChanged)[0].status == "Uploaded"
    assert point.upload_status == "Uploaded"
    event = recorder.of(SecurityEventReported)[0]
    assert (event.kind, event.detail) == ("TamperDetectionActivated", "door")
    assert abs((event.at - at).total_seconds()) < 1
    for action in (
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "SecurityEventNotification",
    ):
        assert (await client.call(action, {}))[0] == 3
    assert len(recorder.of(FirmwareStatusChanged)) == 1
