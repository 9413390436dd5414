"""Constants of the reev EMS integration."""

import logging
from typing import Final

DOMAIN: Final = "reev_ems"

# The version of the config entry; what a higher one stored is not understood.
VERSION: Final = 1
MINOR_VERSION: Final = 2

LOGGER = logging.getLogger(__package__)

# The circuit that the config entry itself stands for: the grid connection. Every other circuit is a
# subentry and is known by its subentry id.
ROOT_CIRCUIT: Final = "main"

SUBENTRY_METER: Final = "meter"
SUBENTRY_CIRCUIT: Final = "circuit"
SUBENTRY_CHARGE_POINT: Final = "charge_point"
SUBENTRY_GATEWAY: Final = "gateway"
SUBENTRY_USER: Final = "user"
SUBENTRY_USER_GROUP: Final = "user_group"

# Config entry: data. Limits are lists of three, L1 to L3, in A.
CONF_LIMIT_A: Final = "limit_a"
CONF_LIMIT_W: Final = "limit_w"
CONF_OCPP_PORT: Final = "ocpp_port"
# The port has it, hence all sites that share the port have the same (charge_points/security.py).
CONF_SECURITY: Final = "security"

# Config entry: options; beside these, every field of energy_management.model.Settings under its own name.
CONF_SHARING: Final = "sharing"
CONF_MARGIN_A: Final = "margin_a"
# The rules add up currents, a meter shows the sum of their phasors: tenths of an ampere between them.
DEFAULT_MARGIN_A: Final = 0.5
# 0 switches the phase imbalance limit off.
CONF_IMBALANCE_LIMIT_A: Final = "imbalance_limit_a"
CONF_AUTHORIZATION: Final = "authorization"
# Whether the users' tags are kept in the charge points, for when they are offline.
CONF_LOCAL_LISTS: Final = "local_lists"
# An entity that says whether the grid operator limits, or to how much; inverted, "off" says that it limits.
CONF_EXTERNAL_LIMIT_SOURCE: Final = "external_limit_source"
CONF_EXTERNAL_LIMIT_INVERT: Final = "external_limit_invert"
# Sensors of the home battery; inverted, power is positive while it discharges.
CONF_BATTERY_POWER: Final = "battery_power"
CONF_BATTERY_INVERT: Final = "battery_invert"
CONF_BATTERY_SOC: Final = "battery_soc"
# 0: the cars always go first.
CONF_BATTERY_PRIORITY_SOC_PCT: Final = "battery_priority_soc_pct"

# Subentry: meter (beside host and port)
CONF_CIRCUIT: Final = "circuit"
CONF_PROFILE: Final = "profile"
CONF_UNIT_ID: Final = "unit_id"
CONF_POLL_S: Final = "poll_s"
CONF_INVERT: Final = "invert"
CONF_PHASE_ORDER: Final = "phase_order"
# Those of the meter's own phases that are turned beside, and what its values are multiplied by; left out if none, and 1.
CONF_INVERTED_PHASES: Final = "inverted_phases"
CONF_RATIO: Final = "ratio"
# The largest current that the meter or its transformers measure, in A; left out if unknown.
CONF_RATING_A: Final = "rating_a"
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
# Whether it may be exceeded for a moment, as a breaker bears it; whether something below it feeds in (also in the
# entry's data, for the grid connection).
CONF_HARD_LIMIT: Final = "hard_limit"
CONF_GENERATION: Final = "generation"
GENERATION_UNKNOWN: Final = "unknown"
GENERATION_YES: Final = "yes"
GENERATION_NO: Final = "no"

# Subentry: charge point (its name is the subentry's title)
CONF_CHARGE_POINT_ID: Final = "charge_point_id"
CONF_PASSWORD: Final = "password"
# Good until the charge point has signed in with the other one.
CONF_PERSON: Final = "person"
CONF_PASSWORD_ON_TRIAL: Final = "password_on_trial"
CONF_FORMER_PASSWORD: Final = "former_password"
# It shows a certificate of its own instead, where the port does not demand one of all.
CONF_DEMANDS_CERTIFICATE: Final = "demands_certificate"
# The serial numbers of those that were made for it and are still good, the one in use first (charge_points/certificates.py).
CONF_CERTIFICATES: Final = "certificates"
# In their place: any that is in its name, made before they were kept.
ANY_CERTIFICATE: Final = "*"
# What a person knows better of its model than the table of models, as ocpp_server/quirks.py takes it.
CONF_QUIRKS: Final = "quirks"
# A firmware that can be installed: its address and, if known, its version.
CONF_FIRMWARE: Final = "firmware"
CONF_URL: Final = "url"
CONF_VERSION: Final = "version"
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
# What its mode `automatic` means while a PV switch is on.
CONF_AUTOMATIC_MODE: Final = "automatic_mode"

# Subentries: user and user group (their name is the subentry's title; a group also has limits)
CONF_ID_TAGS: Final = "id_tags"
CONF_GROUP: Final = "group"
CONF_PRIORITY: Final = "priority"
CONF_ENABLED: Final = "enabled"

# The tag under which a person in Home Assistant charges; OCPP wants one, of at most 20 characters.
DEFAULT_ID_TAG: Final = "HOMEASSISTANT"

# The port that OCPP users expect.
DEFAULT_OCPP_PORT: Final = 9000

# VDE-AR-N 4100 5.5.2 (4.6 kVA), TAEV (3.68 kVA) and Werkvorschriften CH (3.7 kVA), at 230 V.
IMBALANCE_LIMIT_A_BY_COUNTRY: Final = {"DE": 20.0, "AT": 16.0, "CH": 16.0}

# The recorder must not see the 1 s control loop.
MEASURED_VALUE_INTERVAL_S: Final = 5.0
