"""Cars: what they draw of what they are offered."""

from random import Random

from .plan import VOLTAGE_V, CarPlan, OutletPlan

_SMALLEST_A = 6.0
"""Nothing below it is defined (IEC 61851-1)."""


class Car:
    """A car at an outlet; it counts A per phase on AC and W on DC."""

    def __init__(
        self, plan: CarPlan, outlet: OutletPlan, rng: Random, at_s: int
    ) -> None:
        """Plug it in."""
        self.plan = plan
        self.dc = outlet.dc
        self.most = min(plan.most, outlet.most - (0.0 if outlet.dc else plan.below_a))
        self.phases = outlet.phases if outlet.dc else outlet.phases[: plan.phases]
        """Line phases that it uses now."""
        self.watts_per = 1.0 if outlet.dc else VOLTAGE_V * len(self.phases)
        self.amount = 0.0
        self.got_wh = 0.0
        self.full = plan.need_wh <= 0.0
        self.gave_up = False
        self.pauses = 0
        self.starts = 0
        self._least = 0.0 if outlet.dc else _SMALLEST_A
        self._rng = rng
        self._starts_at_s: float | None = None
        self._drew = False
        self._rate_up = self.most / plan.ramp_s
        self._rate_down = self.most / min(2.0, plan.ramp_s)
        self._wakes_at_s = at_s + plan.wake_every_s * rng.uniform(0.5, 1.5)

    def wish(self) -> float:
        """Return what it would take of any offer, in its own unit; 0 when it is full."""
        if self.full:
            return 0.0
        missing = self.plan.need_wh - self.got_wh
        if missing >= self.plan.taper_wh:
            return self.most
        return max(
            self._least or 0.1 * self.most, self.most * missing / self.plan.taper_wh
        )

    def advance(self, at_s: int, offer: float) -> float:
        """Let one second pass and return what it draws; an offer of 0 is a pause."""
        amount = self.amount
        if offer <= 0.0:
            if self._drew and not self.full:
                self.pauses += 1
                self.gave_up = self.pauses >= self.plan.pauses
            self._drew = False
            self._starts_at_s = None
            target = 0.0
        elif self.full or self.gave_up:
            target = self._asleep(at_s)
        else:
            wish = self.wish()
            target = min(wish, offer if self.dc else offer - self.plan.below_a)
            if amount <= 0.0:
                target = self._beginning(at_s, target)
        if target > amount:
            amount = min(target, amount + self._rate_up)
            if amount < self._least:
                amount = min(self._least, target)
        elif target < amount:
            amount = max(target, amount - self._rate_down)
            if amount < self._least and target <= 0.0:
                amount = 0.0
        self.amount = amount
        if amount > 0.0 and not self.full:
            self._charge(amount)
        return amount

    def _beginning(self, at_s: int, target: float) -> float:
        """Return the target while it has not begun to draw."""
        if self._starts_at_s is None:
            wait_s = self.plan.wake_s if self.pauses else self.plan.start_s
            self._starts_at_s = at_s + wait_s * self._rng.uniform(0.7, 1.3)
        if at_s < self._starts_at_s:
            return 0.0
        self._starts_at_s = None
        self._drew = True
        self.starts += 1
        return target

    def wake(self, at_s: int) -> None:
        """Let it want 6 A for a while, if it does so at all."""
        self._wakes_at_s = float(at_s)

    def _asleep(self, at_s: int) -> float:
        """Return what a full car takes now and then."""
        if self.plan.wake_every_s <= 0.0 or self.gave_up or self.dc:
            return 0.0
        if at_s >= self._wakes_at_s + self.plan.wake_for_s:
            self._wakes_at_s = at_s + self.plan.wake_every_s * self._rng.uniform(
                0.5, 1.5
            )
        return _SMALLEST_A - self.plan.below_a if at_s >= self._wakes_at_s else 0.0

    def _charge(self, amount: float) -> None:
        self.got_wh += amount * self.watts_per / 3600.0
        missing = self.plan.need_wh - self.got_wh
        if missing <= 0.0:
            self.full = True
        elif missing < self.plan.one_phase_wh and len(self.phases) > 1 and not self.dc:
            self.phases = self.phases[:1]
            self.watts_per = VOLTAGE_V
