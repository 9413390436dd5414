"""The forms of a meter: how it is reached, and whether what it says is understood rightly."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import BooleanSelector, TextSelector
import probatio

from ..const import (
    CONF_CIRCUIT,
    CONF_INVERT,
    CONF_PHASE_ORDER,
    CONF_POLL_S,
    CONF_PROFILE,
    CONF_SERIAL,
    CONF_UNIT_ID,
    DOMAIN,
    ROOT_CIRCUIT,
    SUBENTRY_METER,
)
from ..energy_management.model import PHASES, PartPerPhase, Phase
from ..listener import DATA
from ..meter_profiles import async_load_meter_profiles
from ..meters import MeterError, MeterProbe, MeterProfile, ModbusGateways, probe_meter
from .fields import choice, named_choice, seconds, whole_number
from .site import circuit_names

DEFAULT_MODBUS_PORT = 502
DEFAULT_UNIT_ID = 1
# Once a second: as fast as the control loop decides.
DEFAULT_POLL_S = 1.0

# The field whose value is most likely wrong; whatever else is wrong belongs to no field.
FIELD_OF_ERROR = {
    "cannot_connect": CONF_HOST,
    "no_answer": CONF_UNIT_ID,
    "not_this_meter": CONF_PROFILE,
}

# "l2_l3_l1": the meter's inputs 1 to 3 are wired to L2, L3, L1. Option keys must be lower case.
PHASE_ORDERS = {
    "_".join(order).lower(): [str(phase) for phase in order]
    for order in permutations(PHASES)
}

CONFIRM_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Required(CONF_INVERT, default=False): BooleanSelector(),
        probatio.Required(CONF_PHASE_ORDER, default="l1_l2_l3"): choice(
            "phase_order", PHASE_ORDERS
        ),
    }
)


def connection_schema(
    profiles: Mapping[str, MeterProfile], circuits: Mapping[str, str] | None = None
) -> probatio.Schema:
    """Return the form that asks how a meter is reached, and which of the circuits it measures if there is a choice."""
    names = {key: profile.name for key, profile in profiles.items()}
    fields: dict[probatio.Marker, Any] = {}
    if circuits is not None:
        fields[probatio.Required(CONF_CIRCUIT)] = named_choice(circuits)
    fields |= {
        probatio.Required(CONF_PROFILE): named_choice(
            dict(sorted(names.items(), key=lambda item: item[1].casefold()))
        ),
        probatio.Required(CONF_HOST): TextSelector(),
        probatio.Required(CONF_PORT, default=DEFAULT_MODBUS_PORT): whole_number(
            1, 65535
        ),
        probatio.Required(CONF_UNIT_ID, default=DEFAULT_UNIT_ID): whole_number(0, 255),
        probatio.Required(CONF_POLL_S, default=DEFAULT_POLL_S): seconds(0.5, 10),
    }
    return probatio.Schema(fields)


class MeterSetup:
    """A meter being set up: first found, then confirmed; nothing is saved before."""

    _probe: MeterProbe

    def __init__(
        self, hass: HomeAssistant, profiles: Mapping[str, MeterProfile]
    ) -> None:
        """Initialize."""
        self._hass = hass
        self.profiles = profiles
        self._connection: dict[str, Any] = {}
        self.shown: dict[str, Any] = {}
        """The confirmation as it was shown; what the person changed is shown again before it is saved."""
        self.error_placeholders: dict[str, str] = {"detail": "", "min_poll": ""}

    @classmethod
    async def async_create(cls, hass: HomeAssistant) -> MeterSetup:
        """Return a new set-up with the known profiles."""
        return cls(hass, await async_load_meter_profiles(hass))

    async def async_connect(
        self, user_input: Mapping[str, Any], *, subentry_id: str | None = None
    ) -> dict[str, str]:
        """Read the meter once; return the errors by field. The subentry is the one that is reconfigured."""
        connection = {**user_input, CONF_HOST: user_input[CONF_HOST].strip().lower()}
        if errors := self._check(connection, subentry_id):
            return errors
        profile = self.profiles[connection[CONF_PROFILE]]
        shared = self._hass.data.get(DATA)
        # A meter behind a running site's gateway may take one connection only: share it.
        gateways = shared.gateways if shared else ModbusGateways()
        try:
            probe = await probe_meter(
                gateways,
                profile,
                host=connection[CONF_HOST],
                port=connection[CONF_PORT],
                unit_id=connection[CONF_UNIT_ID],
            )
        except MeterError as err:
            self.error_placeholders["detail"] = str(err)
            return {FIELD_OF_ERROR.get(err.key, "base"): err.key}
        finally:
            if not shared:
                await gateways.close()
        if probe.serial and any(
            data.get(CONF_SERIAL) == probe.serial
            and data[CONF_PROFILE] == probe.profile.id
            for data in self._other_meters(subentry_id)
        ):
            return {CONF_HOST: "meter_already_configured"}
        self._connection = {**connection, CONF_PROFILE: probe.profile.id}
        self._probe = probe
        self.shown = {
            CONF_NAME: probe.profile.name,
            CONF_INVERT: False,
            CONF_PHASE_ORDER: "l1_l2_l3",
        }
        return {}

    def _check(
        self, connection: Mapping[str, Any], subentry_id: str | None
    ) -> dict[str, str]:
        """Return what is wrong already without asking the device."""
        if not connection[CONF_HOST]:
            return {CONF_HOST: "host_missing"}
        endpoint = _endpoint(connection)
        if any(_endpoint(data) == endpoint for data in self._other_meters(subentry_id)):
            return {CONF_HOST: "meter_already_configured"}
        profile = self.profiles[connection[CONF_PROFILE]]
        if connection[CONF_POLL_S] < profile.min_poll_s:
            self.error_placeholders["min_poll"] = f"{profile.min_poll_s:g}"
            return {CONF_POLL_S: "polled_too_often"}
        return {}

    def _other_meters(self, subentry_id: str | None) -> list[Mapping[str, Any]]:
        """Return the data of every meter of every site but the one that is reconfigured."""
        return [
            subentry.data
            for entry in self._hass.config_entries.async_entries(
                DOMAIN, include_ignore=False
            )
            for subentry in entry.get_subentries_of_type(SUBENTRY_METER)
            if subentry.subentry_id != subentry_id
        ]

    def confirm(self, user_input: dict[str, Any]) -> bool:
        """Return whether the person agreed with what was shown; if not, it is to be shown anew."""
        agreed = all(
            user_input[key] == self.shown[key]
            for key in (CONF_INVERT, CONF_PHASE_ORDER)
        )
        self.shown = user_input
        return agreed

    @property
    def data(self) -> dict[str, Any]:
        """What is stored of the meter, once confirmed."""
        data = {
            CONF_CIRCUIT: ROOT_CIRCUIT,
            **self._connection,
            CONF_INVERT: self.shown[CONF_INVERT],
            CONF_PHASE_ORDER: PHASE_ORDERS[self.shown[CONF_PHASE_ORDER]],
        }
        if self._probe.serial:
            data[CONF_SERIAL] = self._probe.serial
        return data

    @property
    def unique_id(self) -> str:
        """The meter's identity within its site: where it is reached."""
        host, port, unit_id = _endpoint(self._connection)
        return f"{SUBENTRY_METER}_{host}:{port}/{unit_id}"

    @property
    def placeholders(self) -> dict[str, str]:
        """The live values for the confirmation, corrected as the person chose."""
        reading = self._probe.reading
        sign = -1 if self.shown[CONF_INVERT] else 1
        order = PHASE_ORDERS[self.shown[CONF_PHASE_ORDER]]

        def per_phase(
            name: str, values: PartPerPhase, unit: str, factor: int
        ) -> dict[str, str]:
            """Return the value of every phase of the grid."""
            return {
                f"{name}_{phase.lower()}": _text(
                    values[order.index(phase)], unit, factor
                )
                for phase in Phase
            }

        return {
            "meter": self._probe.profile.name,
            "identification": ", ".join(
                f"{key} {value}" for key, value in self._probe.identification.items()
            )
            or "–",
            "warnings": " ".join(self._probe.warnings) or "–",
            "power_total": _text(reading.power_total_w, "W", sign),
            "frequency": _text(reading.frequency_hz, "Hz", 1),
            **per_phase("voltage", reading.voltage_v, "V", 1),
            **per_phase("current", reading.current_a, "A", sign),
            **per_phase("power", reading.power_w, "W", sign),
        }


