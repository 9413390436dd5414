"""What real charge points and cars leave of the oracle's room: its shares as permits, every 5 s.

It looks where nobody else can: at the true base load, at what cars want and at how far below an offer they stay. What
it does not reach is lost to commands on their way, cars that start late, whole steps and minimums, not to whoever
decides. It changes who charges only after some kWh, so that cars are not started and stopped all the time.
"""

from math import floor

from .charger import Command
from .controllers import Answer
from .metrics import wants_of
from .oracle import Oracle
from .plan import VOLTAGE_V, SitePlan
from .plant import Plant, Seen

_EVERY_S = 5
_TURN_WH = 3000.0
_HELD_WH = 1000.0
"""A car that charges counts as served by so much less."""


class Ceiling:
    """Decides with open eyes."""

    def __init__(self, plan: SitePlan) -> None:
        """Begin blind; `look` opens its eyes."""
        self._outlets = plan.outlets
        self._plant: Plant | None = None
        self._oracle: Oracle | None = None
        self._permits: dict[str, float] = {}

    def look(self, plant: Plant, oracle: Oracle) -> None:
        """See the plant as it is."""
        self._plant, self._oracle = plant, oracle

    def step(self, seen: Seen) -> Answer:
        """Answer what is true now."""
        commands: list[Command] = []
        if seen.at_s % _EVERY_S == 0 and self._plant and self._oracle:
            for name, amount in self._shares(
                self._plant, self._oracle, seen.at_s - 1
            ).items():
                if self._permits.get(name) != amount:
                    self._permits[name] = amount
                    commands.append(Command(connector=name, amount=amount))
        return Answer(
            commands=tuple(commands), permit=lambda name: self._permits.get(name, 0.0)
        )

    def _shares(self, plant: Plant, oracle: Oracle, at_s: int) -> dict[str, float]:
        wants = wants_of(plant)
        chargers = list(plant.chargers.values())
        for want in wants:
            want.served_wh = floor(want.served_wh / _TURN_WH) * _TURN_WH
            if chargers[want.outlet].draw > 0.0:
                want.served_wh -= _HELD_WH
        shares = oracle.share(wants, at_s, at_s + 1)[0] if wants else []
        permits = {
            outlet.id: 0.0
            for outlet, charger in zip(self._outlets, chargers, strict=True)
            if charger.car is not None
        }
        for want, share in zip(wants, shares, strict=True):
            outlet, car = self._outlets[want.outlet], chargers[want.outlet].car
            if share <= 0.0 or car is None:
                continue
            if outlet.dc:
                amount = float(share) * outlet.efficiency * 3.0 * VOLTAGE_V
            else:
                amount = float(share) + car.plan.below_a
            steps = floor(amount / outlet.step + 1e-6)
            permits[outlet.id] = round(min(outlet.most, steps * outlet.step), 6)
        return permits
