"""What the site makes of its meters' readings, and of the files that describe meters."""

from dataclasses import replace
from pathlib import Path
import time

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.charge_points.listener import DATA
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.energy_management.observation import (
    MeterObservation,
    MeterReading,
)
from custom_components.reev_ems.meters import Load
from custom_components.reev_ems.readings.meters import (
    MeterStatus,
    SiteMeters,
    connectors_below,
)
from custom_components.reev_ems.site.build import build_site
from custom_components.reev_ems.site.controls import Controls

from .site import set_up


def refused(hass: HomeAssistant) -> dict[str, dict[str, str]]:
    """Return what is told of refused files, by their names."""
    return {
        issue.translation_placeholders["file"]: issue.translation_placeholders
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
        and issue.translation_key == "meter_file_refused"
        and issue.translation_placeholders
    }


async def test_refused_meter_file(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A wrong file is told with line and reason, a right one beside it is used; a reload after its removal ends it."""
    hass.config.language = "de"
    folder = Path(hass.config.path(DOMAIN, "meters"))
    folder.mkdir(parents=True)
    good = "name: Mine\nquantities:\n" + "".join(
        f"  {name}_l{phase}: {{address: {address}}}\n"
        for address, (name, phase) in enumerate(
            (name, phase)
            for name in ("voltage", "current", "power")
            for phase in (1, 2, 3)
        )
    )
    good = "id: mine\ntype: int16\nfunction_code: 3\n" + good
    (folder / "good.yaml").write_text(good)
    bad = good.replace("id: mine", "id: bad").replace("address: 4}", "address: 70000}")
    (folder / "bad.yaml").write_text(bad)
    await set_up(hass, entry)
    assert "mine" in entry.runtime_data.profiles
    assert "bad" not in entry.runtime_data.profiles
    (told,) = refused(hass).values()
    line = int(told["line"])
    assert "70000" in bad.splitlines()[line - 1]
    assert told["reason"] == (
        "quantities.current_l2.address: muss eine ganze Zahl von 0 bis 65535 sein"
    )
    (folder / "bad.yaml").unlink()
    await set_up(hass, entry)
    assert refused(hass) == {}


async def test_connectors_behind_a_meter(entry: MockConfigEntry) -> None:
    """The grid connection's meter sees every connector, the garage's its own."""
    site = build_site(entry, Controls())
    assert connectors_below(site, "garage") == {"CP-LEFT:1"}
    assert connectors_below(site, "main") == {item.id for item in site.connectors}


async def test_s2_frozen_meter_gives_no_reading(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Equal values while a car behind the meter ramps are no reading, and the last one ages; the next news is one."""
    ((meter_id, status),) = entry.runtime_data.data.meters.items()
    assert status.reading
    begin_s = time.monotonic()
    loads: dict[str, Load] = {}
    news: list[MeterReading | None] = []
    meters = SiteMeters(
        hass,
        entry,
        loads=lambda: loads,
        on_news=lambda: news.append(meters.statuses[meter_id].reading),
    )
    site = entry.runtime_data.data.site
    meters.start(site, hass.data[DATA].gateways, {}, {})
    for second in range(20):
        loads["CP-LEFT:1"] = Load(current_a=float(second), at_s=begin_s + second)
        meters._on_reading(meter_id, replace(status.reading, at_s=begin_s + second))
    assert meters.statuses[meter_id].problem == "frozen"
    assert len(news) == 9
    kept = meters.statuses[meter_id].reading
    assert kept
    assert kept.at_s == begin_s + 8
    moved = replace(status.reading, frequency_hz=49.9, at_s=begin_s + 20)
    meters._on_reading(meter_id, moved)
    assert meters.statuses[meter_id].problem is None
    assert meters.statuses[meter_id].reading == moved


async def test_limit_above_the_rating_of_the_meter(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Whichever of the two is changed: while the meter cannot measure what the circuit may carry, an issue says so."""

    def told() -> list[dict[str, str] | None]:
        return [
            issue.translation_placeholders
            for issue in ir.async_get(hass).issues.values()
            if issue.translation_key == "limit_above_rating" and issue.active
        ]

    (meter,) = entry.get_subentries_of_type("meter")

    async def rate(rating_a: float) -> None:
        rated = {**meter.data, "rating_a": rating_a}
        hass.config_entries.async_update_subentry(entry, meter, data=rated)
        await hass.async_block_till_done()

    assert told() == [], "nothing is known of the meter"
    await rate(63.0)
    assert told() == []
    await rate(50.0)
    assert told() == [
        {
            "site": "Depot",
            "circuit": "Grid connection",
            "meter": meter.title,
            "limit": "63",
            "rating": "50",
        }
    ]
    limits = {**entry.data, "limit_a": [35.0, 50.0, 35.0]}
    hass.config_entries.async_update_entry(entry, data=limits)
    await hass.async_block_till_done()
    assert told() == []


def test_the_energy_management_is_told_what_a_reading_holds(
    hass: HomeAssistant,
) -> None:
    """Also the energy register: one that stands still while power flows gives a frozen meter away."""
    entry = MockConfigEntry()
    meters = SiteMeters(hass, entry, loads=dict, on_news=lambda: None)
    reading = MeterReading(
        at_s=90.0,
        current_a=(1.0, 2.0, 3.0),
        voltage_v=(230.0, 231.0, 229.0),
        power_total_w=1380.0,
        energy_import_wh=5400.0,
    )
    meters.statuses["m"] = MeterStatus(circuit="main", reading=reading)
    meters.statuses["n"] = MeterStatus(circuit="garage")
    assert meters.observe(92.0) == {
        "main": MeterObservation(
            current_a=(1.0, 2.0, 3.0),
            power_w=1380.0,
            voltage_v=(230.0, 231.0, 229.0),
            energy_import_wh=5400.0,
            age_s=2.0,
        ),
        "garage": MeterObservation(),
    }
