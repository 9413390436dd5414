"""Limits of user groups over time."""

import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import LimitKind
from custom_components.reev_ems.energy_management.model import (
    Circuit,
    Connector,
    Settings,
    Site,
    UserGroup,
)
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)
from tests.energy_management.stepping import step

_NAMES = ("a", "b", "c")


class Loop:
    """Three cars on a wide circuit; they draw at once what they are permitted. `a` and `b` are of the group."""

    def __init__(self, group: UserGroup) -> None:
        """Begin at the start."""
        self.site = Site(
            circuits=(Circuit(id="main", limit_a=(99.0, 99.0, 99.0), metered=True),),
            connectors=tuple(Connector(id=name, circuit="main") for name in _NAMES),
            user_groups=(group,),
            imbalance=None,
            settings=Settings(rotation_slot_s=60.0, min_on_s=0.0, min_off_s=0.0),
        )
        self.group = group.id
        self.state = ControllerState()
        self.states = dict.fromkeys(_NAMES, ConnectorState.CHARGING)
        self.permits_a = dict.fromkeys(_NAMES, 0.0)
        self.limits = dict.fromkeys(_NAMES, "")
        self.kinds = dict.fromkeys(_NAMES, LimitKind.NOT_CONNECTED)
        self.reported_s: dict[str, float] = {}
        """By connector that does not report any more, when it did so last."""
        self.reported_a: dict[str, float] = {}
        self.now_s = 1000.0

    def step(self, seconds: int) -> list[dict[str, float]]:
        """Take as many steps of one second and return the permits of each."""
        seen = []
        for _ in range(seconds):
            total_a = sum(self.permits_a.values())
            self.state, decision = step(
                self.site,
                self.state,
                Observation(
                    at_s=self.now_s,
                    meters={
                        "main": MeterObservation(
                            current_a=(total_a, total_a, total_a), age_s=0.2
                        )
                    },
                    connectors={
                        name: ConnectorObservation(
                            state=self.states[name],
                            current_a=(self._report_a(name),) * 3,
                            age_s=self.now_s
                            - self.reported_s.get(name, self.now_s - 0.5),
                            groups=() if name == "c" else (self.group,),
                        )
                        for name in _NAMES
                    },
                ),
            )
            self.now_s += 1
            for name, item in decision.connectors.items():
                self.permits_a[name] = item.permit_a or 0.0
                self.limits[name] = str(item.limited_by)
                self.kinds[name] = item.limited_by.kind
            seen.append(dict(self.permits_a))
        return seen

    def _report_a(self, name: str) -> float:
        """Return the draw that a charge point reports; one that is silent, its last one."""
        if name not in self.reported_s:
            self.reported_a[name] = self.permits_a[name]
        return self.reported_a[name]


def test_s1_members_share_the_limit_of_their_group() -> None:
    """At no moment more than the limit, who is no member is not touched."""
    loop = Loop(UserGroup(id="g", limit_a=(22.0, 20.0, 22.0)))
    for permits_a in loop.step(200):
        assert permits_a["a"] + permits_a["b"] <= 20.0
    assert loop.permits_a == {"a": 10.0, "b": 10.0, "c": 16.0}
    assert loop.limits["a"] == "user group g, L2"
    assert loop.kinds["a"] is LimitKind.USER_GROUP


def test_s7_a_member_that_went_offline_stays_booked_in_its_group() -> None:
    """The other may not have its share before its permit has lapsed, and then all but its floor."""
    loop = Loop(UserGroup(id="g", limit_w=20 * 690.0))
    loop.step(200)
    assert loop.permits_a["a"] == loop.permits_a["b"] == 10.0
    loop.states["b"] = ConnectorState.OFFLINE
    # It was renewed every 150 s: its last command is at most so old, and a permit lives for 300 s.
    for _ in range(150):
        loop.step(1)
        assert loop.permits_a["a"] == 10.0
    loop.step(180)
    assert loop.permits_a["a"] == 14.0
    assert loop.limits["a"] == "user group g, power"


@pytest.mark.parametrize("reports", [False, True])
def test_a_raise_waits_until_another_member_has_come_down(reports: bool) -> None:
    """A group's room goes to a newcomer only once it is there.

    A report at the lowered permit shows that; without one the meter does, a reading later.
    """
    loop = Loop(UserGroup(id="g", limit_a=(20.0, 20.0, 20.0)))
    loop.states["b"] = ConnectorState.AVAILABLE
    loop.step(200)
    assert loop.permits_a["a"] == 16.0
    loop.states["b"] = ConnectorState.CHARGING
    if not reports:
        loop.reported_s["a"] = loop.now_s - 1
    history = loop.step(50)
    assert all(permits_a["a"] + permits_a["b"] <= 20.0 for permits_a in history)
    lowered, raised = (
        next(
            second for second, permits_a in enumerate(history) if permits_a[name] == 10
        )
        for name in ("a", "b")
    )
    assert raised == lowered + (1 if reports else 2)
    assert loop.permits_a["a"] == loop.permits_a["b"] == 10.0


def test_s1_the_offer_of_a_sleeping_member_is_within_the_limit_of_its_group() -> None:
    """One that draws nothing of it may wake at any moment, and there is room for one minimum beside the other."""
    loop = Loop(UserGroup(id="g", limit_a=(14.0, 14.0, 14.0)))
    loop.states["b"] = ConnectorState.SUSPENDED_EV
    loop.reported_s["b"] = 0.0
    loop.reported_a["b"] = 0.0
    for permits_a in loop.step(600):
        assert permits_a["a"] + permits_a["b"] <= 14.0


def test_members_take_turns_where_the_limit_is_for_one() -> None:
    """Whoever waits for the other member waits for its turn."""
    loop = Loop(UserGroup(id="g", limit_a=(10.0, 10.0, 10.0)))
    history = loop.step(400)
    assert all(permits_a["a"] + permits_a["b"] <= 12.0 for permits_a in history)
    for name in ("a", "b"):
        assert any(permits_a[name] > 6.0 for permits_a in history[60:])
    waiting = next(name for name in ("a", "b") if not loop.permits_a[name])
    assert loop.limits[waiting].startswith("user group g, L1, waiting for its turn, ")
