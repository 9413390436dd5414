"""The forms of a charge point: who it is, where it is connected, and what its connectors can do."""

from collections.abc import Mapping
from itertools import permutations
import math
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import probatio
from yarl import URL

from ..const import (
    CONF_CAN_SWITCH_PHASES,
    CONF_CHARGE_POINT_ID,
    CONF_CIRCUIT,
    CONF_CONNECTORS,
    CONF_MAX_A,
    CONF_MAX_W,
    CONF_MIN_A,
    CONF_MIN_W,
    CONF_NUMBER,
    CONF_OCPP_PORT,
    CONF_PASSWORD,
    CONF_PHASE_COUNT,
    CONF_PHASES,
    CONF_SUPPLY,
    DOMAIN,
    ROOT_CIRCUIT,
    SUBENTRY_CHARGE_POINT,
)
from ..energy_management.model import PHASES, Connector, Supply
from ..validation import MINIMUM_LIMIT_A, is_charge_point_id
from .fields import amperes, choice, named_choice, watts, whole_number
from .site import (
    NEW_SUBENTRY,
    NO_FLOOR_PROBLEM,
    circuit_names,
    draft_site,
    draft_subentry,
    floor_problem,
)

CONF_CONNECTOR_COUNT = "connector_count"
CONF_LINE_PHASES = "line_phases"
SECTION_SECURITY = "security"
SECTION_AC = "ac"
SECTION_DC = "dc"

# More than any charge point on the market has.
MAX_CONNECTORS = 16

# OCPP 1.6 security white paper: an AuthorizationKey has 16 to 40 characters; older chargers send shorter ones.
PASSWORD_LENGTHS = range(8, 41)

# How the connector's own phases are wired to L1, L2, L3; an unknown wiring counts on every phase it might use.
LINE_PHASES: dict[str, tuple[list[str] | None, int]] = {
    "_".join(order).lower(): ([str(phase) for phase in order], count)
    for count in (3, 1, 2)
    for order in permutations(PHASES, count)
} | {"unknown_3": (None, 3), "unknown_2": (None, 2), "unknown_1": (None, 1)}

_DEFAULTS = Connector(id="", circuit="")

CONNECTOR_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_SUPPLY, default=Supply.AC): choice("supply", Supply),
        probatio.Required(SECTION_AC): section(
            probatio.Schema(
                {
                    probatio.Required(CONF_LINE_PHASES, default="l1_l2_l3"): choice(
                        "line_phases", LINE_PHASES
                    ),
                    probatio.Required(CONF_MIN_A, default=_DEFAULTS.min_a): amperes(),
                    probatio.Required(CONF_MAX_A, default=_DEFAULTS.max_a): amperes(),
                    probatio.Required(
                        CONF_CAN_SWITCH_PHASES, default=_DEFAULTS.can_switch_phases
                    ): BooleanSelector(),
                }
            )
        ),
        probatio.Required(SECTION_DC): section(
            probatio.Schema(
                {
                    probatio.Required(CONF_MIN_W, default=_DEFAULTS.min_w): watts(),
                    probatio.Required(CONF_MAX_W, default=_DEFAULTS.max_w): watts(),
                }
            ),
            {"collapsed": True},
        ),
    }
)


def identity_fields(circuits: Mapping[str, str]) -> dict[probatio.Marker, Any]:
    """Return the fields that every form of a charge point asks for."""
    return {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Required(CONF_CIRCUIT, default=ROOT_CIRCUIT): named_choice(circuits),
        probatio.Required(CONF_CONNECTOR_COUNT, default=1): whole_number(
            1, MAX_CONNECTORS
        ),
        probatio.Required(SECTION_SECURITY): section(
            probatio.Schema(
                {
                    probatio.Optional(CONF_PASSWORD): TextSelector(
                        TextSelectorConfig(
                            type=TextSelectorType.PASSWORD, autocomplete="new-password"
                        )
                    )
                }
            ),
            {"collapsed": True},
        ),
    }


