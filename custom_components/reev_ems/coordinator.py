"""The control loop of a site: gathers what is known, calls the energy management, carries out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
import time
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .charge_points.config import charge_point_config
from .charge_points.handing_over import BaseLoads, HandingOver, async_hand_over
from .charge_points.learnt import LEARNT
from .charge_points.listener import DATA
from .charge_points.measures import Measures
from .charge_points.pairing import async_set_pairing
from .charge_points.security import PortSecurity
from .const import (
    CONF_CONNECTORS,
    CONF_OCPP_PORT,
    LOGGER,
    ROOT_CIRCUIT,
    SUBENTRY_CHARGE_POINT,
    SUBENTRY_CIRCUIT,
    SUBENTRY_USER_GROUP,
)
from .energy_management.controller import ControllerState, step
from .energy_management.decision import Action, Command, Decision, IssueKind
from .energy_management.model import ChargingMode, Site
from .energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    Observation,
)
from .energy_management.outlets import layout
from .meters import Load, MeterProfile
from .ocpp_server import (
    Booted,
    ChargePoint,
    ChargePointConfig,
    ChargePointEvent,
    LearntChanged,
    Metered,
    OcppServer,
    Permit,
    SelfTested,
)
from .parts.publisher import Publisher
from .parts.steady_limit import SteadyLimit
from .readings.gateways import SiteGateways
from .readings.line_phases import async_line_phases
from .readings.meters import MeterStatus, SiteMeters
from .site.build import Shortcomings, build_settings, build_site, connector_id
from .site.controls import Controls, controls_store
from .site.external_limit import ExternalLimit
from .site.history import History
from .site.home_battery import observe_battery
from .site.kept import KeptOverReload, async_keep, async_take_kept
from .site.names import connector_names
from .site.pace import Pace
from .site.people import authorizer, people_of
from .site.structure import structure_of
from .site.texts import async_grid_connection
from .site.used_phases import UsedPhases, person_of

type ReevConfigEntry = ConfigEntry[ReevCoordinator]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteData:
    """One turn of the control loop."""

    site: Site
    observation: Observation
    decision: Decision
    meters: Mapping[str, MeterStatus]
    """By meter subentry."""


class ReevCoordinator(DataUpdateCoordinator[SiteData]):
    """Runs the energy management of one site."""

    config_entry: ReevConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ReevConfigEntry,
        server: OcppServer,
        controls: Controls,
        used_phases: UsedPhases,
    ) -> None:
        """Initialize; nothing runs before async_start."""
        super().__init__(
            hass, LOGGER, config_entry=entry, name=f"reev EMS {entry.title}"
        )
        self.server = server
        self.controls = controls
        self.charge_points: dict[str, ChargePoint] = {}
        self.profiles: Mapping[str, MeterProfile] = {}
        self.history = History(hass)
        self.publisher = Publisher(hass)
        self.circuit_names = {ROOT_CIRCUIT: async_grid_connection(hass)} | {
            subentry.subentry_id: subentry.title
            for subentry in entry.get_subentries_of_type(SUBENTRY_CIRCUIT)
        }
        self.group_names = {
            subentry.subentry_id: subentry.title
            for subentry in entry.get_subentries_of_type(SUBENTRY_USER_GROUP)
        }
        self.people = people_of(entry)
        self.external_limit = ExternalLimit(
            hass,
            entry.options,
            sum(
                len(subentry.data[CONF_CONNECTORS])
                for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT)
            ),
        )
        self._structure = structure_of(entry)
        self._subentries = dict(entry.subentries)
        self.outdated = False
        """Whether the entry was changed such that a reload follows, before which nothing is built on it any more."""
        self.connector_names = connector_names(entry)
        self.steady_limits = defaultdict[str, SteadyLimit](SteadyLimit)
        self._used_phases = used_phases
        self._persons: dict[str, str | None] = {}
        """The person who charges, by connector, as of the last observation."""
        self._connectors: dict[str, tuple[ChargePoint, int]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._pace = Pace()
        self._meters = SiteMeters(
            hass, entry, loads=self._loads, on_news=self._pace.meter_news
        )
        self.line_phases = async_line_phases(hass, entry)
        self.gateways = SiteGateways(hass, entry)
        self._state = ControllerState()
        self._thread = ThreadPoolExecutor(1, f"{self.name} decision")
        self._store = controls_store(hass, entry.entry_id)
        self._measures = Measures(hass, entry, self._note_service)
        self._base_loads = BaseLoads()

    async def async_start(self, profiles: Mapping[str, MeterProfile]) -> None:
        """Take up the site: charge points, meters, loop. Everything ends with the entry's unload.

        Up to the first step nothing is waited for: all is made of the same state of the entry.
        """
        entry = self.config_entry
        shared = self.hass.data[DATA]
        self.profiles = profiles
        kept = async_take_kept(self.hass, entry.entry_id)
        if kept is not None and kept.server is self.server:
            # A server that stopped sent its charge points to their floors: to a new one all is to be said again.
            self._state = kept.state
        entry.async_on_unload(self._keep)
        entry.async_on_unload(self._async_save_controls)
        entry.async_on_unload(self._used_phases.async_save)

        for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT):
            config = self._charge_point_config(subentry)
            charge_point = self.hass.data[LEARNT].async_adopt(self.server, config)
            self.charge_points[subentry.subentry_id] = charge_point
            for number in config.connector_ids:
                item_id = connector_id(config.id, number)
                self._connectors[item_id] = (charge_point, number)
                self._places[item_id] = (subentry.subentry_id, number)
            entry.async_on_unload(charge_point.subscribe(self._on_charge_point_event))
        self._lacking = self._shortcomings()
        self._plan = layout(build_site(entry, self.controls, self._lacking))
        self._take_up_people()
        adopted = {charge_point.id for charge_point in self.charge_points.values()}
        for gone in shared.adopted.get(entry.entry_id, set()) - adopted:
            self.server.remove(gone)
            self.hass.data[LEARNT].async_forget(gone)
        shared.adopted[entry.entry_id] = adopted

        # What the decisions of before a restart took out of service they know nothing of any more.
        measures = dict.fromkeys(self.controls.out_of_service, Action.OPERATIVE)
        if kept is not None and self._state is kept.state:
            measures = dict(kept.measures)
        for item_id, action in measures.items():
            if item_id in self._connectors:
                self._measures.want(item_id, *self._connectors[item_id], action)
        self.gateways.start(shared.gateways)
        readings = {} if kept is None else kept.readings
        self._meters.start(self._plan.site, shared.gateways, profiles, readings)

        entry.async_on_unload(
            self.async_add_listener(
                lambda: self.publisher.turn(self.data.decision.at_s)
            )
        )
        await self._step()
        shared.handing_over[entry.entry_id] = HandingOver(
            self.server, self._async_hand_over
        )
        entry.async_create_background_task(
            self.hass, self._run(), f"{self.name} control loop"
        )

    async def _run(self) -> None:
        """Step at every meter reading and charge point event, and when nothing happens."""
        try:
            while True:
                await self._pace.wait()
                began_s = time.monotonic()
                try:
                    await self._step()
                except Exception as err:  # noqa: BLE001
                    # A bug must not end the loop for good: entities turn unavailable, no permit is renewed and
                    # every charge point falls to its floor by itself, until a step succeeds again.
                    if self.last_update_success:
                        LOGGER.exception("The energy management failed")
                    self.async_set_update_error(err)
                self._pace.stepped(began_s)
        finally:
            self._thread.shutdown(wait=False)

    async def _step(self) -> None:
        """Observe, decide, carry out, publish.

        With hundreds of connectors a decision takes too long for the event loop. Home Assistant's own threads can all
        be busy with somebody else's jobs.
        """
        plan, state_before = self._plan, self._state
        observation = self._observe(time.monotonic())
        self._state, decision = await self.hass.loop.run_in_executor(
            self._thread, step, plan, state_before, observation
        )
        for command in decision.commands:
            self._carry_out(command, observation.at_s)
        for issue in decision.issues:
            if issue.kind is IssueKind.DISOBEDIENT and issue.connector:
                charge_point, number = self._connectors[issue.connector]
                charge_point.zero.disobeyed(number)
        for item_id, decided in decision.connectors.items():
            self._used_phases.learn(self._persons.get(item_id), decided.used_phases)
        self._base_loads.note(decision)
        self.history.append(plan.site, state_before, observation, decision)
        self.async_set_updated_data(
            SiteData(
                site=plan.site,
                observation=observation,
                decision=decision,
                meters=dict(self._meters.statuses),
            )
        )

    def _observe(self, at_s: float) -> Observation:
        """Return all that is known now."""
        signal = self.external_limit.listen(self.controls, at_s)
        if signal != self.controls.external_signal:
            self._keep_controls(replace(self.controls, external_signal=signal))
        return Observation(
            at_s=at_s,
            meters=self._meters.observe(at_s),
            connectors={
                item_id: self._observe_connector(item_id, at_s)
                for item_id in self._connectors
            },
            external_limit_w=self.external_limit.limit_w(self.controls),
            battery=observe_battery(self.hass, self.config_entry.options),
        )

    def _observe_connector(self, item_id: str, at_s: float) -> ConnectorObservation:
        """Return what is known of a connector."""
        charge_point, number = self._connectors[item_id]
        view = charge_point.connectors[number]
        permit = view.permit
        if view.permit_expires_at_s is not None and view.permit_expires_at_s <= at_s:
            permit = None
        transaction = view.transaction
        id_tag = transaction.id_tag if transaction else None
        user = self.people.user_of(id_tag)
        person = self._persons[item_id] = person_of(transaction, self.people)
        return ConnectorObservation(
            state=view.state if charge_point.connected else ConnectorState.OFFLINE,
            current_a=view.current_a,
            power_w=view.power_w,
            age_s=None if view.measured_at_s is None else at_s - view.measured_at_s,
            permit_a=permit.limit_a if permit else None,
            permit_w=permit.limit_w if permit else None,
            priorities=user.priorities if user else (),
            groups=user.groups if user else (),
            used_phases=self._used_phases.of(person),
            session_wh=transaction.energy_wh if transaction else None,
            enabled=self.controls.connector(item_id).enabled,
            authorized=transaction is None or self.people.may_charge(id_tag),
        )

    def _carry_out(self, command: Command, now_s: float) -> None:
        """Hand a command to its charge point, which sends it in its own time."""
        charge_point, number = self._connectors[command.connector]
        if command.expires_s is None:
            self._measures.want(command.connector, charge_point, number, command.action)
            return
        charge_point.permit(
            number,
            Permit(
                limit_a=command.permit_a,
                limit_w=command.permit_w,
                life_s=command.expires_s - now_s,
                phase_count=command.phase_count,
            ),
        )

    def _loads(self) -> dict[str, Load]:
        """Return what the connectors were last reported to draw."""
        loads = {}
        for item_id, (charge_point, number) in self._connectors.items():
            view = charge_point.connectors[number]
            if view.current_a is not None and view.measured_at_s is not None:
                loads[item_id] = Load(
                    current_a=sum(current or 0.0 for current in view.current_a),
                    at_s=view.measured_at_s,
                )
        return loads

    @callback
    def _on_charge_point_event(self, event: ChargePointEvent) -> None:
        """Step at once when something happened; a new measurement waits for the next meter reading."""
        if isinstance(event, SelfTested | Booted | LearntChanged):
            self._note_abilities()
        if isinstance(event, LearntChanged):
            return
        if isinstance(event, Metered):
            self._learn(event)
        else:
            self._pace.news()

    def subentry(self, subentry_id: str) -> ConfigSubentry:
        """Return a subentry, also while the reload is awaited that follows its removal."""
        current = self.config_entry.subentries.get(subentry_id)
        return current or self._subentries[subentry_id]

    def subentries_of_type(self, subentry_type: str) -> Iterator[ConfigSubentry]:
        """Return the subentries that the site was built of."""
        for subentry_id, subentry in self._subentries.items():
            if subentry.subentry_type == subentry_type:
                yield self.subentry(subentry_id)

    def place_of(self, item_id: str) -> tuple[str, int]:
        """Return the subentry of a connector's charge point, and the connector's number there."""
        return self._places[item_id]

    def _learn(self, event: Metered) -> None:
        """Learn from new measured values which phases a connector is wired to."""
        item_id = connector_id(event.charge_point_id, event.connector_id)
        if item_id not in self._connectors:
            return
        charge_point, number = self._connectors[item_id]
        view = charge_point.connectors[number]
        if view.measured_at_s is not None:
            self.line_phases.observe(
                self._plan.site,
                item_id,
                view.current_a,
                view.measured_at_s,
                self._meters.statuses,
            )

    def _shortcomings(self) -> Shortcomings:
        """Return what the charge points are known not to do, as of now (S7)."""
        points = self.charge_points.values()
        return Shortcomings(
            frozenset(it.id for it in points if it.autonomous_fallback is False),
            frozenset(it.id for it in points if not it.obeys_pause),
        )

    def _note_abilities(self) -> None:
        """Decide anew where a charge point has shown something else than before; all of its model may be like that."""
        lacking = self._shortcomings()
        if lacking != self._lacking:
            self._lacking = lacking
            self._decide_anew()

    @callback
    def _note_service(self, item_id: str, in_service: bool) -> None:
        """Remember which connectors are out of service because of an overload."""
        out = set(self.controls.out_of_service) - {item_id}
        if not in_service:
            out.add(item_id)
        if out != set(self.controls.out_of_service):
            self._keep_controls(
                replace(self.controls, out_of_service=tuple(sorted(out)))
            )

    @callback
    def _keep(self) -> None:
        """Keep over a reload what was learnt and measured; readings only get older.

        What a meter showed with other settings is neither a reading nor a testimony any more.
        """
        before = self._structure["subentries"]
        now = structure_of(self.config_entry)["subentries"]
        same = {
            subentry_id: status
            for subentry_id, status in self._meters.statuses.items()
            if before.get(subentry_id) == now.get(subentry_id)
        }
        circuits = {status.circuit for status in same.values()}
        meters = {
            name: memory
            if name in circuits
            else replace(memory, witness=None, is_false=False)
            for name, memory in self._state.meters.items()
        }
        async_keep(
            self.hass,
            self.config_entry.entry_id,
            KeptOverReload(
                self.server,
                replace(self._state, meters=meters),
                {
                    subentry_id: status.reading
                    for subentry_id, status in same.items()
                    if status.reading
                },
                self._measures.pending,
            ),
        )

    async def _async_save_controls(self) -> None:
        """Write what the delayed save has not written yet: a reload reads it at once."""
        await self._store.async_save(asdict(self.controls))

    async def _async_hand_over(self) -> None:
        """Let the charge points keep what fits without us."""
        data = self.data
        if self.last_update_success:
            await async_hand_over(
                self._connectors,
                data.site,
                data.observation,
                data.decision,
                self._base_loads,
            )

    async def async_set_mode(self, item_id: str, mode: ChargingMode) -> None:
        """Change what a connector may charge from."""
        self._change(self.controls.with_connector(item_id, mode=mode))

    async def async_set_priority(self, item_id: str, priority: int) -> None:
        """Change a connector's priority, 1 to 10."""
        self._change(self.controls.with_connector(item_id, priority=priority))

    async def async_set_enabled(self, item_id: str, enabled: bool) -> None:
        """Allow a connector to charge, or pause it."""
        self._change(self.controls.with_connector(item_id, enabled=enabled))

    async def async_set_load_management(self, on: bool) -> None:
        """Switch load management; off holds every connector at the failsafe."""
        self._change(replace(self.controls, load_management=on))

    async def async_set_pv_surplus(self, on: bool) -> None:
        """Switch PV surplus charging of the whole site."""
        self._change(replace(self.controls, pv_surplus=on))

    async def async_set_follows_pv(self, circuit_id: str, on: bool) -> None:
        """Switch PV surplus charging of one circuit."""
        follows_pv = {**self.controls.follows_pv, circuit_id: on}
        self._change(replace(self.controls, follows_pv=follows_pv))

    async def async_set_external_limit(self, on: bool) -> None:
        """Limit the charging power, or end that."""
        self._change(replace(self.controls, external_limit=on))

    async def async_set_external_limit_w(self, limit_w: float) -> None:
        """Change the power that an external limit leaves."""
        self._change(replace(self.controls, external_limit_w=limit_w))

    async def async_set_member(self, subentry_id: str, **changes: Any) -> None:
        """Change the priority of a user or a group of users, or whether a user is enabled."""
        entry = self.config_entry
        subentry = entry.subentries[subentry_id]
        self.hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, **changes}
        )

    @callback
    def async_take_up(self) -> bool:
        """Take up a changed config entry; False if that needs a reload."""
        if structure_of(self.config_entry) != self._structure:
            self.outdated = True
            return False
        self._subentries = dict(self.config_entry.subentries)
        self._take_up_people()
        for subentry_id in self.charge_points:
            # Their certificates may have changed.
            subentry = self.config_entry.subentries[subentry_id]
            self.server.adopt(self._charge_point_config(subentry))
        self._pace.news()
        self.async_update_listeners()
        return True

    def _charge_point_config(self, subentry: ConfigSubentry) -> ChargePointConfig:
        """Return what the OCPP server has to know of a charge point."""
        security = PortSecurity.of(self.config_entry.data)
        settings = build_settings(self.config_entry.options)
        return charge_point_config(subentry.data, settings, security)

    def _take_up_people(self) -> None:
        """Take up the users, and let their charge points ask for them.

        What is asked is no part of this coordinator: in the gap of a reload the answers are the same.
        """
        self.people = people_of(self.config_entry)
        for subentry_id, charge_point in self.charge_points.items():
            charge_point.authorize_tag = authorizer(
                self.hass, self.people, self.config_entry.entry_id, subentry_id
            )
            charge_point.user_of_tag = self.people.recorded_as
            charge_point.local_list.want(self.people.listed)

    def _change(self, controls: Controls) -> None:
        """Take changed controls, keep them, and decide anew at once."""
        self._keep_controls(controls)
        self._decide_anew()

    def _decide_anew(self) -> None:
        """Take what was changed into the plan, and step at once."""
        if not self.outdated:
            self._plan = layout(
                build_site(self.config_entry, self.controls, self._lacking)
            )
        self._pace.news()

    def _keep_controls(self, controls: Controls) -> None:
        """Take changed controls, and store them at once: the power may fail the moment after."""
        self.controls = controls
        self._store.async_delay_save(lambda: asdict(self.controls))

    @callback
    def set_pairing(self, on: bool) -> None:
        """Let unknown charge points introduce themselves; closes by itself."""
        port = self.config_entry.data[CONF_OCPP_PORT]
        async_set_pairing(self.hass, self.config_entry.entry_id, port, on)
        self.async_update_listeners()

    @override
    async def _async_update_data(self) -> SiteData:
        """Return the last turn: the loop pushes, nothing is polled."""
        return self.data
