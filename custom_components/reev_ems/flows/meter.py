"""The steps that set up a meter, of the site's flow and of the meter's own."""

from abc import abstractmethod
import asyncio
from typing import Any, override

from homeassistant.config_entries import (
    ConfigSubentryFlow,
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.const import CONF_HOST, CONF_NAME
from homeassistant.data_entry_flow import FlowContext, FlowHandler, FlowResult
import probatio

from ..const import (
    CONF_CIRCUIT,
    CONF_POLL_S,
    CONF_UNIT_ID,
    ROOT_CIRCUIT,
    SENSORS_MODEL,
    SUBENTRY_METER,
)
from .fields import named_choice
from .meter_forms import (
    CONF_FOUND,
    CONF_READ_AGAIN,
    CONFIRM_SCHEMA,
    CUSTOM_MODEL,
    UNKNOWN_MODEL,
    connection_schema,
)
from .meter_map import CONF_MAP, MAP_SCHEMA
from .meter_setup import MeterSetup
from .sensor_meter import SENSORS_SCHEMA
from .site import circuit_names, draft_site


class MeterFlow[
    ContextT: FlowContext,
    ResultT: FlowResult[Any, Any],
    HandlerT,
](FlowHandler[ContextT, ResultT, HandlerT]):
    """What follows when the connection of a meter was entered: look for its model, confirm its values."""

    _meter: MeterSetup
    _detection: asyncio.Task[dict[str, str]] | None = None

    @abstractmethod
    def _show_connection(self, errors: dict[str, str]) -> ResultT:
        """Show the form of the connection, with what was entered last."""

    @abstractmethod
    def _save(self, name: str) -> ResultT:
        """Save the confirmed meter."""

    async def _async_connect(self, user_input: dict[str, Any]) -> ResultT:
        """Go on with the connection that was entered."""
        if errors := await self._meter.async_connect(user_input):
            # Every known map of a model without public registers was tried: the person has to enter it.
            if CONF_MAP in errors:
                return self._show_map(errors)
            return self._show_connection(errors)
        if self._meter.model == SENSORS_MODEL:
            return await self.async_step_sensors()
        if self._meter.model == UNKNOWN_MODEL:
            self._detection = None
            return await self.async_step_detect()
        if self._meter.model == CUSTOM_MODEL:
            return await self.async_step_custom()
        return await self.async_step_confirm()

    async def async_step_sensors(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask for the sensors that stand in for a meter, until they make a reading."""
        sensors = self._meter.sensors
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = sensors.take(user_input)
            if not errors:
                return await self.async_step_confirm_sensors()
        return self.async_show_form(
            step_id="sensors",
            data_schema=self.add_suggested_values_to_schema(
                SENSORS_SCHEMA, sensors.shown
            ),
            errors=errors,
            description_placeholders={"detail": sensors.detail},
        )

    async def async_step_confirm_sensors(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Show what the sensors make together and let the person confirm it."""
        sensors = self._meter.sensors
        if user_input is not None:
            return self._save(sensors.name)
        return self.async_show_form(
            step_id="confirm_sensors",
            data_schema=probatio.Schema({}),
            description_placeholders=sensors.placeholders,
        )

    async def async_step_custom(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask for the register map of the meter, until the meter answers plausibly to it."""
        meter = self._meter
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await meter.async_try_map(user_input)
            if not errors:
                return await self.async_step_confirm()
            if errors.keys() & {CONF_HOST, CONF_UNIT_ID, CONF_POLL_S}:
                return self._show_connection(errors)
            errors = {CONF_MAP: next(iter(errors.values()))}
        return self._show_map(errors)

    def _show_map(self, errors: dict[str, str]) -> ResultT:
        """Show the form of the register map, with what was entered last."""
        return self.async_show_form(
            step_id="custom",
            data_schema=self.add_suggested_values_to_schema(
                MAP_SCHEMA, self._meter.map_shown
            ),
            errors=errors,
            description_placeholders=self._meter.error_placeholders,
        )

    async def async_step_detect(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask the device what it is, and show how far that is."""
        if self._detection is None:
            self._detection = self.hass.async_create_task(
                self._meter.async_detect(self.async_update_progress)
            )
        if not self._detection.done():
            return self.async_show_progress(
                step_id="detect",
                progress_action="detect",
                progress_task=self._detection,
            )
        return self.async_show_progress_done(next_step_id="detected")

    async def async_step_detected(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Let the person choose where several models fit."""
        meter = self._meter
        if self._detection is not None and (errors := self._detection.result()):
            return self._show_connection(errors)
        chosen = meter.only_one
        if user_input is not None:
            chosen = meter.found[int(user_input[CONF_FOUND])]
        if chosen is None:
            return self.async_show_form(
                step_id="detected",
                data_schema=probatio.Schema(
                    {
                        probatio.Required(CONF_FOUND, default="0"): named_choice(
                            meter.found_names
                        )
                    }
                ),
            )
        if errors := meter.choose(chosen):
            return self._show_connection(errors)
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Show the live values and let the person confirm them."""
        meter = self._meter
        errors: dict[str, str] = {}
        if user_input is not None and user_input[CONF_READ_AGAIN]:
            meter.confirm(user_input)
            errors = await meter.async_read_again()
        elif user_input is not None and meter.confirm(user_input):
            try:
                await meter.async_store_map()
            except OSError:
                errors["base"] = "map_not_saved"
            else:
                return self._save(user_input[CONF_NAME])
        return self.async_show_form(
            step_id="confirm",
            data_schema=self.add_suggested_values_to_schema(
                CONFIRM_SCHEMA, meter.shown
            ),
            errors=errors,
            description_placeholders=meter.placeholders,
        )


class MeterSubentryFlow(
    MeterFlow[SubentryFlowContext, SubentryFlowResult, tuple[str, str]],
    ConfigSubentryFlow,
):
    """Add a meter, or change how it is read."""

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask how the meter is reached and which circuit it measures."""
        return await self._async_ask(user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask again how the meter is reached."""
        return await self._async_ask(user_input)

    async def _async_ask(self, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        """Show the connection form until the meter answers."""
        if not hasattr(self, "_meter"):
            subentry = self._get_reconfigure_subentry() if self._subentry_id else None
            self._meter = await MeterSetup.async_create(self.hass, subentry)
        if user_input is None:
            return self._show_connection({})
        site = draft_site(self._get_entry())
        self._meter.limit_a = next(
            (
                item.limit_a
                for item in site.circuits
                if item.id == user_input[CONF_CIRCUIT]
            ),
            None,
        )
        if errors := self._circuit_errors(user_input[CONF_CIRCUIT]):
            self._meter.keep(user_input)
            return self._show_connection(errors)
        return await self._async_connect(user_input)

    @override
    def _show_connection(self, errors: dict[str, str]) -> SubentryFlowResult:
        """Show the form of the connection."""
        meter = self._meter
        names = circuit_names(self.hass, self._get_entry())
        shown = {**meter.connection}
        if shown.get(CONF_CIRCUIT) not in names:
            # None was chosen yet, or it was removed.
            shown[CONF_CIRCUIT] = self._unmetered
        return self.async_show_form(
            step_id="reconfigure" if self._subentry_id else "user",
            data_schema=self.add_suggested_values_to_schema(
                connection_schema(meter.models, names), shown
            ),
            errors=errors,
            description_placeholders=meter.error_placeholders,
        )

    @property
    def _unmetered(self) -> str:
        """The first circuit that has no meter yet."""
        return next(
            (
                circuit
                for circuit in circuit_names(self.hass, self._get_entry())
                if not self._circuit_errors(circuit)
            ),
            ROOT_CIRCUIT,
        )

    @override
    def _save(self, name: str) -> SubentryFlowResult:
        """Add the meter, or change it."""
        meter = self._meter
        if self._subentry_id is None:
            return self.async_create_entry(
                title=name, data=meter.data, unique_id=meter.unique_id
            )
        return self.async_update_and_abort(
            self._get_entry(),
            self._get_reconfigure_subentry(),
            title=name,
            data=meter.data,
            unique_id=meter.unique_id,
        )

    @property
    def _subentry_id(self) -> str | None:
        """The subentry that is reconfigured; None while one is added."""
        return self.context.get("subentry_id")

    def _circuit_errors(self, circuit: str) -> dict[str, str]:
        """Return why the circuit cannot be measured by this meter."""
        entry = self._get_entry()
        if circuit not in circuit_names(self.hass, entry):
            return {CONF_CIRCUIT: "unknown_circuit"}
        if any(
            subentry.data[CONF_CIRCUIT] == circuit
            and subentry.subentry_id != self._subentry_id
            for subentry in entry.get_subentries_of_type(SUBENTRY_METER)
        ):
            return {CONF_CIRCUIT: "circuit_already_metered"}
        return {}
