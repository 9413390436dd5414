"""Chargers that differ: the table, what is learnt from configuration keys, and the ladder of ways (S4, S5)."""

from collections.abc import Callable
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    BootInfo,
    FloorAccepted,
    Permit,
    PermitAccepted,
    PermitRejected,
    charge_point,
    quirks,
)
from custom_components.reev_ems.ocpp_server.abilities import Abilities
from custom_components.reev_ems.ocpp_server.profiles import Kind, Purpose, Unit

from .wire import Payload

TABLE = quirks.load()


def test_every_entry_has_a_source_and_a_known_meaning() -> None:
    """The table loads, and each row says where it is from."""
    assert len(TABLE) >= 15
    assert len({entry.name for entry in TABLE}) == len(TABLE)
    assert all(entry.source for entry in TABLE)


@pytest.mark.parametrize(
    ("info", "names"),
    [
        (("ABB", "Terra AC", "1.6.6"), 2),
        (("ABB", "Terra AC", "1.8.21"), 2),
        (("ABB", "Terra AC", "1.8.33"), 1),
        (("Wall Box Chargers", "Pulsar", "6.7.1"), 2),
        (("HUAWEI", "SCharger-22KT", None), 1),
        (("go-e", "Gemini", "056.2"), 2),
        (("go-e", "Gemini", "57.1"), 1),
        (("Nobody", "Knows", "1"), 0),
        ((None, None, None), 0),
    ],
)
def test_matching(info: tuple[str | None, str | None, str | None], names: int) -> None:
    """By vendor, model and firmware."""
    vendor, model, firmware = info
    known = quirks.known(
        TABLE, BootInfo(vendor=vendor, model=model, firmware=firmware), {}
    )
    assert len(known.names) == names


def test_overrides_win_and_wrong_ones_are_refused() -> None:
    """What the person sets for one charge point is above the table."""
    huawei = BootInfo(vendor="Huawei")
    assert quirks.known(TABLE, huawei, {}).applied_to(Abilities()).unit is Unit.WATT
    mine = quirks.known(
        TABLE, huawei, {"abilities": {"unit": "A"}, "autonomous_fallback": False}
    )
    assert mine.applied_to(Abilities()).unit is Unit.AMPERE
    assert mine.autonomous_fallback is False
    for wrong in (
        {"nonsense": 1},
        {"abilities": {"unit": "HP"}},
        {"abilities": {"wings": 2}},
    ):
        with pytest.raises(ValueError, match=r"unknown|HP"):
            quirks.known(TABLE, huawei, wrong)


def takes(rule: Callable[[Payload, Payload], bool]) -> dict[str, Any]:
    """Return a charger that takes only some profiles: rule(request, profile)."""

    def answer(payload: Payload) -> Payload:
        taken = rule(payload, payload["csChargingProfiles"])
        return {"status": "Accepted" if taken else "Rejected"}

    return {"SetChargingProfile": answer}


PICKY: dict[str, Callable[[Payload, Payload], bool]] = {
    "watts": lambda _, profile: profile["chargingSchedule"]["chargingRateUnit"] == "W",
    "level 0": lambda _, profile: profile["stackLevel"] == 0,
    "relative": lambda _, profile: profile["chargingProfileKind"] == "Relative",
    "absolute": lambda _, profile: profile["chargingProfileKind"] == "Absolute",
    "connector 1": lambda request, _: request["connectorId"] == 1,
    "no TxProfile": lambda _, profile: profile["chargingProfilePurpose"] != "TxProfile",
    "maximum": lambda _, profile: (
        profile["chargingProfilePurpose"] == "ChargePointMaxProfile"
    ),
    "relative watts": lambda _, profile: (
        profile["chargingProfileKind"] == "Relative"
        and profile["chargingSchedule"]["chargingRateUnit"] == "W"
    ),
}


