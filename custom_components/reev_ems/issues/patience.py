"""Which issues are shown: some have to last before a person is told, and some come and go with the loads of a house."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..energy_management.decision import IssueKind

# A meter that was not heard yet, right after the start of a site, is no silent meter.
START_S = 15.0

# So long it has to last, and to be over: a kettle is no reason to call an electrician.
OPEN_AFTER_S: Mapping[str, float] = {IssueKind.IMBALANCE_RESIDUAL: 60.0}
CLOSE_AFTER_S: Mapping[str, float] = {IssueKind.IMBALANCE_RESIDUAL: 900.0}


@dataclass(slots=True)
class Patience:
    """What was found when, of one site. Times are those of its decisions, in s."""

    began_s: float
    _found_s: dict[str, float] = field(default_factory=dict)
    _gone_s: dict[str, float] = field(default_factory=dict)

    def settled(
        self, found: Mapping[str, str], shown: Mapping[str, str], now_s: float
    ) -> set[str]:
        """Return the issues to be shown now, of those that were found and those that are shown; both with their keys."""
        self._found_s = {
            issue_id: self._found_s.get(issue_id, now_s) for issue_id in found
        }
        self._gone_s = {
            issue_id: self._gone_s.get(issue_id, now_s)
            for issue_id, key in shown.items()
            if issue_id not in found and key in CLOSE_AFTER_S
        }
        lasting = {
            issue_id
            for issue_id, key in found.items()
            if issue_id in shown
            or (
                now_s - self._found_s[issue_id] >= OPEN_AFTER_S.get(key, 0.0)
                and not self._is_early(key, now_s)
            )
        }
        lingering = {
            issue_id
            for issue_id, gone_s in self._gone_s.items()
            if now_s - gone_s < CLOSE_AFTER_S[shown[issue_id]]
        }
        return lasting | lingering

    def _is_early(self, key: str, now_s: float) -> bool:
        """Whether a meter may just not have been heard yet; one whose trouble is known has a key of its own."""
        return key == IssueKind.METER_SILENT and now_s - self.began_s < START_S
