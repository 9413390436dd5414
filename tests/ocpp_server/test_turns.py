"""Many messages at once, and the rest of the program in between."""

import asyncio
from itertools import pairwise

import pytest

from custom_components.reev_ems.ocpp_server import turns


async def test_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred messages a round of the event loop handles what its time allows, in the order in which they came."""
    now_s = 0.0
    handled: list[int] = []
    rounds: list[int] = []

    class Clock:
        """Stands still but for the messages."""

        @staticmethod
        def monotonic() -> float:
            return now_s

    monkeypatch.setattr(turns, "time", Clock)
    shared = turns.Turns()

    async def message(number: int) -> None:
        nonlocal now_s
        await shared.take()
        handled.append(number)
        now_s += 0.3 * turns.ROUND_S

    async def others() -> None:
        while len(handled) < 100:
            rounds.append(len(handled))
            await asyncio.sleep(0)

    await asyncio.gather(others(), *(message(number) for number in range(100)))
    assert handled == list(range(100))
    assert {after - before for before, after in pairwise(rounds)} == {4}
    assert len(rounds) == 25


async def test_one_message_waits_for_nothing() -> None:
    """Without others a message is handled in the round in which it came."""
    shared = turns.Turns()
    task = asyncio.get_running_loop().create_task(shared.take())
    await asyncio.sleep(0)
    assert task.done()
