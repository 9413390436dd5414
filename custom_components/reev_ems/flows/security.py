"""The forms of an OCPP port's security: the profile, and the certificates that encryption needs."""

from dataclasses import replace
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentry,
)
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
import probatio
from yarl import URL

from ..charge_points.downloads import authority_link
from ..charge_points.security import (
    PortSecurity,
    SecurityProfile,
    async_authority,
    async_ssl_context,
    certificates_folder,
    file_errors,
    security_of_port,
    sites_of_port,
)
from ..const import (
    CONF_CERTIFICATES,
    CONF_DEMANDS_CERTIFICATE,
    CONF_OCPP_PORT,
    CONF_PASSWORD,
    CONF_PASSWORD_ON_TRIAL,
    CONF_SECURITY,
    SUBENTRY_CHARGE_POINT,
)
from .fields import choice
from .validation import is_host

CONF_PROFILE = "security_profile"
CONF_SOURCE = "certificate_source"
CONF_NAMES = "names"
CONF_CERTIFICATE = "certificate"
CONF_KEY = "key"
CONF_CLIENT_CA = "client_ca"

SOURCE_GENERATED = "generated"
SOURCE_FILES = "files"

# By which Home Assistant is found in most homes.
DEFAULT_HOST = "homeassistant.local"


def ocpp_host(hass: HomeAssistant) -> str:
    """Return the host that charge points reach this Home Assistant by, as well as it is known."""
    try:
        host = URL(get_url(hass, allow_external=False, allow_cloud=False)).host
    except NoURLAvailableError:
        host = None
    return host or DEFAULT_HOST


