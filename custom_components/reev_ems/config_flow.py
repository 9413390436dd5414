"""Config flow of reev EMS: a site with its first meter, and charge points that knock."""

from types import MappingProxyType
from typing import Any, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowContext,
    ConfigFlowResult,
    ConfigSubentry,
    ConfigSubentryData,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_NAME
from homeassistant.core import callback
from homeassistant.helpers.selector import TextSelector
from homeassistant.helpers.typing import DiscoveryInfoType
import probatio

from .const import (
    CONF_CHARGE_POINT_ID,
    CONF_IMBALANCE_LIMIT_A,
    CONF_LIMIT_A,
    CONF_OCPP_PORT,
    DEFAULT_OCPP_PORT,
    DOMAIN,
    IMBALANCE_LIMIT_A_BY_COUNTRY,
    MINOR_VERSION,
    SUBENTRY_CHARGE_POINT,
    SUBENTRY_CIRCUIT,
    SUBENTRY_GATEWAY,
    SUBENTRY_METER,
    SUBENTRY_USER,
    SUBENTRY_USER_GROUP,
    VERSION,
)
from .flows.charge_point import ChargePointSubentryFlow, credentials_form
from .flows.charge_point_setup import (
    ChargePointSetup,
    charge_point_ids,
    connector_schema,
    default_login,
    identity_fields,
    login_fields,
)
from .flows.circuit import CircuitSubentryFlow
from .flows.fields import (
    amperes,
    limit_fields,
    nature_fields,
    nature_of,
    port_number,
    show_limits,
    take_limits,
    with_errors_open,
)
from .flows.gateway import GatewaySubentryFlow
from .flows.meter import MeterFlow, MeterSubentryFlow
from .flows.meter_forms import connection_schema
from .flows.meter_setup import MeterSetup
from .flows.options import ReevOptionsFlow
from .flows.security import SecurityFlow
from .flows.site import (
    NO_FLOOR_PROBLEM,
    async_port_error,
    circuit_names,
    draft_site,
    floor_problem,
)
from .flows.user import UserSubentryFlow
from .flows.user_group import UserGroupSubentryFlow
from .site.texts import verbatim