class ChargePointSetup:
    """A charge point being set up: first itself, then one connector after the other."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], subentry_id: str | None
    ) -> None:
        """Initialize; the subentry is the one that is reconfigured, None while one is added."""
        self._hass = hass
        self._entry = entry
        self._subentry_id = subentry_id or NEW_SUBENTRY
        self._identity: dict[str, Any] = {}
        self._count = 0
        self._known: list[dict[str, Any]] = []
        self._connectors: list[dict[str, Any]] = []
        self.title = ""
        self.error_placeholders = NO_FLOOR_PROBLEM
        if subentry_id is not None:
            subentry = entry.subentries[subentry_id]
            self.title = subentry.title
            self._identity = dict(subentry.data)
            self._known = subentry.data[CONF_CONNECTORS]

    @property
    def next_number(self) -> int | None:
        """The connector to ask for next; None when all are known."""
        number = len(self._connectors) + 1
        return number if number <= self._count else None

    @property
    def data(self) -> dict[str, Any]:
        """What is stored of the charge point, once complete."""
        return {**self._identity, CONF_CONNECTORS: self._connectors}

    @property
    def unique_id(self) -> str:
        """The charge point's identity within its site."""
        return f"{SUBENTRY_CHARGE_POINT}_{self._identity[CONF_CHARGE_POINT_ID]}"

    @property
    def identity_shown(self) -> dict[str, Any]:
        """The stored charge point as the form shows it."""
        password = self._identity.get(CONF_PASSWORD)
        return {
            CONF_NAME: self.title,
            CONF_CIRCUIT: self._identity[CONF_CIRCUIT],
            CONF_CONNECTOR_COUNT: len(self._known),
            SECTION_SECURITY: {CONF_PASSWORD: password} if password else {},
        }

    def take_identity(
        self, user_input: Mapping[str, Any], charge_point_id: str
    ) -> dict[str, str]:
        """Take the first form; return its errors by field."""
        charge_point_id = charge_point_id.strip()
        errors: dict[str, str] = {}
        if not is_charge_point_id(charge_point_id):
            errors[CONF_CHARGE_POINT_ID] = "charge_point_id_invalid"
        elif charge_point_id in charge_point_ids(self._hass, self._subentry_id):
            errors[CONF_CHARGE_POINT_ID] = "charge_point_already_configured"
        self.title = user_input[CONF_NAME].strip()
        if not self.title:
            errors[CONF_NAME] = "name_missing"
        if user_input[CONF_CIRCUIT] not in circuit_names(self._entry):
            errors[CONF_CIRCUIT] = "unknown_circuit"
        password = user_input[SECTION_SECURITY].get(CONF_PASSWORD)
        if password and len(password) not in PASSWORD_LENGTHS:
            errors[SECTION_SECURITY] = "password_length"
        if not errors:
            self._count = user_input[CONF_CONNECTOR_COUNT]
            self._connectors = []
            self._identity = {
                CONF_CHARGE_POINT_ID: charge_point_id,
                CONF_CIRCUIT: user_input[CONF_CIRCUIT],
            }
            if password:
                self._identity[CONF_PASSWORD] = password
        return errors

    @property
    def connector_shown(self) -> dict[str, Any]:
        """What the form of the next connector starts from: as it was stored, else as the one before."""
        number = len(self._connectors)
        if number < len(self._known):
            return _show_connector(self._known[number])
        if self._connectors:
            return _show_connector(self._connectors[-1])
        return {}

    def take_connector(self, user_input: Mapping[str, Any]) -> dict[str, str]:
        """Take the form of a connector; return its errors by field."""
        number = len(self._connectors) + 1
        connector, errors = _take_connector(user_input, number)
        if errors:
            return errors
        connectors = [*self._connectors, connector]
        draft = draft_subentry(
            SUBENTRY_CHARGE_POINT,
            {**self._identity, CONF_CONNECTORS: connectors},
            title=self.title,
            subentry_id=self._subentry_id,
        )
        if problem := floor_problem(
            draft_site(self._entry),
            draft_site(self._entry, subentry=draft),
            circuit_names(self._entry),
        ):
            self.error_placeholders = problem
            return {"base": "floors_over_limit"}
        self._connectors = connectors
        return {}


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
            if not errors:
                return await self.async_step_connector()
        schema = probatio.Schema(
            {
                probatio.Required(CONF_CHARGE_POINT_ID): named_choice(
                    unknown_charge_points(entry), custom_value=True
                ),
                **identity_fields(circuit_names(entry)),
            }
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"url": ocpp_url(self.hass, entry)},
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask again for all but the identity: another identity is another charge point."""
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
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                probatio.Schema(identity_fields(circuit_names(entry))),
                user_input or shown,
            ),
            errors=errors,
            description_placeholders={
                "charge_point_id": charge_point_id,
                "url": ocpp_url(self.hass, entry),
            },
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
            if "subentry_id" not in self.context:
                return self.async_create_entry(
                    title=setup.title, data=setup.data, unique_id=setup.unique_id
                )
            return self.async_update_and_abort(
                self._get_entry(),
                self._get_reconfigure_subentry(),
                title=setup.title,
                data=setup.data,
            )
        return self.async_show_form(
            step_id="connector",
            data_schema=self.add_suggested_values_to_schema(
                CONNECTOR_SCHEMA, user_input or setup.connector_shown
            ),
            errors=errors,
            description_placeholders={
                "name": setup.title,
                "number": str(number),
                **setup.error_placeholders,
            },
        )


def charge_point_ids(hass: HomeAssistant, without: str | None = None) -> set[str]:
    """Return the ids of every site's charge points, since sites may share an OCPP server."""
    return {
        subentry.data[CONF_CHARGE_POINT_ID]
        for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT)
        if subentry.subentry_id != without
    }


