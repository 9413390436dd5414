"""The OCPP server as a site has it: its door, its end, and the certificate that it shows."""

import asyncio
from datetime import timedelta
from pathlib import Path
import ssl
from typing import Any

from cryptography.hazmat.primitives import serialization
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.reev_ems.charge_points.listener import (
    CERTIFICATE_CHECK,
    RELEASE_GRACE,
)
from custom_components.reev_ems.charge_points.pairing import MOST_OFFERS, PAIRING_OPEN
from custom_components.reev_ems.charge_points.security import (
    PortSecurity,
    SecurityProfile,
)
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.ocpp_server import tls
from tests.config_flow.inputs import open_reconfigure, security_input

from .charger import Charger
from .site import entity_id, set_up, state, until
from .test_services import LEFT


async def pass_time(hass: HomeAssistant, time: timedelta) -> None:
    """Let timers fire that wait no longer than that."""
    async_fire_time_changed(hass, dt_util.utcnow() + time + timedelta(seconds=1))
    await hass.async_block_till_done()


async def test_s12_pairing_closes_by_itself(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A door that somebody forgot to close is no door."""
    pairing = entity_id(hass, entry, "switch", "Depot", "pairing")
    await hass.services.async_call(
        "switch", "turn_on", {"entity_id": pairing}, blocking=True
    )
    assert entry.runtime_data.server.pairing
    await pass_time(hass, PAIRING_OPEN / 2)
    assert entry.runtime_data.server.pairing
    await pass_time(hass, PAIRING_OPEN)
    assert not entry.runtime_data.server.pairing
    await until(lambda: state(hass, entry, "switch", "Depot", "pairing").state == "off")


def offers(hass: HomeAssistant) -> list[str]:
    """Return the ids that are offered for adoption."""
    return [
        flow["context"]["unique_id"].removeprefix("charge_point_")
        for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    ]


async def test_s12_offers_are_bounded(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Whatever knocks, and however often pairing is opened, a person is shown twenty; those who give way are withdrawn."""
    pairing = entity_id(hass, entry, "switch", "Depot", "pairing")
    server = entry.runtime_data.server
    for turn in range(3):
        await hass.services.async_call(
            "switch", "turn_on", {"entity_id": pairing}, blocking=True
        )
        for number in range(12):
            async with Charger(entry.data["ocpp_port"], f"N{turn}-{number}"):
                pass
        await hass.async_block_till_done()
        await hass.services.async_call(
            "switch", "turn_off", {"entity_id": pairing}, blocking=True
        )
    assert len(offers(hass)) == MOST_OFFERS
    assert "N1-7" in offers(hass)
    assert server.on_forgotten is not None
    server.on_forgotten("N1-7")
    assert "N1-7" not in offers(hass)


async def test_server_ends_some_time_after_its_site(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A reload fits into that time; without one the port is free then."""
    port = entry.data["ocpp_port"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    async with Charger(port, "CP-LEFT"):
        pass
    await pass_time(hass, RELEASE_GRACE)
    with pytest.raises(ConnectionRefusedError):
        async with Charger(port, "CP-LEFT"):
            pass
    await set_up(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    async with Charger(port, "CP-LEFT"):
        pass


def working_profiles(charger: Charger) -> list[dict[str, Any]]:
    """Return the working profiles that a charge point was sent."""
    profiles = [
        payload["csChargingProfiles"]
        for action, payload in charger.asked
        if action == "SetChargingProfile"
    ]
    return [
        profile
        for profile in profiles
        if profile["chargingProfilePurpose"] == "TxProfile"
    ]


async def test_s5_permits_are_told_anew_by_a_new_server(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The former one ended: what it had told is good for minutes only, and a pause is kept meanwhile."""
    port = entry.data["ocpp_port"]
    enabled = entity_id(hass, entry, "switch", LEFT, "1_charging_enabled")
    async with Charger(port, "CP-LEFT") as charger:
        await charger.start()
        await charger.status("Charging")
        await hass.services.async_call(
            "switch", "turn_off", {"entity_id": enabled}, blocking=True
        )
        await charger.until(lambda: bool(working_profiles(charger)))
        assert await hass.config_entries.async_unload(entry.entry_id)
        await pass_time(hass, RELEASE_GRACE)
        assert "ClearChargingProfile" not in dict(charger.asked)
        schedule = working_profiles(charger)[-1]["chargingSchedule"]
        limits = [period["limit"] for period in schedule["chargingSchedulePeriod"]]
        assert limits == [0, 6]
    await set_up(hass, entry)
    async with Charger(port, "CP-LEFT") as charger:
        await charger.status("Charging")
        await charger.until(lambda: bool(working_profiles(charger)))


@pytest.fixture
async def authority(tmp_path: Path) -> tls.Authority:
    """Whoever signs the certificates of this computer."""
    return tls.Authority.load_or_create(tmp_path / "issued")


@pytest.fixture
async def encrypted(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    tmp_path: Path,
    authority: tls.Authority,
) -> MockConfigEntry:
    """The site with certificates from files; no charge point needs a password."""
    certificate, key = authority.server_certificate(("127.0.0.1",))
    security = PortSecurity(
        profile=SecurityProfile.TLS, certificate=str(certificate), key=str(key)
    )
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "security": security.data}
    )
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    return entry


