"""The list of id tags, on the wire: what is asked and sent is as the standard has it, and nobody is pestered."""

import asyncio
from typing import Any

from ocpp.messages import Call, validate_payload
import pytest

from custom_components.reev_ems.ocpp_server import local_list
from custom_components.reev_ems.ocpp_server.charge_point import ChargePoint

from .wire import Payload, WireChargePoint

VERSIONS = ("1.6", "2.0.1")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for more changes."""
    monkeypatch.setattr(local_list, "SETTLE_S", 0.05)


def variables(payload: Payload, known: dict[str, str]) -> Payload:
    """Return the answer to GetVariables of a charging station that knows these variables."""
    results = []
    for asked in payload["getVariableData"]:
        name = f"{asked['component']['name']}.{asked['variable']['name']}"
        status = "Accepted" if name in known else "UnknownVariable"
        value = {"attributeValue": known[name]} if name in known else {}
        results.append({**asked, "attributeStatus": status, **value})
    return {"getVariableResult": results}


def answers(version: str, **known: str) -> dict[str, Any]:
    """Return the handlers of a charge point with a list, that tells what else is known of it."""
    if version == "1.6":
        keys = [
            {"key": key, "value": value, "readonly": False}
            for key, value in known.items()
        ]
        return {
            "GetConfiguration": lambda _: {"configurationKey": keys, "unknownKey": []},
            "GetLocalListVersion": lambda _: {"listVersion": 7},
        }
    return {
        "GetVariables": lambda payload: variables(payload, known),
        "SetVariables": lambda payload: {
            "setVariableResult": [
                {
                    "attributeStatus": "Accepted",
                    "component": asked["component"],
                    "variable": asked["variable"],
                }
                for asked in payload["setVariableData"]
            ]
        },
        "GetLocalListVersion": lambda _: {"versionNumber": 7},
    }


async def lists(client: WireChargePoint, version: str, count: int) -> list[Payload]:
    """Return the lists that were sent, once there are so many, which are as the standard has them."""
    await client.until(lambda: len(client.sent("SendLocalList")) >= count)
    await client.until(lambda: client.sent("ClearCache"))
    sent = client.sent("SendLocalList")
    assert len(sent) == count
    for payload in sent:
        call = Call(unique_id="1", action="SendLocalList", payload=payload)
        await validate_payload(call, version)
    return sent


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_list_in_parts(adopt: Any, dial: Any, version: str) -> None:
    """All of it first, then what is more; each part with a version of its own, above the one that was there."""
    known = (
        {"SendLocalListMaxLength": "2", "LocalAuthListEnabled": "false"}
        if version == "1.6"
        else {
            "LocalAuthListCtrlr.Enabled": "false",
            "LocalAuthListCtrlr.ItemsPerMessage": "50",
            "LocalAuthListCtrlr.BytesPerMessage": "400",
        }
    )
    point, _ = adopt()
    client = await dial(
        protocols=(f"ocpp{version}",), handlers=answers(version, **known)
    )
    await client.ask("Heartbeat")
    point.local_list.want({"A": True, "B": False, "C": True})
    sent = await lists(client, version, 2)
    assert [payload["updateType"] for payload in sent] == ["Full", "Differential"]
    name = "listVersion" if version == "1.6" else "versionNumber"
    assert [payload[name] for payload in sent] == [8, 9]
    assert [len(payload["localAuthorizationList"]) for payload in sent] == [2, 1]
    assert "Blocked" in str(sent[1])
    enabled = "ChangeConfiguration" if version == "1.6" else "SetVariables"
    assert "LocalAuthList" in str(client.sent(enabled))
    point.local_list.want({})
    await client.until(lambda: len(client.sent("SendLocalList")) == 3)
    emptied = client.sent("SendLocalList")[2]
    call = Call(unique_id="1", action="SendLocalList", payload=emptied)
    await validate_payload(call, version)
    assert emptied["updateType"] == "Full"
    assert "localAuthorizationList" not in emptied


@pytest.mark.parametrize("version", VERSIONS)
async def test_who_does_not_tell_how_many_gets_few(
    adopt: Any, dial: Any, version: str
) -> None:
    """Ten at once; and a configuration that must not be written is not."""
    known = {} if version == "1.6" else {"LocalAuthListCtrlr.Enabled": "false"}
    point, _ = adopt(quirks={"set_up": False})
    client = await dial(
        protocols=(f"ocpp{version}",), handlers=answers(version, **known)
    )
    await client.ask("Heartbeat")
    point.local_list.want({f"TAG{number}": True for number in range(25)})
    sent = await lists(client, version, 3)
    assert [len(payload["localAuthorizationList"]) for payload in sent] == [10, 10, 5]
    assert not client.sent("ChangeConfiguration")
    assert not client.sent("SetVariables")


async def problem(point: ChargePoint, expected: str) -> None:
    """Wait until the list is not as it should be, for a reason."""
    async with asyncio.timeout(5):
        while point.local_list.problem != expected:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("version", "known", "changes", "expected"),
    [
        ("1.6", {"SupportedFeatureProfiles": "Core,SmartCharging"}, {}, "unsupported"),
        ("2.0.1", {}, {}, "unsupported"),
        (
            "1.6",
            {},
            {"GetLocalListVersion": lambda _: {"listVersion": -1}},
            "unsupported",
        ),
        (
            "1.6",
            {},
            {
                "GetConfiguration": lambda _: ("NotImplemented", ""),
                "GetLocalListVersion": lambda _: ("NotImplemented", ""),
            },
            "unsupported",
        ),
        ("1.6", {}, {"GetLocalListVersion": lambda _: {}}, "invalid_answer"),
        ("1.6", {}, {"SendLocalList": lambda _: {"status": "Failed"}}, "rejected"),
    ],
)
async def test_who_cannot_is_asked_once(
    adopt: Any,
    dial: Any,
    version: str,
    known: dict[str, str],
    changes: dict[str, Any],
    expected: str,
) -> None:
    """What it says is kept as the reason; nothing is sent to a charge point without a list, and its cache stays."""
    point, _ = adopt()
    handlers = answers(version, **known) | changes
    client = await dial(protocols=(f"ocpp{version}",), handlers=handlers)
    await client.ask("Heartbeat")
    point.local_list.want({"A": True})
    await problem(point, expected)
    await asyncio.sleep(0.2)
    assert len(client.sent("SendLocalList")) == (expected == "rejected")
    assert len(client.sent("GetLocalListVersion")) <= 1
    assert not client.sent("ClearCache")
    assert point.learnt.local_list is None
    assert point.connected


async def test_a_cache_that_cannot_be_cleared(adopt: Any, dial: Any) -> None:
    """The list is there all the same."""
    point, _ = adopt()
    handlers = answers("1.6") | {"ClearCache": lambda _: {"status": "Rejected"}}
    client = await dial(handlers=handlers)
    await client.ask("Heartbeat")
    point.local_list.want({"A": True})
    await lists(client, "1.6", 1)
    assert point.learnt.local_list is not None
    assert point.local_list.problem is None
