"""The form of a gateway through which meters are reached."""

from typing import Any

from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import probatio

from ..charge_points.listener import DATA
from ..const import CONF_METERS, CONF_UNIT_ID, SUBENTRY_GATEWAY, SUBENTRY_METER
from ..meters import MeterError, ModbusGateways, TeltonikaGateway
from .fields import modbus_unit, port_number
from .meter_forms import DEFAULT_MODBUS_PORT, DEFAULT_UNIT_ID
from .meter_setup import FIELD_OF_ERROR


class GatewaySubentryFlow(ConfigSubentryFlow):
    """Add a gateway, or change how it is reached."""

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask how the gateway is reached, until it answers."""
        return await self._async_ask("user", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask again how the gateway is reached."""
        return await self._async_ask("reconfigure", user_input)

    async def _async_ask(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        """Show the form until the gateway answers, then save it."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            data = {**user_input, CONF_HOST: user_input[CONF_HOST].strip().lower()}
            name = data.pop(CONF_NAME).strip()
            if not name:
                errors[CONF_NAME] = "name_missing"
            elif not data[CONF_HOST]:
                errors[CONF_HOST] = "host_missing"
            elif self._is_known(data):
                errors[CONF_HOST] = "already_configured"
            else:
                try:
                    await self._async_try(data)
                except MeterError as err:
                    detail = err.facts
                    field = FIELD_OF_ERROR.get(err.key, "base")
                    errors[field if field in data else "base"] = err.key
                else:
                    return self._save(name, data)
        elif step_id == "reconfigure":
            subentry = self._get_reconfigure_subentry()
            user_input = {**subentry.data, CONF_NAME: subentry.title}
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(self._schema(), user_input),
            errors=errors,
            description_placeholders={"detail": detail},
        )

    def _schema(self) -> probatio.Schema:
        """Return the form, with the meters of the site to choose from."""
        meters = self._get_entry().get_subentries_of_type(SUBENTRY_METER)
        return probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                probatio.Required(CONF_HOST): TextSelector(),
                probatio.Required(
                    CONF_PORT, default=DEFAULT_MODBUS_PORT
                ): port_number(),
                probatio.Required(CONF_UNIT_ID, default=DEFAULT_UNIT_ID): modbus_unit(),
                probatio.Optional(CONF_METERS, default=list): SelectSelector(
                    SelectSelectorConfig(
                        options=[
                            SelectOptionDict(value=item.subentry_id, label=item.title)
                            for item in meters
                        ],
                        multiple=True,
                        mode=SelectSelectorMode.DROPDOWN,
                    )
                ),
            }
        )

    def _is_known(self, data: dict[str, Any]) -> bool:
        """Return whether another gateway of the site is at the same address."""
        return any(
            item.data[CONF_HOST] == data[CONF_HOST]
            and item.subentry_id != self.context.get("subentry_id")
            for item in self._get_entry().get_subentries_of_type(SUBENTRY_GATEWAY)
        )

    async def _async_try(self, data: dict[str, Any]) -> None:
        """Ask the gateway for its status. Raises MeterError."""
        shared = self.hass.data.get(DATA)
        gateways = shared.gateways if shared else ModbusGateways()
        gateway = TeltonikaGateway(
            gateways,
            host=data[CONF_HOST],
            port=data[CONF_PORT],
            unit_id=data[CONF_UNIT_ID],
        )
        try:
            await gateway.read()
        finally:
            await gateway.close()

    def _save(self, name: str, data: dict[str, Any]) -> SubentryFlowResult:
        """Add the gateway, or change it."""
        unique_id = f"{SUBENTRY_GATEWAY}_{data[CONF_HOST]}"
        if "subentry_id" not in self.context:
            return self.async_create_entry(title=name, data=data, unique_id=unique_id)
        return self.async_update_and_abort(
            self._get_entry(),
            self._get_reconfigure_subentry(),
            title=name,
            data=data,
            unique_id=unique_id,
        )