class MeterSubentryFlow(ConfigSubentryFlow):
    """Add a meter, or change how it is read."""

    _setup: MeterSetup

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask how the meter is reached and which circuit it measures."""
        return await self._async_connect("user", user_input, {})

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask again how the meter is reached."""
        return await self._async_connect(
            "reconfigure", user_input, self._get_reconfigure_subentry().data
        )

    async def _async_connect(
        self,
        step_id: str,
        user_input: dict[str, Any] | None,
        stored: Mapping[str, Any],
    ) -> SubentryFlowResult:
        """Show the connection form until the meter answers."""
        entry = self._get_entry()
        if not hasattr(self, "_setup"):
            self._setup = await MeterSetup.async_create(self.hass)
        setup = self._setup
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._circuit_errors(entry, user_input[CONF_CIRCUIT])
            errors = errors or await setup.async_connect(
                user_input, subentry_id=self._subentry_id
            )
            if not errors:
                if stored:
                    setup.shown = _stored_confirmation(
                        self._get_reconfigure_subentry().title, stored
                    )
                return await self.async_step_confirm()
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                connection_schema(setup.profiles, circuit_names(entry)),
                user_input or stored,
            ),
            errors=errors,
            description_placeholders=setup.error_placeholders,
        )

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show the live values and let the person confirm them."""
        setup = self._setup
        if user_input is not None and setup.confirm(user_input):
            title = user_input[CONF_NAME]
            if self._subentry_id is None:
                return self.async_create_entry(
                    title=title, data=setup.data, unique_id=setup.unique_id
                )
            return self.async_update_and_abort(
                self._get_entry(),
                self._get_reconfigure_subentry(),
                title=title,
                data=setup.data,
                unique_id=setup.unique_id,
            )
        return self.async_show_form(
            step_id="confirm",
            data_schema=self.add_suggested_values_to_schema(
                CONFIRM_SCHEMA, setup.shown
            ),
            description_placeholders=setup.placeholders,
        )

    @property
    def _subentry_id(self) -> str | None:
        """The subentry that is reconfigured; None while one is added."""
        return self.context.get("subentry_id")

    def _circuit_errors(self, entry: ConfigEntry[Any], circuit: str) -> dict[str, str]:
        """Return why the circuit cannot be measured by this meter."""
        if circuit not in circuit_names(entry):
            return {CONF_CIRCUIT: "unknown_circuit"}
        if any(
            subentry.data[CONF_CIRCUIT] == circuit
            and subentry.subentry_id != self._subentry_id
            for subentry in entry.get_subentries_of_type(SUBENTRY_METER)
        ):
            return {CONF_CIRCUIT: "circuit_already_metered"}
        return {}


def _stored_confirmation(title: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored meter's confirmation as the form shows it."""
    return {
        CONF_NAME: title,
        CONF_INVERT: stored[CONF_INVERT],
        CONF_PHASE_ORDER: "_".join(stored[CONF_PHASE_ORDER]).lower(),
    }


def _endpoint(data: Mapping[str, Any]) -> tuple[str, int, int]:
    """Return where a meter is reached; two meters cannot be at one place."""
    return data[CONF_HOST], data[CONF_PORT], data[CONF_UNIT_ID]


def _text(value: float | None, unit: str, factor: int) -> str:
    """Return a value for the table of live values; unknown is a dash, never zero (S2)."""
    return "–" if value is None else f"{value * factor:.1f} {unit}"