def unknown_charge_points(entry: ConfigEntry[Any]) -> dict[str, str]:
    """Return a label for every charge point that knocks while pairing is open, by id."""
    if entry.state is not ConfigEntryState.LOADED:
        return {}
    return {
        charge_point_id: " ".join(
            filter(None, (charge_point_id, unknown.vendor, unknown.model))
        )
        for charge_point_id, unknown in entry.runtime_data.server.unknown.items()
    }


def ocpp_url(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str:
    """Return the address to enter in a charge point, as well as it is known."""
    try:
        host = URL(get_url(hass, allow_external=False, allow_cloud=False)).host
    except NoURLAvailableError:
        host = None
    return f"ws://{host or 'homeassistant.local'}:{entry.data[CONF_OCPP_PORT]}/"


def _take_connector(
    user_input: Mapping[str, Any], number: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a connector to store, and the errors by section."""
    supply = Supply(user_input[CONF_SUPPLY])
    connector: dict[str, Any] = {CONF_NUMBER: number, CONF_SUPPLY: supply.value}
    if supply is Supply.DC:
        values = user_input[SECTION_DC]
        low_w, high_w = values[CONF_MIN_W], values[CONF_MAX_W]
        connector |= {CONF_MIN_W: low_w, CONF_MAX_W: high_w}
        if not (math.isfinite(low_w) and math.isfinite(high_w) and low_w > 0):
            return connector, {SECTION_DC: "power_not_positive"}
        if high_w < low_w:
            return connector, {SECTION_DC: "maximum_below_minimum"}
        return connector, {}
    values = user_input[SECTION_AC]
    low_a, high_a = values[CONF_MIN_A], values[CONF_MAX_A]
    phases, count = LINE_PHASES[values[CONF_LINE_PHASES]]
    connector |= {
        CONF_PHASES: phases,
        CONF_PHASE_COUNT: count,
        CONF_CAN_SWITCH_PHASES: values[CONF_CAN_SWITCH_PHASES] and count == 3,
        CONF_MIN_A: low_a,
        CONF_MAX_A: high_a,
    }
    if not (math.isfinite(high_a) and low_a >= MINIMUM_LIMIT_A):
        return connector, {SECTION_AC: "minimum_too_low"}
    if high_a < low_a:
        return connector, {SECTION_AC: "maximum_below_minimum"}
    return connector, {}


def _show_connector(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored connector as the form shows it."""
    shown: dict[str, Any] = {
        CONF_SUPPLY: stored[CONF_SUPPLY],
        SECTION_AC: {
            k: stored[k]
            for k in (CONF_MIN_A, CONF_MAX_A, CONF_CAN_SWITCH_PHASES)
            if k in stored
        },
        SECTION_DC: {k: stored[k] for k in (CONF_MIN_W, CONF_MAX_W) if k in stored},
    }
    if stored[CONF_SUPPLY] == Supply.AC:
        phases = stored[CONF_PHASES]
        shown[SECTION_AC][CONF_LINE_PHASES] = (
            "_".join(phases).lower()
            if phases
            else f"unknown_{stored[CONF_PHASE_COUNT]}"
        )
    return shown
