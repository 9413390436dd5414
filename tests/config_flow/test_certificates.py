"""Certificates that charge points show at the encrypted port of a site that runs, and how they lapse."""

import asyncio
import io
from pathlib import Path
import re
import ssl
from typing import Any
from zipfile import ZipFile

from cryptography.hazmat.primitives.asymmetric import ec
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.reev_ems.charge_points.certificates import MAX_CERTIFICATES
from custom_components.reev_ems.ocpp_server import tls
from tests.ocpp_server.encrypted import Dialer, csr, pem

from .inputs import (
    PASSWORD,
    add_charge_point,
    charge_point_input,
    connector_input,
    open_reconfigure,
    open_subentry,
    security_input,
    subentry_id,
)


class Port(Dialer):
    """The encrypted port of a site that runs, and the certificates that were made for its charge points."""

    def __init__(self, hass: HomeAssistant, site: MockConfigEntry, client: Any) -> None:
        """Take a client that is not logged in."""
        folder = Path(hass.config.path("reev_ems", "certificates"))
        super().__init__(tls.Authority.load_or_create(folder))
        self.hass = hass
        self.site = site
        self.client = client

    async def secure(self, profile: str) -> None:
        """Choose the port's profile, with a certificate made here."""
        form = await open_reconfigure(self.hass, self.site, "ocpp_security")
        await form.submit(security_input(profile), "generated_certificate")
        await form.submit({"names": ["127.0.0.1"]}, "authority")
        if profile == "mutual_tls":
            await form.submit({}, "without_certificate")
        await form.submit({})
        form.aborted("reconfigure_successful")
        await self.hass.async_block_till_done()

    async def make(self) -> ssl.SSLContext:
        """Make a certificate for the charge point and fetch it; return what shows it."""
        left = subentry_id(self.site, "Left")
        form = await open_subentry(self.hass, self.site, "charge_point", left)
        await form.choose("certificate")
        (path,) = re.findall(r'href="([^"]+)"', form.placeholders["certificate"])
        answer = await self.client.get(path.replace("&amp;", "&"))
        archive = ZipFile(io.BytesIO(await answer.read()))
        await form.submit({})
        return self.showing(archive.read("certificate.pem"), archive.read("key.pem"))

    async def status(
        self,
        context: ssl.SSLContext,
        charge_point_id: str = "CP1",
        password: str = "",
    ) -> int:
        """Connect once; return the status of the handshake."""
        await self.hass.async_block_till_done()
        port = self.site.data["ocpp_port"]
        status = await self.handshake(port, context, charge_point_id, password)
        await self.hass.async_block_till_done()
        return status

    @property
    def good(self) -> list[str]:
        """What is kept of the charge point's certificates."""
        left = self.site.subentries[subentry_id(self.site, "Left")]
        found: list[str] = left.data["certificates"]
        return found


