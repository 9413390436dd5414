"""A meter being set up: found, read once, its values understood rightly; nothing is saved before."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.helpers.sun import is_up

from ..charge_points.listener import DATA
from ..const import (
    CONF_CIRCUIT,
    CONF_PHASE_ORDER,
    CONF_POLL_S,
    CONF_PROFILE,
    CONF_RATING_A,
    CONF_SERIAL,
    CONF_UNIT_ID,
    DOMAIN,
    ROOT_CIRCUIT,
    SENSORS_MODEL,
    SUBENTRY_METER,
)
from ..energy_management.model import PHASES, PartPerPhase, PerPhase
from ..energy_management.observation import MeterReading
from ..meters import (
    DetectedMeter,
    DetectionStep,
    InvalidProfile,
    MeterError,
    MeterProbe,
    MeterProfile,
    ModbusGateways,
    Trouble,
    corrected,
    detect_meters,
    parse_profile,
    probe_meter,
)
from ..readings.correction import correction_of
from ..readings.profiles import async_load_meter_profiles
from .correction_fields import CORRECTION_KEYS, shown_correction, stored_correction
from .meter_forms import CONF_READ_AGAIN, CUSTOM_MODEL, PHASE_ORDERS
from .meter_map import CONF_MAP, MAP_TEMPLATE, async_store_profile, new_profile
from .meter_texts import MeterTexts, bullets, hints
from .sensor_meter import SensorSetup

# The field whose value is most likely wrong; whatever else is wrong belongs to no field.
FIELD_OF_ERROR = {
    "cannot_connect": CONF_HOST,
    "no_answer": CONF_UNIT_ID,
    "not_this_meter": CONF_PROFILE,
}


class MeterSetup:
    """A meter being set up; the subentry is the one that is reconfigured, None while one is added."""

    _probe: MeterProbe

    def __init__(
        self,
        hass: HomeAssistant,
        profiles: Mapping[str, MeterProfile],
        texts: MeterTexts,
        subentry: ConfigSubentry | None,
    ) -> None:
        """Initialize."""
        self._hass = hass
        self._texts = texts
        self._subentry = subentry
        self._connection = dict(subentry.data) if subentry else {}
        self._new_profile: dict[str, Any] | None = None
        self.sensors = SensorSetup(hass, texts, subentry)
        """What is chosen instead of an address."""
        self.map_shown: dict[str, Any] = {CONF_MAP: MAP_TEMPLATE}
        """The register map as it was entered last."""
        self.profiles = profiles
        self.limit_a: PerPhase | None = None
        """What the circuit that the meter measures is allowed."""
        self._before: MeterReading | None = None
        """The reading before the last one, if a person had it read again."""
        self.found: list[DetectedMeter] = []
        """What the search for the model found, the best first."""
        self.shown: dict[str, Any] = {}
        """The confirmation as it was shown; what the person changed is shown again before it is saved."""
        self.error_placeholders: dict[str, str] = {"detail": "", "min_poll": ""}

    @classmethod
    async def async_create(
        cls, hass: HomeAssistant, subentry: ConfigSubentry | None = None
    ) -> MeterSetup:
        """Return a new set-up with the known profiles."""
        profiles = await async_load_meter_profiles(hass)
        return cls(hass, profiles, await MeterTexts.async_load(hass), subentry)

    @property
    def connection(self) -> Mapping[str, Any]:
        """The connection as it was entered last."""
        return self._connection

    @property
    def models(self) -> dict[str, str]:
        """The names of the known models, by profile."""
        return {key: self._texts.model(item) for key, item in self.profiles.items()}

    @property
    def model(self) -> str:
        """The profile as it was chosen, UNKNOWN_MODEL or CUSTOM_MODEL."""
        profile: str = self._connection[CONF_PROFILE]
        return profile

    def keep(self, user_input: Mapping[str, Any]) -> dict[str, Any]:
        """Remember the connection as entered, so that it can be shown again; return it."""
        self._connection = {
            **user_input,
            CONF_HOST: user_input.get(CONF_HOST, "").strip().lower(),
        }
        return self._connection

    async def async_connect(self, user_input: Mapping[str, Any]) -> dict[str, str]:
        """Read the meter once, if its model is known; return the errors by field."""
        connection = self.keep(user_input)
        if self.model == SENSORS_MODEL:
            return {}
        if not connection[CONF_HOST]:
            return {CONF_HOST: "host_missing"}
        if (profile := self.profiles.get(self.model)) is None:
            # Nobody enters a map to hear only then that the address is taken; a search tries other unit ids, too.
            return self._known_already(connection) if self.model == CUSTOM_MODEL else {}
        return await self._async_probe(profile)

    async def async_try_map(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Read the meter once by a map that was entered; return the errors by field."""
        self.map_shown = user_input
        if not isinstance(user_input[CONF_MAP], Mapping):
            return {CONF_MAP: "map_empty"}
        raw = new_profile(user_input[CONF_NAME], user_input[CONF_MAP], self.profiles)
        try:
            profile = parse_profile(raw)
        except InvalidProfile as err:
            self.error_placeholders["detail"] = self._texts.flaw(err)
            return {CONF_MAP: "map_invalid"}
        errors = await self._async_probe(profile)
        if not errors:
            self._new_profile = raw
        elif Trouble.IMPLAUSIBLE in errors.values():
            return {CONF_MAP: "map_implausible"}
        return errors

    async def _async_probe(self, profile: MeterProfile) -> dict[str, str]:
        """Read the meter once; return the errors by field."""
        connection = self._connection
        if errors := self._known_already(connection):
            return errors
        if connection[CONF_POLL_S] < profile.min_poll_s:
            self.error_placeholders["min_poll"] = f"{profile.min_poll_s:g}"
            return {CONF_POLL_S: "polled_too_often"}
        try:
            async with self._gateways() as gateways:
                probe = await probe_meter(
                    gateways,
                    profile,
                    host=connection[CONF_HOST],
                    port=connection[CONF_PORT],
                    unit_id=connection[CONF_UNIT_ID],
                )
        except MeterError as err:
            errors = self._errors_of(err, profile)
            if profile.candidates and err.key is Trouble.NOT_THIS_METER:
                self._connection[CONF_PROFILE] = CUSTOM_MODEL
                self.map_shown = {CONF_NAME: profile.name, CONF_MAP: MAP_TEMPLATE}
                return {CONF_MAP: "no_map_fits"}
            return errors
        return self._take(probe, connection)

    async def async_store_map(self) -> None:
        """Keep the map that was entered, if any. Raises OSError."""
        if self._new_profile is not None:
            await async_store_profile(self._hass, self._new_profile)

    async def async_detect(
        self, on_progress: Callable[[float], None]
    ) -> dict[str, str]:
        """Look for meters that fit, at the unit id that was entered first; return the errors by field."""
        found: list[DetectedMeter] = []
        try:
            async with (
                self._gateways() as gateways,
                aclosing(
                    detect_meters(
                        gateways,
                        self.profiles.values(),
                        host=self._connection[CONF_HOST],
                        port=self._connection[CONF_PORT],
                        unit_ids=[self._connection[CONF_UNIT_ID]],
                    )
                ) as search,
            ):
                async for step in search:
                    if isinstance(step, DetectionStep):
                        on_progress(step.fraction)
                    else:
                        found.append(step)
        except MeterError as err:
            return self._errors_of(err)
        # Where the device names itself, models of which less fits are out.
        names = max((meter.names for meter in found), default=0)
        self.found = [meter for meter in found if meter.names == names]
        return {} if found else {CONF_PROFILE: "no_model_found"}

    @property
    def only_one(self) -> DetectedMeter | None:
        """The only model that fits; None: a person has to choose."""
        return self.found[0] if len(self.found) == 1 else None

    def choose(self, chosen: DetectedMeter) -> dict[str, str]:
        """Take one of the meters that were found; return the errors by field."""
        profile = chosen.probe.profile
        connection = {
            **self._connection,
            CONF_UNIT_ID: chosen.unit_id,
            CONF_POLL_S: max(self._connection[CONF_POLL_S], profile.min_poll_s),
        }
        return self._known_already(connection) or self._take(chosen.probe, connection)

    @asynccontextmanager
    async def _gateways(self) -> AsyncGenerator[ModbusGateways]:
        """Give the connections of the running sites: a meter that is being read may take one only."""
        if shared := self._hass.data.get(DATA):
            yield shared.gateways
            return
        gateways = ModbusGateways()
        try:
            yield gateways
        finally:
            await gateways.close()

    def _errors_of(
        self, err: MeterError, profile: MeterProfile | None = None
    ) -> dict[str, str]:
        """Return an error at the field whose value is most likely wrong."""
        # What is known about connecting it is worth most where it does not answer.
        notes = (self._texts.note(note) for note in (profile.notes if profile else ()))
        self.error_placeholders["detail"] = " ".join((f"{err.facts}.", *notes))
        return {FIELD_OF_ERROR.get(err.key, "base"): err.key}

    def _known_already(self, connection: Mapping[str, Any]) -> dict[str, str]:
        """Return an error if another meter is reached at the same place."""
        endpoint = _endpoint(connection)
        if any(
            CONF_HOST in data and _endpoint(data) == endpoint
            for data in self._other_meters()
        ):
            return {CONF_HOST: "meter_already_configured"}
        return {}

    def _take(self, probe: MeterProbe, connection: Mapping[str, Any]) -> dict[str, str]:
        """Take what the meter answered for confirmation, unless it is the device of another meter."""
        if probe.serial and any(
            data.get(CONF_SERIAL) == probe.serial
            and data[CONF_PROFILE] == probe.profile.id
            for data in self._other_meters()
        ):
            return {CONF_HOST: "meter_already_configured"}
        self._connection = {**connection, CONF_PROFILE: probe.profile.id}
        self._probe = probe
        self._before = None
        rating_a = probe.rating_a
        if self._subentry is None:
            self.shown = {
                CONF_NAME: probe.profile.name,
                CONF_PHASE_ORDER: "l1_l2_l3",
                **shown_correction({}),
            }
        else:
            stored = self._subentry.data
            order = stored.get(CONF_PHASE_ORDER, list(PHASES))
            self.shown = {
                CONF_NAME: self._subentry.title,
                CONF_PHASE_ORDER: "_".join(order).lower(),
                **shown_correction(stored),
            }
            if stored.get(CONF_PROFILE) == probe.profile.id:
                rating_a = stored.get(CONF_RATING_A, rating_a)
        if rating_a is not None:
            self.shown[CONF_RATING_A] = rating_a
        return {}

    def _other_meters(self) -> list[Mapping[str, Any]]:
        """Return the data of every meter of every site but the one that is reconfigured."""
        return [
            subentry.data
            for entry in self._hass.config_entries.async_entries(
                DOMAIN, include_ignore=False
            )
            for subentry in entry.get_subentries_of_type(SUBENTRY_METER)
            if self._subentry is None
            or subentry.subentry_id != self._subentry.subentry_id
        ]

    def confirm(self, user_input: dict[str, Any]) -> bool:
        """Return whether the person agreed with what was shown; if not, it is to be shown anew."""
        agreed = all(user_input[key] == self.shown[key] for key in CORRECTION_KEYS)
        # One that is cleared tells nothing new.
        if (rating_a := user_input.get(CONF_RATING_A)) is not None:
            agreed = agreed and rating_a == self.shown.get(CONF_RATING_A)
        self.shown = user_input
        return agreed

    async def async_read_again(self) -> dict[str, str]:
        """Read the meter again, to compare with what it told before; return the errors by field."""
        self.shown = {**self.shown, CONF_READ_AGAIN: False}
        connection = self._connection
        try:
            async with self._gateways() as gateways:
                probe = await probe_meter(
                    gateways,
                    self._probe.profile,
                    host=connection[CONF_HOST],
                    port=connection[CONF_PORT],
                    unit_id=connection[CONF_UNIT_ID],
                )
        except MeterError as err:
            self.error_placeholders["detail"] = err.facts
            return {"base": err.key}
        self._before = self._probe.reading
        # What the search for the model had to say still holds.
        self._probe = replace(probe, remarks=self._probe.remarks)
        return {}

    def _corrected(self, reading: MeterReading) -> MeterReading:
        """Return a reading as it is with the correction that is shown."""
        return corrected(self._probe.profile, reading, correction_of(self._correction))

    @property
    def _correction(self) -> dict[str, Any]:
        """What is stored of the correction."""
        return {
            CONF_PHASE_ORDER: PHASE_ORDERS[self.shown[CONF_PHASE_ORDER]],
            **stored_correction(self.shown),
        }

    @property
    def data(self) -> dict[str, Any]:
        """What is stored of the meter, once confirmed."""
        if self.model == SENSORS_MODEL:
            circuit = self._connection.get(CONF_CIRCUIT, ROOT_CIRCUIT)
            return {CONF_CIRCUIT: circuit, **self.sensors.data}
        data = {
            CONF_CIRCUIT: ROOT_CIRCUIT,
            **self._connection,
            **self._correction,
        }
        if CONF_RATING_A in self.shown:
            data[CONF_RATING_A] = self.shown[CONF_RATING_A]
        if self._probe.serial:
            data[CONF_SERIAL] = self._probe.serial
        return data

    @property
    def unique_id(self) -> str:
        """The meter's identity within its site: where it is reached, or what it measures."""
        if self.model == SENSORS_MODEL:
            return f"{SUBENTRY_METER}_{self.data[CONF_CIRCUIT]}"
        host, port, unit_id = _endpoint(self._connection)
        return f"{SUBENTRY_METER}_{host}:{port}/{unit_id}"

    @property
    def found_names(self) -> dict[str, str]:
        """What was found, by its place in the list, told apart by name and values."""
        return {
            str(index): f"{self._texts.model(found.probe.profile)}: "
            f"{self._texts.measured(found.probe.reading.voltage_v[0], 'V')}, "
            f"{self._texts.measured(found.probe.reading.current_a[0], 'A')}, "
            f"{self._texts.measured(found.probe.reading.power_total_w, 'W')}"
            for index, found in enumerate(self.found)
        }

    @property
    def placeholders(self) -> dict[str, str]:
        """The live values for the confirmation, corrected as the person chose."""
        reading = self._corrected(self._probe.reading)
        measured = self._texts.measured

        def per_phase(name: str, values: PartPerPhase, unit: str) -> dict[str, str]:
            """Return the value of every phase of the grid."""
            return {
                f"{name}_{phase.lower()}": measured(value, unit)
                for phase, value in zip(PHASES, values, strict=True)
            }

        return {
            "detail": self.error_placeholders["detail"],
            "meter": self._probe.profile.name,
            "hints": hints(
                self._texts,
                reading,
                self._corrected(self._before) if self._before else None,
                limit_a=self.limit_a,
                rating_a=self.shown.get(CONF_RATING_A),
                is_dark=not is_up(self._hass),
            ),
            "identification": ", ".join(
                f"{self._texts.field(name)} {value}"
                for name, value in self._probe.identification.items()
            )
            or "–",
            "notes": bullets(
                (
                    *map(self._texts.remark, self._probe.remarks),
                    *map(self._texts.note, self._probe.profile.notes),
                    *map(self._texts.note, self._probe.profile.value_notes),
                )
            ),
            "power_total": measured(reading.power_total_w, "W"),
            "frequency": measured(reading.frequency_hz, "Hz"),
            **per_phase("voltage", reading.voltage_v, "V"),
            **per_phase("current", reading.current_a, "A"),
            **per_phase("power", reading.power_w, "W"),
        }


def _endpoint(data: Mapping[str, Any]) -> tuple[str, int, int]:
    """Return where a meter is reached; two meters cannot be at one place."""
    return data[CONF_HOST], data[CONF_PORT], data[CONF_UNIT_ID]
