"""The flow of a charge point: adding it, and what can be changed about it."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    QrCodeSelector,
    QrCodeSelectorConfig,
    TextSelector,
)
import probatio

from ..charge_points.downloads import async_bundle_link
from ..charge_points.security import PortSecurity
from ..const import (
    CONF_CHARGE_POINT_ID,
    CONF_FIRMWARE,
    CONF_PASSWORD,
    CONF_PASSWORD_ON_TRIAL,
    CONF_QUIRKS,
    CONF_URL,
    CONF_VERSION,
)
from ..ocpp_server.passwords import hashed
from .charge_point_abilities import (
    ABILITIES_SCHEMA,
    abilities_error,
    said_and_known,
    show_abilities,
    take_abilities,
)
from .charge_point_setup import (
    LOGIN_GENERATE,
    LOGIN_KEYS,
    ChargePointSetup,
    connector_schema,
    default_login,
    identity_fields,
    login_fields,
    take_login,
    unknown_charge_points,
)
from .fields import NOT_OUT_OF_RANGE, named_choice, with_errors_open
from .security import ocpp_url
from .site import circuit_names

CONF_QR_CODE = "qr_code"

# Chargers fetch firmware by what their own network stack can do.
FIRMWARE_SCHEMES = ("http://", "https://", "ftp://", "ftps://", "sftp://")


def credentials_form(
    hass: HomeAssistant, entry: ConfigEntry[Any], setup: ChargePointSetup
) -> tuple[probatio.Schema, dict[str, str]]:
    """Return the form with a code to scan, and the text's lines to copy: read-only fields cannot be marked on a phone."""
    charge_point_id = setup.charge_point_id
    lines = {
        CONF_URL: f"{ocpp_url(hass, entry)}{charge_point_id}",
        CONF_CHARGE_POINT_ID: charge_point_id,
        CONF_PASSWORD: setup.new_password or "",
    }
    schema = probatio.Schema(
        {
            probatio.Optional(CONF_QR_CODE): QrCodeSelector(
                QrCodeSelectorConfig(data="\n".join(lines.values()), scale=5)
            )
        }
    )
    return schema, {CONF_NAME: setup.title, **lines}


