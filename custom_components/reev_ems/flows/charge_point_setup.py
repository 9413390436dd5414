"""A charge point being set up: who it is, where it is connected, and what its connectors can do."""

from collections.abc import Mapping
from itertools import permutations
import math
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import probatio

from ..charge_points.passwords import PASSWORD_LENGTHS, generate_password
from ..charge_points.security import PortSecurity
from ..const import (
    CONF_AUTOMATIC_MODE,
    CONF_CAN_SWITCH_PHASES,
    CONF_CERTIFICATES,
    CONF_CHARGE_POINT_ID,
    CONF_CIRCUIT,
    CONF_CONNECTORS,
    CONF_DEMANDS_CERTIFICATE,
    CONF_FORMER_PASSWORD,
    CONF_MAX_A,
    CONF_MAX_W,
    CONF_MIN_A,
    CONF_MIN_W,
    CONF_NUMBER,
    CONF_PASSWORD,
    CONF_PASSWORD_ON_TRIAL,
    CONF_PHASE_COUNT,
    CONF_PHASES,
    CONF_SUPPLY,
    DOMAIN,
    ROOT_CIRCUIT,
    SUBENTRY_CHARGE_POINT,
)
from ..energy_management.model import PHASES, ChargingMode, Connector, Supply
from ..ocpp_server.passwords import hashed
from .fields import amperes, choice, circuit_choice, watts, whole_number
from .site import (
    NEW_SUBENTRY,
    NO_FLOOR_PROBLEM,
    circuit_names,
    draft_site,
    draft_subentry,
    existing_circuit,
    floor_problem,
)
from .validation import MINIMUM_LIMIT_A, is_charge_point_id

CONF_CONNECTOR_COUNT = "connector_count"
CONF_LINE_PHASES = "line_phases"
CONF_LOGIN = "login"
SECTION_SECURITY = "security"
SECTION_AC = "ac"
SECTION_DC = "dc"

# More than any charge point on the market has.
MAX_CONNECTORS = 16

LOGIN_TELL = "tell"
LOGIN_NONE = "none"
LOGIN_GENERATE = "generate"
LOGIN_OWN = "own"
LOGIN_CERTIFICATE = "certificate"
_LOGINS = (LOGIN_TELL, LOGIN_NONE, LOGIN_GENERATE, LOGIN_OWN, LOGIN_CERTIFICATE)

# How the connector's own phases are wired to L1, L2, L3; an unknown wiring counts on every phase it might use.
LINE_PHASES: dict[str, tuple[list[str] | None, int]] = {
    "_".join(order).lower(): ([str(phase) for phase in order], count)
    for count in (3, 1, 2)
    for order in permutations(PHASES, count)
} | {"unknown_3": (None, 3), "unknown_2": (None, 2), "unknown_1": (None, 1)}

_DEFAULTS = Connector(id="", circuit="")

_CONNECTOR_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_SUPPLY, default=Supply.AC): choice("supply", Supply),
        probatio.Required(
            CONF_AUTOMATIC_MODE, default=_DEFAULTS.automatic_mode
        ): choice("automatic_mode", (ChargingMode.SOLAR, ChargingMode.SOLAR_MIN)),
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
            )
        ),
    }
)


def connector_schema(shown: Mapping[str, Any]) -> probatio.Schema:
    """Return the form of a connector, with the settings open that apply to the supply that is shown."""
    hidden = SECTION_AC if shown.get(CONF_SUPPLY) == Supply.DC else SECTION_DC
    return probatio.Schema(
        {
            key: section(value.schema, {"collapsed": key == hidden})
            if isinstance(value, section)
            else value
            for key, value in _CONNECTOR_SCHEMA.schema.items()
        }
    )


def identity_fields(circuits: Mapping[str, str]) -> dict[probatio.Marker, Any]:
    """Return the fields that every form of a charge point asks for."""
    return {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Required(CONF_CIRCUIT, default=ROOT_CIRCUIT): circuit_choice(circuits),
        probatio.Required(CONF_CONNECTOR_COUNT, default=1): whole_number(
            1, MAX_CONNECTORS, "connectors_out_of_range"
        ),
    }


def default_login(entry: ConfigEntry[Any]) -> str:
    """Return what a new charge point has, if nobody says otherwise."""
    profile = PortSecurity.of(entry.data).profile
    if profile.demands_password:
        return LOGIN_GENERATE
    return LOGIN_NONE if profile.is_encrypted else LOGIN_TELL


def login_fields(default: str) -> dict[probatio.Marker, Any]:
    """Return the fields that ask for a password, or whether a certificate is shown instead."""
    return {
        probatio.Required(SECTION_SECURITY): section(
            probatio.Schema(
                {
                    probatio.Required(CONF_LOGIN, default=default): choice(
                        CONF_LOGIN, _LOGINS
                    ),
                    probatio.Optional(CONF_PASSWORD): TextSelector(
                        TextSelectorConfig(
                            type=TextSelectorType.PASSWORD, autocomplete="new-password"
                        )
                    ),
                }
            ),
            {"collapsed": default == LOGIN_NONE},
        ),
    }


