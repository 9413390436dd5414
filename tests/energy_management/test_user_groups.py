"""Limits of user groups over time."""

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
                            current_a=(self.permits_a[name],) * 3,
                            age_s=0.5,
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
    for _ in range(30):
        loop.step(1)
        assert loop.permits_a["a"] == 10.0
    loop.step(300)
    assert loop.permits_a["a"] == 14.0
    assert loop.limits["a"] == "user group g, power"


def test_a_raise_waits_until_another_member_has_come_down() -> None:
    """A group's room goes to a newcomer only once it is there."""
    loop = Loop(UserGroup(id="g", limit_a=(20.0, 20.0, 20.0)))
    loop.states["b"] = ConnectorState.AVAILABLE
    loop.step(200)
    assert loop.permits_a["a"] == 16.0
    loop.states["b"] = ConnectorState.CHARGING
    history = loop.step(120)
    assert all(permits_a["a"] + permits_a["b"] <= 20.0 for permits_a in history)
    lowered, raised = (
        next(
            second for second, permits_a in enumerate(history) if permits_a[name] == 10
        )
        for name in ("a", "b")
    )
    # The car that was lowered may take that long to follow.
    assert raised >= lowered + loop.site.settings.follow_s
    assert loop.permits_a["a"] == loop.permits_a["b"] == 10.0


def test_members_take_turns_where_the_limit_is_for_one() -> None:
    """Whoever waits for the other member waits for its turn."""
    loop = Loop(UserGroup(id="g", limit_a=(10.0, 10.0, 10.0)))
    history = loop.step(400)
    assert all(permits_a["a"] + permits_a["b"] <= 12.0 for permits_a in history)
    for name in ("a", "b"):
        assert any(permits_a[name] > 6.0 for permits_a in history[60:])
    waiting = next(name for name in ("a", "b") if not loop.permits_a[name])
    assert loop.limits[waiting].startswith("user group g, L1, waiting for its turn, ")