class ReevConfigFlow(
    MeterFlow[ConfigFlowContext, ConfigFlowResult, str], SecurityFlow, domain=DOMAIN
):
    """Set up a site."""

    VERSION = VERSION
    MINOR_VERSION = MINOR_VERSION

    _site: dict[str, Any]
    _charge_point: ChargePointSetup
    _discovered: dict[str, Any]

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> ReevOptionsFlow:
        """Create the options flow."""
        return ReevOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what a person can add to a site."""
        return {
            SUBENTRY_CHARGE_POINT: ChargePointSubentryFlow,
            SUBENTRY_CIRCUIT: CircuitSubentryFlow,
            SUBENTRY_GATEWAY: GatewaySubentryFlow,
            SUBENTRY_METER: MeterSubentryFlow,
            SUBENTRY_USER: UserSubentryFlow,
            SUBENTRY_USER_GROUP: UserGroupSubentryFlow,
        }

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the site and its grid connection."""
        errors: dict[str, str] = {}
        if user_input is not None:
            limits, errors = take_limits(user_input)
            name = user_input[CONF_NAME].strip()
            taken = {
                entry.title.casefold()
                for entry in self._async_current_entries(include_ignore=False)
            }
            if not name:
                errors[CONF_NAME] = "name_missing"
            elif name.casefold() in taken:
                errors[CONF_NAME] = "name_in_use"
            port = user_input[CONF_OCPP_PORT]
            if error := await async_port_error(self.hass, port):
                errors[CONF_OCPP_PORT] = error
            if not errors:
                self._site = {
                    "title": name,
                    "data": {
                        **limits,
                        CONF_OCPP_PORT: port,
                        **self._security_of(port),
                    },
                    "options": {
                        CONF_IMBALANCE_LIMIT_A: user_input[CONF_IMBALANCE_LIMIT_A]
                    },
                }
                return await self.async_step_meter()
        # The rules differ by country; where none is known to apply, the limit is off.
        imbalance_a = IMBALANCE_LIMIT_A_BY_COUNTRY.get(
            self.hass.config.country or "", 0.0
        )
        schema = probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                **limit_fields(required=True),
                probatio.Required(CONF_IMBALANCE_LIMIT_A, default=imbalance_a): amperes(
                    0, 1000, "imbalance_out_of_range"
                ),
                probatio.Required(
                    CONF_OCPP_PORT, default=DEFAULT_OCPP_PORT
                ): port_number(),
            }
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(
                with_errors_open(schema, errors), user_input
            ),
            errors=errors,
        )

    async def async_step_meter(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how the meter of the grid connection is reached, until it answers."""
        if not hasattr(self, "_meter"):
            self._meter = await MeterSetup.async_create(self.hass)
            one_a, two_a, three_a = self._site["data"][CONF_LIMIT_A]
            self._meter.limit_a = (one_a, two_a, three_a)
        if user_input is None:
            return self._show_connection({})
        return await self._async_connect(user_input)

    @override
    def _show_connection(self, errors: dict[str, str]) -> ConfigFlowResult:
        """Show the form of the meter's connection."""
        return self.async_show_form(
            step_id="meter",
            data_schema=self.add_suggested_values_to_schema(
                connection_schema(self._meter.models), self._meter.connection
            ),
            errors=errors,
            description_placeholders=self._meter.error_placeholders,
        )

    @override
    def _save(self, name: str) -> ConfigFlowResult:
        """Create the site with its first meter."""
        return self.async_create_entry(
            title=self._site["title"],
            data=self._site["data"],
            options=self._site["options"],
            subentries=[
                ConfigSubentryData(
                    data=self._meter.data,
                    subentry_type=SUBENTRY_METER,
                    title=name,
                    unique_id=self._meter.unique_id,
                )
            ],
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what to change."""
        return self.async_show_menu(
            step_id="reconfigure", menu_options=["grid_connection", "ocpp_security"]
        )

    async def async_step_grid_connection(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the limits of the grid connection or the OCPP port."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        placeholders = NO_FLOOR_PROBLEM
        if user_input is not None:
            limits, errors = take_limits(user_input)
            port = user_input[CONF_OCPP_PORT]
            if port != entry.data[CONF_OCPP_PORT] and (
                error := await async_port_error(self.hass, port)
            ):
                errors[CONF_OCPP_PORT] = error
            if not errors and (
                problem := floor_problem(
                    self.hass,
                    draft_site(entry),
                    draft_site(entry, data=limits),
                    circuit_names(self.hass, entry),
                )
            ):
                placeholders = problem
                errors[CONF_LIMIT_A] = "floors_over_limit"
            if not errors:
                if port != entry.data[CONF_OCPP_PORT]:
                    limits |= self._security_of(port)
                return self.async_update_and_abort(
                    entry,
                    data_updates={
                        **limits,
                        **nature_of(user_input),
                        CONF_OCPP_PORT: port,
                    },
                )
        schema = probatio.Schema(
            {
                **limit_fields(required=True),
                **nature_fields(),
                probatio.Required(CONF_OCPP_PORT): port_number(),
            }
        )
        return self.async_show_form(
            step_id="grid_connection",
            data_schema=self.add_suggested_values_to_schema(
                with_errors_open(schema, errors),
                user_input
                or {
                    **show_limits(entry.data),
                    **nature_of(entry.data),
                    CONF_OCPP_PORT: entry.data[CONF_OCPP_PORT],
                },
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    @override
    async def async_step_integration_discovery(
        self, discovery_info: DiscoveryInfoType
    ) -> ConfigFlowResult:
        """Offer a charge point that knocked at a site's OCPP server."""
        charge_point_id = discovery_info[CONF_CHARGE_POINT_ID]
        await self.async_set_unique_id(f"{SUBENTRY_CHARGE_POINT}_{charge_point_id}")
        self._abort_if_unique_id_configured()
        if charge_point_id in charge_point_ids(self.hass):
            return self.async_abort(reason="already_configured")
        self._discovered = discovery_info
        model = " ".join(
            filter(None, (discovery_info.get("vendor"), discovery_info.get("model")))
        )
        self.context["title_placeholders"] = {
            "name": f"{model} ({charge_point_id})" if model else charge_point_id
        }
        return await self.async_step_adopt()

    async def async_step_adopt(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the place of the charge point in its site."""
        entry = self.hass.config_entries.async_get_entry(self._discovered["entry_id"])
        if entry is None:
            return self.async_abort(reason="site_removed")
        charge_point_id = self._discovered[CONF_CHARGE_POINT_ID]
        errors: dict[str, str] = {}
        if user_input is not None:
            self._charge_point = ChargePointSetup(self.hass, entry, None)
            errors = self._charge_point.take_identity(user_input, charge_point_id)
            if CONF_CHARGE_POINT_ID in errors:
                return self.async_abort(reason="already_configured")
            errors |= self._charge_point.take_login(user_input)
            if not errors:
                return await self.async_step_connector()
        return self.async_show_form(
            step_id="adopt",
            data_schema=self.add_suggested_values_to_schema(
                with_errors_open(
                    probatio.Schema(
                        identity_fields(circuit_names(self.hass, entry))
                        | login_fields(default_login(entry))
                    ),
                    errors,
                ),
                user_input or {CONF_NAME: charge_point_id},
            ),
            errors=errors,
            description_placeholders={
                "charge_point_id": verbatim(charge_point_id),
                "vendor": verbatim(self._discovered.get("vendor") or "–"),
                "model": verbatim(self._discovered.get("model") or "–"),
                "site": entry.title,
            },
        )

    async def async_step_connector(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for one connector after the other, then adopt the charge point into its site."""
        setup = self._charge_point
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = setup.take_connector(user_input)
            if not errors:
                user_input = None
        if (number := setup.next_number) is None:
            if setup.new_password:
                return await self.async_step_credentials()
            return self._async_adopt()
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

    async def async_step_credentials(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show once what is entered in the charge point, then adopt it."""
        entry = self.hass.config_entries.async_get_entry(self._discovered["entry_id"])
        if user_input is not None or entry is None:
            return self._async_adopt()
        setup = self._charge_point
        schema, placeholders = credentials_form(self.hass, entry, setup)
        return self.async_show_form(
            step_id="credentials",
            data_schema=schema,
            description_placeholders=placeholders,
        )

    @callback
    def _async_adopt(self) -> ConfigFlowResult:
        """Add the charge point to its site."""
        setup = self._charge_point
        entry = self.hass.config_entries.async_get_entry(self._discovered["entry_id"])
        if entry is None:
            return self.async_abort(reason="site_removed")
        self.hass.config_entries.async_add_subentry(
            entry,
            ConfigSubentry(
                data=MappingProxyType(setup.data),
                subentry_type=SUBENTRY_CHARGE_POINT,
                title=setup.title,
                unique_id=setup.unique_id,
            ),
        )
        return self.async_abort(
            reason="charge_point_added",
            description_placeholders={"name": setup.title, "site": entry.title},
        )