@pytest.mark.parametrize("rule", PICKY.values(), ids=PICKY)
async def test_s4_s5_ladder_finds_the_way_and_keeps_to_it(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch, rule: Callable[..., bool]
) -> None:
    """Floor and permit get through to a picky charger; the second permit needs one request."""
    monkeypatch.setattr(
        "custom_components.reev_ems.ocpp_server.steering._TRANSACTION_FRESH_S", 0.0
    )
    point, recorder = adopt()
    client = await dial(handlers=takes(rule))
    await client.boot()
    await recorder.wait(FloorAccepted)
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    count = len(client.sent("SetChargingProfile"))
    point.permit(1, Permit(limit_a=12))
    await recorder.wait(PermitAccepted, count=2)
    assert len(client.sent("SetChargingProfile")) == count + 1
    last = client.sent("SetChargingProfile")[-1]
    assert rule(last, last["csChargingProfiles"])
    periods = last["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    assert periods[0]["limit"] > periods[1]["limit"]
    assert point.problems == ()


async def test_refusal_right_after_the_start_is_tried_again(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some chargers take a TxProfile only a moment after StartTransaction; that teaches nothing."""
    monkeypatch.setattr(
        "custom_components.reev_ems.ocpp_server.steering._TRANSACTION_FRESH_S", 0.3
    )
    point, recorder = adopt()
    refused: list[int] = []

    def rule(_: Payload, profile: Payload) -> bool:
        if profile["chargingProfilePurpose"] == "TxProfile" and len(refused) < 1:
            refused.append(1)
            return False
        return True

    client = await dial(handlers=takes(rule))
    await client.boot()
    await recorder.wait(FloorAccepted)
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitRejected)
    await recorder.wait(PermitAccepted)
    assert len(client.profiles("TxProfile")) == 2
    assert point.steering.abilities.working_purpose is Purpose.TX_PROFILE
    assert point.steering.abilities.working_kind is Kind.ABSOLUTE


async def test_refusing_everything_is_a_problem_and_not_a_storm(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole ladder once; after that one request per permit."""
    monkeypatch.setattr(
        "custom_components.reev_ems.ocpp_server.steering._TRANSACTION_FRESH_S", 0.0
    )
    point, recorder = adopt()
    client = await dial(
        handlers=takes(
            lambda request, _: request["csChargingProfiles"]["chargingProfileId"] < 100
        )
    )
    await client.boot()
    await recorder.wait(FloorAccepted)
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitRejected)
    assert point.problems == ("profile_rejected",)
    count = len(client.sent("SetChargingProfile"))
    point.permit(1, Permit(limit_a=9))
    await recorder.wait(PermitRejected, count=2)
    assert len(client.sent("SetChargingProfile")) == count + 1


async def test_configuration_keys_are_believed(adopt: Any, dial: Any) -> None:
    """Unit, stack level and periods are read before anything is sent; "W" is "Power" to some."""
    point, recorder = adopt()
    keys = {
        "ChargeProfileMaxStackLevel": "0",
        "ChargingScheduleAllowedChargingRateUnit": "W",
        "ChargingScheduleMaxPeriods": "1",
    }
    client = await dial(
        handlers={
            "GetConfiguration": lambda _: {
                "configurationKey": [
                    {"key": key, "readonly": True, "value": value}
                    for key, value in keys.items()
                ]
            }
        }
    )
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    profile = client.profiles("TxProfile")[-1]
    assert profile["stackLevel"] == 0
    assert profile["chargingSchedule"]["chargingRateUnit"] == "W"
    assert len(profile["chargingSchedule"]["chargingSchedulePeriod"]) == 1
    assert profile["chargingSchedule"]["duration"] <= 360
    assert not client.sent("ChangeConfiguration")


async def test_known_model_is_not_asked_for_what_it_breaks_on(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Easee gets its three measurands and 30 s, at the first attempt."""
    monkeypatch.setattr(charge_point, "BOOT_WAIT_S", 3.0)
    adopt()
    client = await dial(
        handlers={
            "GetConfiguration": lambda _: {
                "configurationKey": [
                    {"key": "MeterValuesSampledData", "readonly": False, "value": ""},
                    {
                        "key": "MeterValueSampleInterval",
                        "readonly": False,
                        "value": "300",
                    },
                ]
            }
        }
    )
    await client.boot("Easee", "Charge")
    await client.until(lambda: len(client.sent("ChangeConfiguration")) == 2)
    assert [entry["value"] for entry in client.sent("ChangeConfiguration")] == [
        "30",
        "Power.Active.Import,Current.Import,Energy.Active.Import.Register",
    ]


async def test_settings_that_are_wrong_do_not_keep_it_from_its_floor(
    adopt: Any, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """They were stored by an older version, for one; what is known of the model counts, and it is said."""
    point, recorder = adopt(quirks={"abilities": {"unit": "HP"}})
    client = await dial()
    await client.boot()
    await recorder.wait(FloorAccepted)
    assert point.floor_accepted
    assert "the settings of its abilities are wrong" in caplog.text