@pytest.fixture
async def port(
    hass: HomeAssistant,
    site: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Port:
    """The running site, still in the clear."""
    # In debug mode asyncio takes each handshake that fails for an error of the program.
    asyncio.get_running_loop().set_debug(False)
    return Port(hass, site, await hass_client_no_auth())


async def test_s12_certificate_lapses(hass: HomeAssistant, port: Port) -> None:
    """A newer one in use ends the older ones, and removing the charge point ends all of them."""
    await port.secure("mutual_tls")
    first = await port.make()
    assert await port.status(first) == 101
    second = await port.make()
    assert len(port.good) == 2
    since = port.site.runtime_data
    assert [await port.status(each) for each in (first, second)] == [101, 101]
    assert len(port.good) == 1
    assert port.site.runtime_data is since, "a certificate must not reload the site"
    assert await port.status(first) == 403
    assert await port.status(second) == 101

    left = subentry_id(port.site, "Left")
    hass.config_entries.async_remove_subentry(port.site, left)
    await hass.async_block_till_done()
    assert await port.status(second) == 404
    await add_charge_point(hass, port.site)
    await hass.async_block_till_done()
    assert [await port.status(each) for each in (first, second)] == [403, 403]
    assert await port.status(await port.make()) == 101


async def test_s12_certificate_that_a_charge_point_asked_for(
    hass: HomeAssistant, port: Port
) -> None:
    """It is good as soon as it was signed, however often it asks; the one in use stays good until a newer one is."""
    form = await open_subentry(hass, port.site, "charge_point")
    other = charge_point_input(charge_point_id="CP2", name="Right")
    await form.submit(other, "connector")
    await form.submit(connector_input())
    await hass.async_block_till_done()
    await port.secure("mutual_tls")
    in_use = await port.make()
    assert await port.status(in_use) == 101
    sign = port.site.runtime_data.server.sign_request
    assert sign is not None
    asked = []
    for _ in range(2 * MAX_CERTIFICATES):
        key = ec.generate_private_key(ec.SECP256R1())
        chain = sign(csr(key), "CP1")
        await hass.async_block_till_done()
        asked.append(port.showing(chain.encode(), pem(key)))
    assert len(port.good) == MAX_CERTIFICATES
    right = port.site.subentries[subentry_id(port.site, "Right")]
    assert not set(right.data.get("certificates", ())) & set(port.good)
    assert await port.status(asked[0]) == 403
    assert await port.status(in_use) == 101
    assert await port.status(asked[-1]) == 101
    assert len(port.good) == 1
    assert await port.status(in_use) == 403


async def test_certificate_from_before_they_were_kept(
    hass: HomeAssistant, port: Port
) -> None:
    """A charge point of an older installation keeps its certificate, and from its next connection on only that one."""
    await port.secure("mutual_tls")
    old, other = await port.make(), await port.make()
    left = port.site.subentries[subentry_id(port.site, "Left")]
    data = {key: value for key, value in left.data.items() if key != "certificates"}
    hass.config_entries.async_update_subentry(port.site, left, data=data)
    assert await port.status(old) == 101
    assert len(port.good) == 1
    assert await port.status(other) == 403
    assert await port.status(old) == 101


async def test_s12_certificate_of_one_and_password_of_another(
    hass: HomeAssistant, port: Port
) -> None:
    """On one encrypted port; who shows a certificate needs no password, and none of them is locked out unseen."""
    left = subentry_id(port.site, "Left")
    login = await open_subentry(hass, port.site, "charge_point", left)
    await login.choose("login")
    certified = {"security": {"login": "certificate"}}
    await login.submit(certified, "login", security="certificate_in_the_clear")
    await login.submit({"security": {"password": PASSWORD}}, "credentials")
    await login.submit({})
    await port.secure("tls")
    assert await port.status(port.without(), password=PASSWORD) == 101

    context = await port.make()
    login = await open_subentry(hass, port.site, "charge_point", left)
    await login.choose("login")
    await login.submit(certified)
    login.aborted("reconfigure_successful")
    data = port.site.subentries[left].data
    assert (data["demands_certificate"], "password" in data) == (True, False)
    form = await open_subentry(hass, port.site, "charge_point")
    security = {"password": PASSWORD}
    await form.submit(
        charge_point_input(charge_point_id="CP2", name="Right", security=security),
        "connector",
    )
    await form.submit(connector_input(), "credentials")
    await form.submit({})
    assert await port.status(context) == 101
    assert await port.status(port.without()) == 403
    assert await port.status(port.without(), password=PASSWORD) == 403
    assert await port.status(port.without(), "CP2", PASSWORD) == 101
    assert await port.status(context, "CP2") == 401

    # Without encryption its certificate could not be shown.
    form = await open_reconfigure(hass, port.site, "ocpp_security")
    await form.submit(
        security_input("basic"), "ocpp_security", security_profile="passwords_missing"
    )
    assert form.placeholders["without_password"] == "Left"
    await form.submit(security_input("tls"), "generated_certificate")
    login = await open_subentry(hass, port.site, "charge_point", left)
    await login.choose("login")
    await login.submit({"security": {"login": "generate"}}, "credentials")
    await login.submit({})
    assert "demands_certificate" not in port.site.subentries[left].data
    assert await port.status(context) == 401
