"""Constants of the reev EMS integration."""

import logging
from typing import Final

DOMAIN: Final = "reev_ems"

LOGGER = logging.getLogger(__package__)

# The circuit that the config entry itself stands for: the grid connection. Every other circuit is a
# subentry and is known by its subentry id.
ROOT_CIRCUIT: Final = "main"

SUBENTRY_METER: Final = "meter"
SUBENTRY_CIRCUIT: Final = "circuit"
SUBENTRY_CHARGE_POINT: Final = "charge_point"
SUBENTRY_GATEWAY: Final = "gateway"

# Config entry: data. Limits are lists of three, L1 to L3, in A.
CONF_LIMIT_A: Final = "limit_a"
CONF_LIMIT_W: Final = "limit_w"
CONF_OCPP_PORT: Final = "ocpp_port"

# Config entry: options; beside these, every field of energy_management.model.Settings under its own name.
CONF_SHARING: Final = "sharing"
CONF_MARGIN_A: Final = "margin_a"
# 0 switches the phase imbalance limit off.
CONF_IMBALANCE_LIMIT_A: Final = "imbalance_limit_a"

# Subentry: meter (beside host and port)
CONF_CIRCUIT: Final = "circuit"
CONF_PROFILE: Final = "profile"
CONF_UNIT_ID: Final = "unit_id"
CONF_POLL_S: Final = "poll_s"
CONF_INVERT: Final = "invert"
CONF_PHASE_ORDER: Final = "phase_order"
CONF_SERIAL: Final = "serial"
# A meter made of sensors has instead of an address an entity for each quantity, and what they are wired to.
SENSORS_MODEL: Final = "sensors"
CONF_SENSORS: Final = "sensors"
CONF_WIRING: Final = "wiring"

# Subentry: gateway (beside host, port and unit id): meters that are reached through it at addresses of their own.
CONF_METERS: Final = "meters"

# Subentry: circuit (beside limits; its name is the subentry's title)
CONF_PARENT: Final = "parent"
CONF_RESERVE_A: Final = "reserve_a"

# Subentry: charge point (its name is the subentry's title)
CONF_CHARGE_POINT_ID: Final = "charge_point_id"
CONF_PASSWORD: Final = "password"
CONF_CONNECTORS: Final = "connectors"
# One connector of a charge point; `phases` is a list of line phases or None for unknown.
CONF_NUMBER: Final = "number"
CONF_SUPPLY: Final = "supply"
CONF_PHASES: Final = "phases"
CONF_PHASE_COUNT: Final = "phase_count"
# Whether the charge point switches a running session between three phases and one.
CONF_CAN_SWITCH_PHASES: Final = "can_switch_phases"
CONF_MIN_A: Final = "min_a"
CONF_MAX_A: Final = "max_a"
CONF_MIN_W: Final = "min_w"
CONF_MAX_W: Final = "max_w"

# The port that OCPP users expect.
DEFAULT_OCPP_PORT: Final = 9000

# VDE-AR-N 4100 5.5.2 (4.6 kVA), TAEV (3.68 kVA) and Werkvorschriften CH (3.7 kVA), at 230 V.
IMBALANCE_LIMIT_A_BY_COUNTRY: Final = {"DE": 20.0, "AT": 16.0, "CH": 16.0}

# The recorder must not see the 1 s control loop.
MEASURED_VALUE_INTERVAL_S: Final = 5.0