async def shown(entry: MockConfigEntry, authority: tls.Authority) -> object:
    """Return the serial number of the certificate that the port shows."""
    trust = ssl.create_default_context(cafile=authority.path)
    _, writer = await asyncio.open_connection(
        "127.0.0.1", entry.data["ocpp_port"], ssl=trust
    )
    certificate = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return certificate["serialNumber"]


async def test_renewed_certificate_is_taken_up(
    hass: HomeAssistant, encrypted: MockConfigEntry, authority: tls.Authority
) -> None:
    """Whoever keeps the files renews them every few weeks; nobody restarts Home Assistant for that."""
    before = await shown(encrypted, authority)
    server = encrypted.runtime_data.server
    Path(encrypted.data["security"]["certificate"]).unlink()
    authority.server_certificate(("127.0.0.1", "localhost"))
    assert await shown(encrypted, authority) == before
    await pass_time(hass, CERTIFICATE_CHECK)
    async with asyncio.timeout(5):
        while await shown(encrypted, authority) == before:
            await asyncio.sleep(0.02)
    assert encrypted.runtime_data.server is server


@pytest.mark.parametrize("wrong", ["gone", "nonsense", "encrypted"])
async def test_certificate_that_went_wrong_is_not_taken_up(
    hass: HomeAssistant,
    encrypted: MockConfigEntry,
    authority: tls.Authority,
    caplog: pytest.LogCaptureFixture,
    wrong: str,
) -> None:
    """The one before goes on; nobody is asked for a password at a terminal that is not there."""
    before = await shown(encrypted, authority)
    key = Path(encrypted.data["security"]["key"])
    if wrong == "gone":
        key.unlink()
    elif wrong == "nonsense":
        key.write_text("nonsense")
    else:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
    await pass_time(hass, CERTIFICATE_CHECK)
    await until(lambda: "certificate of the OCPP server is unusable" in caplog.text)
    assert await shown(encrypted, authority) == before


async def test_open_port_has_no_certificate_to_renew(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """Charge points in the clear are not disturbed."""
    await pass_time(hass, CERTIFICATE_CHECK)
    assert "certificate" not in caplog.text
    async with Charger(entry.data["ocpp_port"], "CP-LEFT"):
        pass


async def test_s12_a_port_that_is_open_at_one_address(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Nobody reaches it at another one; what is no address of this machine is refused."""
    port = entry.data["ocpp_port"]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    form = await open_reconfigure(hass, entry, "ocpp_security")
    for wrong in ("192.0.2.1", "homeassistant.local", "1.2.3"):
        await form.submit(
            {**security_input("none"), "address": wrong},
            "ocpp_security",
            address="address_not_ours",
        )
    await form.submit({**security_input("none"), "address": "127.0.0.2"})
    form.aborted("reconfigure_successful")
    await hass.async_block_till_done()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    form = await open_reconfigure(hass, entry, "ocpp_security")
    assert form.suggested["address"] == "127.0.0.2"
    await form.submit(security_input("none"))
    await hass.async_block_till_done()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