# How a charge point signs in, as it is stored.
LOGIN_KEYS = (
    CONF_PASSWORD,
    CONF_FORMER_PASSWORD,
    CONF_PASSWORD_ON_TRIAL,
    CONF_DEMANDS_CERTIFICATE,
)


def take_login(
    entry: ConfigEntry[Any], user_input: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is stored of the log-in that was chosen, and the errors by field."""
    values = user_input[SECTION_SECURITY]
    profile = PortSecurity.of(entry.data).profile
    if values[CONF_LOGIN] == LOGIN_CERTIFICATE:
        if not profile.is_encrypted:
            return {}, {SECTION_SECURITY: "certificate_in_the_clear"}
        return {CONF_DEMANDS_CERTIFICATE: True}, {}
    password: str | None = values.get(CONF_PASSWORD)
    if password:
        if len(password) not in PASSWORD_LENGTHS:
            return {}, {SECTION_SECURITY: "password_length"}
        return {CONF_PASSWORD: password}, {}
    match values[CONF_LOGIN]:
        case "tell" if not profile.demands_password:
            login = {CONF_PASSWORD: generate_password(), CONF_PASSWORD_ON_TRIAL: True}
            return login, {}
        case "generate":
            return {CONF_PASSWORD: generate_password()}, {}
        case "own":
            return {}, {SECTION_SECURITY: "password_missing"}
    if profile.demands_password:
        return {}, {SECTION_SECURITY: "password_demanded"}
    return {}, {}


class ChargePointSetup:
    """A charge point being set up: first itself, then one connector after the other."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], subentry_id: str | None
    ) -> None:
        """Initialize; the subentry is the one that is reconfigured, None while one is added."""
        self._hass = hass
        self._entry = entry
        self._subentry_id = subentry_id or NEW_SUBENTRY
        # No certificate is good that was made for a charge point of this id before.
        self._identity: dict[str, Any] = {CONF_CERTIFICATES: []}
        self._count = 0
        self._known: list[dict[str, Any]] = []
        self._connectors: list[dict[str, Any]] = []
        self.title = ""
        self.new_password: str | None = None
        """To be shown once."""
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
    def charge_point_id(self) -> str:
        """Its OCPP identity."""
        charge_point_id: str = self._identity[CONF_CHARGE_POINT_ID]
        return charge_point_id

    @property
    def identity_shown(self) -> dict[str, Any]:
        """The stored charge point as the form shows it."""
        return {
            CONF_NAME: self.title,
            CONF_CIRCUIT: existing_circuit(self._entry, self._identity[CONF_CIRCUIT]),
            CONF_CONNECTOR_COUNT: len(self._known),
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
        if user_input[CONF_CIRCUIT] not in circuit_names(self._hass, self._entry):
            errors[CONF_CIRCUIT] = "unknown_circuit"
        if not errors:
            self._count = user_input[CONF_CONNECTOR_COUNT]
            self._connectors = []
            self._identity |= {
                CONF_CHARGE_POINT_ID: charge_point_id,
                CONF_CIRCUIT: user_input[CONF_CIRCUIT],
            }
        return errors

    def take_login(self, user_input: Mapping[str, Any]) -> dict[str, str]:
        """Take the password; return its errors by field."""
        login, errors = take_login(self._entry, user_input)
        for key in LOGIN_KEYS:
            self._identity.pop(key, None)
        self._identity |= login
        if CONF_PASSWORD_ON_TRIAL not in login:
            self.new_password = login.get(CONF_PASSWORD)
        if self.new_password:
            # It is shown once, and not needed any more.
            self._identity[CONF_PASSWORD] = hashed(self.new_password)
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
            self._hass,
            draft_site(self._entry),
            draft_site(self._entry, subentry=draft),
            circuit_names(self._hass, self._entry),
        ):
            self.error_placeholders = problem
            return {"base": "floors_over_limit"}
        self._connectors = connectors
        return {}


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


def _take_connector(
    user_input: Mapping[str, Any], number: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a connector to store, and the errors by section."""
    supply = Supply(user_input[CONF_SUPPLY])
    connector: dict[str, Any] = {
        CONF_NUMBER: number,
        CONF_SUPPLY: supply.value,
        CONF_AUTOMATIC_MODE: str(user_input[CONF_AUTOMATIC_MODE]),
    }
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
        CONF_AUTOMATIC_MODE: stored.get(CONF_AUTOMATIC_MODE, _DEFAULTS.automatic_mode),
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