def _with_login(data: Mapping[str, Any], login: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of a charge point, with another log-in."""
    kept = {key: value for key, value in data.items() if key not in LOGIN_KEYS}
    return {**kept, **login}


class ChargePointSubentryFlow(ConfigSubentryFlow):
    """Add a charge point, or change it."""

    _setup: ChargePointSetup

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask which charge point to add; those that knock at the OCPP server are offered."""
        entry = self._get_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            self._setup = ChargePointSetup(self.hass, entry, None)
            errors = self._setup.take_identity(
                user_input, user_input[CONF_CHARGE_POINT_ID]
            )
            errors |= self._setup.take_login(user_input)
            if not errors:
                return await self.async_step_connector()
        schema = probatio.Schema(
            {
                # A list of none would hide that the ID can be typed.
                probatio.Required(CONF_CHARGE_POINT_ID): named_choice(
                    knocking, custom_value=True
                )
                if (knocking := unknown_charge_points(entry))
                else TextSelector(),
                **identity_fields(circuit_names(self.hass, entry)),
                **login_fields(default_login(entry)),
            }
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(
                with_errors_open(schema, errors), user_input
            ),
            errors=errors,
            description_placeholders={"url": ocpp_url(self.hass, entry)},
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what to change."""
        options = ["place", "login", "abilities", "firmware"]
        if PortSecurity.of(self._get_entry().data).takes_own_certificates:
            options.append("certificate")
        subentry = self._get_reconfigure_subentry()
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=options,
            description_placeholders={
                "charge_point_id": subentry.data[CONF_CHARGE_POINT_ID],
                "url": ocpp_url(self.hass, self._get_entry()),
            },
        )

    async def async_step_place(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for its name, circuit and connectors: another identity is another charge point."""
        entry = self._get_entry()
        subentry = self._get_reconfigure_subentry()
        self._setup = ChargePointSetup(self.hass, entry, subentry.subentry_id)
        shown = self._setup.identity_shown
        charge_point_id = subentry.data[CONF_CHARGE_POINT_ID]
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._setup.take_identity(user_input, charge_point_id)
            if not errors:
                return await self.async_step_connector()
        return self.async_show_form(
            step_id="place",
            data_schema=self.add_suggested_values_to_schema(
                probatio.Schema(identity_fields(circuit_names(self.hass, entry))),
                user_input or shown,
            ),
            errors=errors,
            description_placeholders={"charge_point_id": charge_point_id},
        )

    async def async_step_connector(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for one connector after the other, then save."""
        setup = self._setup
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = setup.take_connector(user_input)
            if not errors:
                user_input = None
        if (number := setup.next_number) is None:
            if "subentry_id" in self.context:
                return self.async_update_and_abort(
                    self._get_entry(),
                    self._get_reconfigure_subentry(),
                    title=setup.title,
                    data=setup.data,
                )
            if setup.new_password:
                return await self.async_step_credentials()
            return self._create()
        shown = user_input or setup.connector_shown
        return self.async_show_form(
            step_id="connector",
            data_schema=self.add_suggested_values_to_schema(
                connector_schema(shown), shown
            ),
            errors=errors,
            description_placeholders={
                "name": setup.title,
                "number": str(number),
                **setup.error_placeholders,
            },
        )

    def _create(self) -> SubentryFlowResult:
        """Add the charge point."""
        setup = self._setup
        return self.async_create_entry(
            title=setup.title, data=setup.data, unique_id=setup.unique_id
        )

    async def async_step_login(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for another password, or for none; it is not told to the charge point."""
        entry = self._get_entry()
        subentry = self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        if user_input is not None:
            login, errors = take_login(entry, user_input)
            if not errors and (
                CONF_PASSWORD not in login or CONF_PASSWORD_ON_TRIAL in login
            ):
                return self.async_update_and_abort(
                    entry, subentry, data=_with_login(subentry.data, login)
                )
            if not errors:
                self._setup = ChargePointSetup(self.hass, entry, subentry.subentry_id)
                self._setup.new_password = login[CONF_PASSWORD]
                return await self.async_step_credentials()
        return self.async_show_form(
            step_id="login",
            data_schema=self.add_suggested_values_to_schema(
                # The person came for another one, and must not lose the one there is by a mere click.
                probatio.Schema(login_fields(LOGIN_GENERATE)),
                user_input,
            ),
            errors=errors,
            description_placeholders={"name": subentry.title},
        )

    async def async_step_credentials(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show once what is entered in the charge point, then save."""
        setup, entry = self._setup, self._get_entry()
        if user_input is not None:
            if "subentry_id" not in self.context:
                return self._create()
            subentry = self._get_reconfigure_subentry()
            login = {CONF_PASSWORD: hashed(setup.new_password or "")}
            data = _with_login(subentry.data, login)
            return self.async_update_and_abort(entry, subentry, data=data)
        schema, placeholders = credentials_form(self.hass, entry, setup)
        return self.async_show_form(
            step_id="credentials",
            data_schema=schema,
            description_placeholders=placeholders,
        )

    async def async_step_abilities(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what a person knows better of the charge point than the table of models."""
        entry = self._get_entry()
        subentry = self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        placeholders = NOT_OUT_OF_RANGE
        if user_input is not None:
            if wrong := abilities_error(self.hass, user_input):
                at, placeholders = wrong
                errors[at] = "out_of_range"
            else:
                data = {**subentry.data, CONF_QUIRKS: take_abilities(user_input)}
                if not data[CONF_QUIRKS]:
                    del data[CONF_QUIRKS]
                return self.async_update_and_abort(entry, subentry, data=data)
        return self.async_show_form(
            step_id="abilities",
            data_schema=self.add_suggested_values_to_schema(
                ABILITIES_SCHEMA,
                user_input or show_abilities(subentry.data.get(CONF_QUIRKS, {})),
            ),
            errors=errors,
            description_placeholders={
                "name": subentry.title,
                **said_and_known(entry, subentry),
                **placeholders,
            },
        )

    async def async_step_firmware(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask where a firmware is that can be installed; cleared, there is none."""
        entry = self._get_entry()
        subentry = self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        if user_input is not None:
            url = (user_input.get(CONF_URL) or "").strip()
            version = (user_input.get(CONF_VERSION) or "").strip()
            if url and not url.lower().startswith(FIRMWARE_SCHEMES):
                errors[CONF_URL] = "firmware_url_invalid"
            elif url and not version:
                errors[CONF_VERSION] = "firmware_version_missing"
            else:
                data = dict(subentry.data)
                data.pop(CONF_FIRMWARE, None)
                if url:
                    data[CONF_FIRMWARE] = {CONF_URL: url, CONF_VERSION: version}
                return self.async_update_and_abort(entry, subentry, data=data)
        schema = probatio.Schema(
            {
                probatio.Optional(CONF_URL): TextSelector(),
                probatio.Optional(CONF_VERSION): TextSelector(),
            }
        )
        return self.async_show_form(
            step_id="firmware",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or subentry.data.get(CONF_FIRMWARE, {})
            ),
            errors=errors,
            description_placeholders={"name": subentry.title},
        )

    async def async_step_certificate(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Make a certificate for the charge point and offer it for download, once."""
        if user_input is not None:
            return self.async_abort(reason="certificate_made")
        subentry = self._get_reconfigure_subentry()
        charge_point_id = subentry.data[CONF_CHARGE_POINT_ID]
        return self.async_show_form(
            step_id="certificate",
            data_schema=probatio.Schema({}),
            description_placeholders={
                "name": subentry.title,
                "charge_point_id": charge_point_id,
                "certificate": await async_bundle_link(self.hass, charge_point_id),
            },
        )
