"""Random sites with random histories, for properties of the step."""

import os

from hypothesis import HealthCheck, settings, strategies as st

from custom_components.reev_ems.energy_management.model import (
    PHASES,
    ChargingMode,
    Circuit,
    Connector,
    FailsafeAction,
    ImbalanceLimit,
    Settings,
    SharingPolicy,
    Site,
    Supply,
    UserGroup,
)
from custom_components.reev_ems.energy_management.observation import (
    BatteryObservation,
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)

histories_wanted = settings(
    max_examples=int(os.environ.get("REEV_EMS_HISTORIES", "80")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
"""Random histories for each property; `scripts/prove` raises it."""

_amperes = st.integers(0, 40).map(float)
_per_phase = st.tuples(*[st.integers(-20, 60).map(float)] * 3)
_part = st.tuples(*[st.none() | _amperes] * 3)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Return a tree of one to three circuits with up to five connectors."""
    count = draw(st.integers(1, 3))
    circuits = [
        Circuit(
            id=f"k{index}",
            parent=None if index == 0 else f"k{draw(st.integers(0, index - 1))}",
            limit_a=draw(st.none() | st.tuples(*[st.integers(10, 63).map(float)] * 3)),
            limit_w=draw(st.none() | st.integers(2000, 40_000).map(float)),
            metered=draw(st.booleans()) or index == 0,
            reserve_a=draw(st.just((0.0, 0.0, 0.0)) | st.tuples(*[_amperes] * 3)),
            follows_pv=draw(st.booleans()),
        )
        for index in range(count)
    ]
    connectors = [
        Connector(
            id=f"c{index}",
            circuit=f"k{draw(st.integers(0, count - 1))}",
            supply=draw(st.sampled_from([Supply.AC, Supply.AC, Supply.AC, Supply.DC])),
            phases=draw(
                st.sampled_from(
                    [
                        PHASES,
                        PHASES,
                        PHASES[:1],
                        PHASES[1:2],
                        (PHASES[2], PHASES[0], PHASES[1]),
                        None,
                    ]
                )
            ),
            phase_count=draw(st.sampled_from([1, 3])),
            max_a=draw(st.sampled_from([16.0, 32.0])),
            max_w=22_000.0,
            priority=draw(st.integers(1, 10)),
            mode=draw(st.sampled_from(list(ChargingMode))),
            can_switch_phases=draw(st.booleans()),
            autonomous_fallback=draw(st.booleans()),
        )
        for index in range(draw(st.integers(1, 5)))
    ]
    groups = [
        UserGroup(
            id=f"u{index}",
            limit_a=draw(st.none() | st.tuples(*[st.integers(6, 40).map(float)] * 3)),
            limit_w=draw(st.none() | st.integers(1400, 20_000).map(float)),
        )
        for index in range(draw(st.integers(0, 2)))
    ]
    return Site(
        circuits=tuple(circuits),
        user_groups=tuple(groups),
        connectors=tuple(connectors),
        sharing=draw(st.sampled_from(list(SharingPolicy))),
        margin_a=draw(st.sampled_from([0.0, 1.0])),
        pv_surplus=draw(st.booleans()),
        imbalance=draw(st.none() | st.just(ImbalanceLimit())),
        settings=Settings(
            failsafe=draw(st.sampled_from(list(FailsafeAction))),
            recovery_raise_s=draw(st.sampled_from([0.0, 30.0])),
            recovery_s=draw(st.sampled_from([0.0, 10.0])),
            raise_interval_s=draw(st.sampled_from([0.0, 15.0])),
            pv_start_delay_s=draw(st.sampled_from([0.0, 60.0])),
            min_off_s=draw(st.sampled_from([0.0, 300.0])),
            pv_per_phase=draw(st.booleans()),
        ),
    )


@st.composite
def observations(draw: st.DrawFn, site: Site, at_s: float) -> Observation:
    """Return what may be known of a site."""
    meters = {
        circuit.id: MeterObservation(
            current_a=draw(_per_phase),
            power_w=draw(st.none() | st.integers(-10_000, 30_000).map(float)),
            age_s=draw(st.sampled_from([0.0, 0.5, 1.0, 4.0, 7.0, 20.0])),
        )
        for circuit in site.circuits
        if circuit.metered and draw(st.integers(0, 9))
    }
    connectors = {
        connector.id: ConnectorObservation(
            state=draw(
                st.sampled_from([ConnectorState.CHARGING] * 5 + list(ConnectorState))
            ),
            current_a=draw(st.none() | _part | st.tuples(*[_amperes] * 3)),
            power_w=draw(st.none() | st.integers(0, 22_000).map(float)),
            age_s=draw(st.none() | st.sampled_from([0.0, 3.0, 12.0, 90.0])),
            permit_a=draw(st.none() | _amperes)
            if connector.supply is Supply.AC
            else None,
            permit_w=draw(st.none() | st.integers(0, 22_000).map(float))
            if connector.supply is Supply.DC
            else None,
            priorities=draw(st.just(()) | st.tuples(st.integers(1, 10))),
            groups=tuple(group.id for group in site.user_groups if draw(st.booleans())),
            enabled=bool(draw(st.integers(0, 5))),
            authorized=bool(draw(st.integers(0, 9))),
        )
        for connector in site.connectors
        if draw(st.integers(0, 9))
    }
    return Observation(
        at_s=at_s,
        meters=meters,
        connectors=connectors,
        external_limit_w=draw(st.none() | st.integers(0, 40_000).map(float)),
        battery=draw(
            st.none()
            | st.builds(
                BatteryObservation,
                power_w=st.none() | st.integers(-5000, 5000).map(float),
                soc_pct=st.none() | st.integers(0, 100).map(float),
            )
        ),
    )


@st.composite
def histories(draw: st.DrawFn, most: int = 8) -> tuple[Site, list[Observation]]:
    """Return a site and what was observed of it, step by step."""
    site = draw(sites())
    at_s = 100.0
    steps = []
    for _ in range(draw(st.integers(1, most))):
        steps.append(draw(observations(site, at_s)))
        at_s += draw(st.sampled_from([1.0, 1.0, 5.0, 16.0, 61.0]))
    return site, steps