def ocpp_url(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str:
    """Return the address to enter in a charge point, without its id at the end."""
    security = PortSecurity.of(entry.data)
    # Only the names in the certificate are believed.
    host = security.names[0] if security.names else ocpp_host(hass)
    if ":" in host:
        host = f"[{host}]"
    return f"{security.scheme}://{host}:{entry.data[CONF_OCPP_PORT]}/"


def _is_own_address(address: str) -> bool:
    """Return whether a port can be opened at an address: it is one of this machine. Asks the system."""
    try:
        family = AF_INET6 if ip_address(address).version == 6 else AF_INET
        with socket(family, SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except ValueError, OSError:
        return False
    return True


class SecurityFlow(ConfigFlow):
    """The steps of a site's reconfiguration that are about the security of its OCPP port."""

    _security: PortSecurity

    async def async_step_ocpp_security(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the security profile, and where the certificates come from."""
        entry = self._get_reconfigure_entry()
        now = PortSecurity.of(entry.data)
        errors: dict[str, str] = {}
        without_password: list[str] = []
        if user_input is not None:
            profile = SecurityProfile(user_input[CONF_PROFILE])
            address = (user_input.get(CONF_ADDRESS) or "").strip() or None
            if address and not await self.hass.async_add_executor_job(
                _is_own_address, address
            ):
                errors[CONF_ADDRESS] = "address_not_ours"
            if profile.demands_password:
                without_password = self._without_login(entry, profile)
            if without_password:
                errors[CONF_PROFILE] = "passwords_missing"
            if not errors:
                self._security = PortSecurity(profile=profile, address=address)
                if not profile.is_encrypted:
                    return self._save_security(self._security)
                if user_input[CONF_SOURCE] == SOURCE_FILES:
                    return await self.async_step_certificate_files()
                return await self.async_step_generated_certificate()
        schema = probatio.Schema(
            {
                probatio.Required(CONF_PROFILE, default=now.profile.value): choice(
                    CONF_PROFILE, SecurityProfile
                ),
                probatio.Required(
                    CONF_SOURCE,
                    default=SOURCE_FILES if now.certificate else SOURCE_GENERATED,
                ): choice(CONF_SOURCE, (SOURCE_GENERATED, SOURCE_FILES)),
                probatio.Optional(CONF_ADDRESS): TextSelector(),
            }
        )
        return self.async_show_form(
            step_id="ocpp_security",
            data_schema=self.add_suggested_values_to_schema(
                schema,
                user_input or ({CONF_ADDRESS: now.address} if now.address else None),
            ),
            errors=errors,
            description_placeholders={
                "port": str(entry.data[CONF_OCPP_PORT]),
                "without_password": ", ".join(without_password),
            },
        )

    async def async_step_generated_certificate(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask by which names charge points reach the server, then make the certificate."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            names = tuple(
                dict.fromkeys(name.strip() for name in user_input[CONF_NAMES])
            )
            security = replace(self._security, names=names)
            if not names or not all(is_host(name) for name in names):
                errors[CONF_NAMES] = "host_invalid"
            else:
                try:
                    await async_ssl_context(self.hass, security)
                except (OSError, ValueError) as err:
                    errors["base"] = "certificate_not_made"
                    detail = str(err)
                else:
                    self._security = security
                    return await self.async_step_authority()
        known = PortSecurity.of(entry.data).names
        names_shown = list(known or dict.fromkeys((ocpp_host(self.hass), DEFAULT_HOST)))
        schema = probatio.Schema(
            {
                probatio.Required(CONF_NAMES, default=names_shown): TextSelector(
                    TextSelectorConfig(multiple=True)
                )
            }
        )
        return self.async_show_form(
            step_id="generated_certificate",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"detail": detail},
        )

    async def async_step_certificate_files(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where the files are, and check them."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            certificate: str = user_input[CONF_CERTIFICATE].strip()
            key: str = user_input[CONF_KEY].strip()
            client_ca = (user_input.get(CONF_CLIENT_CA) or "").strip() or None
            security = replace(
                self._security, certificate=certificate, key=key, client_ca=client_ca
            )
            errors = await self.hass.async_add_executor_job(
                file_errors, certificate, key, client_ca
            )
            if not errors:
                try:
                    await async_ssl_context(self.hass, security)
                except (OSError, ValueError) as err:
                    errors["base"] = "certificate_unusable"
                    detail = str(err)
            if not errors:
                self._security = security
                if security.issues_certificates:
                    return await self.async_step_authority()
                return self._save_security(security)
        fields: dict[probatio.Marker, Any] = {
            probatio.Required(CONF_CERTIFICATE): TextSelector(),
            probatio.Required(CONF_KEY): TextSelector(),
            # Shown for TLS as well: a form has one set of texts.
            probatio.Optional(CONF_CLIENT_CA): TextSelector(),
        }
        return self.async_show_form(
            step_id="certificate_files",
            data_schema=self.add_suggested_values_to_schema(
                probatio.Schema(fields),
                user_input or PortSecurity.of(self._get_reconfigure_entry().data).data,
            ),
            errors=errors,
            description_placeholders={"detail": detail},
        )

    async def async_step_authority(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show what charge points have to trust, before they are cut off."""
        if user_input is not None:
            return await self.async_step_without_certificate()
        authority = await async_authority(self.hass)
        entry = self._get_reconfigure_entry()
        security = self._security
        host = security.names[0] if security.names else ocpp_host(self.hass)
        return self.async_show_form(
            step_id="authority",
            data_schema=probatio.Schema({}),
            description_placeholders={
                "certificate": authority_link(self.hass),
                "fingerprint": authority.fingerprint,
                "folder": str(certificates_folder(self.hass)),
                "url": f"wss://{host}:{entry.data[CONF_OCPP_PORT]}/",
            },
        )

    async def async_step_without_certificate(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Name those that will be locked out, if all have to show a certificate."""
        without = self._without_certificate()
        if (
            user_input is not None
            or not without
            or not self._security.issues_certificates
        ):
            return self._save_security(self._security)
        return self.async_show_form(
            step_id="without_certificate",
            data_schema=probatio.Schema({}),
            description_placeholders={"charge_points": ", ".join(without)},
        )

    def _security_of(self, port: int) -> dict[str, Any]:
        """Return what a site that joins others at their port takes over from them."""
        if not sites_of_port(self.hass, port):
            return {}
        return {CONF_SECURITY: security_of_port(self.hass, port).data}

    def _without_login(
        self, entry: ConfigEntry[Any], profile: SecurityProfile
    ) -> list[str]:
        """Return the charge points at the port that could not connect any more."""
        enough = {CONF_PASSWORD}
        if profile.is_encrypted:
            enough.add(CONF_DEMANDS_CERTIFICATE)
        return [
            subentry.title
            for subentry in self._charge_points(entry)
            if not any(subentry.data.get(key) for key in enough)
            or subentry.data.get(CONF_PASSWORD_ON_TRIAL)
        ]

    def _without_certificate(self) -> list[str]:
        """Return the charge points at the port for which no certificate was made."""
        return [
            subentry.title
            for subentry in self._charge_points(self._get_reconfigure_entry())
            if subentry.data.get(CONF_CERTIFICATES) == []
        ]

    def _charge_points(self, entry: ConfigEntry[Any]) -> list[ConfigSubentry]:
        """Return the charge points of all sites at a site's port."""
        return [
            subentry
            for site in sites_of_port(self.hass, entry.data[CONF_OCPP_PORT])
            for subentry in site.get_subentries_of_type(SUBENTRY_CHARGE_POINT)
        ]

    def _save_security(self, security: PortSecurity) -> ConfigFlowResult:
        """Save it at all sites that use the port."""
        entry = self._get_reconfigure_entry()
        changes = {CONF_SECURITY: security.data}
        for other in sites_of_port(self.hass, entry.data[CONF_OCPP_PORT]):
            if other.entry_id != entry.entry_id:
                self.hass.config_entries.async_update_entry(
                    other, data={**other.data, **changes}
                )
        return self.async_update_and_abort(entry, data_updates=changes)
