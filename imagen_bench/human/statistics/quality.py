"""Quality of raters: controls, repeats, sides, speed, straight lines, completeness; and who is excluded.

The rule of exclusion is fixed in the study when it is exported: too few controls answered right, or too few
questions answered. Speed and straight lines are flagged and exclude nobody.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from imagen_bench.metrics.intervals import Interval, mean_interval, student_t_interval

STRAIGHT_SHARE, STRAIGHT_ANSWERS = 0.9, 10


@dataclass(frozen=True)
class ExclusionRule:
    """What a study demands of its raters; None demands nothing.

    Attributes:
        min_control_pass: Least share of a rater's answered controls that must be right.
        min_answered: Least share of the questions on a rater's sheets that must be answered.
        speed_fraction: A rater is flagged as a speeder below this fraction of the median of the raters.
    """

    min_control_pass: float | None = None
    min_answered: float | None = None
    speed_fraction: float = 1 / 3

    def words(self) -> str:
        """Return the rule in a sentence."""
        demands = []
        if self.min_control_pass is not None:
            demands.append(f"fewer than {self.min_control_pass:.0%} of the answered controls are right")
        if self.min_answered is not None:
            demands.append(f"fewer than {self.min_answered:.0%} of the questions are answered")
        return f"a rater is excluded if {' or if '.join(demands)}" if demands else "no rater is excluded"


@dataclass(frozen=True)
class RaterQuality:
    """What is known of one rater; shares are None where there is nothing to count.

    Attributes:
        assigned: Questions on the rater's sheets.
        answered: Of these, answered ("I cannot judge" is an answer).
        unable: Answers "I cannot judge".
        controls: Controls answered.
        controls_passed: Of these, right.
        repeats: Questions answered on both showings of a repeated item.
        repeats_same: Of these, answered alike after un-blinding.
        sided: Answers that prefer a side.
        left: Of these, left.
        seconds: Median time of an answer.
        straight: Largest share that one raw answer has among a question's answers.
        flags: Words such as "speeder"; they exclude nobody.
        excluded: Why the rater is excluded; empty if not.
    """

    rater: str
    assigned: int
    answered: int
    unable: int
    controls: int
    controls_passed: int
    repeats: int
    repeats_same: int
    sided: int
    left: int
    seconds: float | None
    straight: float | None
    flags: tuple[str, ...]
    excluded: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the counts with their shares."""
        return {
            **asdict(self),
            "flags": list(self.flags),
            "excluded": list(self.excluded),
            "answered_share": _share(self.answered, self.assigned),
            "control_share": _share(self.controls_passed, self.controls),
            "repeat_share": _share(self.repeats_same, self.repeats),
            "left_share": _share(self.left, self.sided),
        }


def rater_quality(answers: pd.DataFrame, assigned: dict[str, int], rule: ExclusionRule) -> list[RaterQuality]:
    """Assess every rater.

    Args:
        answers: One row an answer, with columns rater, question, answer, kind, passed (True, False or None),
            same_as_first (True, False or None), seconds.
        assigned: Number of questions on each rater's sheets.
        rule: The study's rule.
    """
    medians = answers.groupby("rater")["seconds"].median()
    typical = float(medians.median()) if medians.notna().any() else None
    return [
        _one_rater(str(rater), rows, assigned[str(rater)], rule, typical)
        for rater, rows in answers.groupby("rater", sort=True)
    ]


def left_share(answers: pd.DataFrame) -> dict[str, Any]:
    """Return the share of left among the answers that prefer a side, with an interval clustered by rater."""
    sided = answers[answers["answer"].isin(["left", "right"])]
    left = (sided["answer"] == "left").to_numpy(dtype=np.float64)
    if not len(left):
        return {"left_share": None, "left_share_low": None, "left_share_high": None, "sided": 0, "method": ""}
    raters = sided["rater"].tolist()
    interval = mean_interval(left, raters)
    method = "cluster-t by rater"
    if interval is None:
        interval, method = wilson_interval(int(left.sum()), len(left)), "Wilson"
    low, high = max(0.0, interval[0]), min(1.0, interval[1])
    found = {"left_share": float(left.mean()), "left_share_low": low, "left_share_high": high}
    return {**found, "sided": len(left), "method": method}


def wilson_interval(count: int, n: int) -> Interval:
    """Return Wilson's 95 % interval of a share (1927, JASA 22), for one rater's answers alone."""
    z = student_t_interval(0.0, 1.0, 10**9)[1]
    share = count / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return middle - half, middle + half


def _one_rater(
    rater: str, rows: pd.DataFrame, assigned: int, rule: ExclusionRule, typical: float | None
) -> RaterQuality:
    controls = rows["passed"].dropna()
    repeats = rows["same_as_first"].dropna()
    seconds = rows["seconds"].dropna()
    sides = rows["answer"].isin(["left", "right"])
    straight = _straightest(rows)
    own = float(seconds.median()) if len(seconds) else None
    flags = []
    if own is not None and typical is not None and own < rule.speed_fraction * typical:
        flags.append("speeder")
    if straight is not None and straight >= STRAIGHT_SHARE:
        flags.append("straight-liner")
    passed = int(controls.astype(bool).sum())
    excluded = []
    if rule.min_control_pass is not None and len(controls) and passed < rule.min_control_pass * len(controls) - 1e-9:
        excluded.append(f"controls {passed} of {len(controls)}")
    if rule.min_answered is not None and len(rows) < rule.min_answered * assigned - 1e-9:
        excluded.append(f"answered {len(rows)} of {assigned}")
    return RaterQuality(
        rater, assigned, len(rows), int((rows["answer"] == "unable").sum()), len(controls), passed,
        len(repeats), int(repeats.astype(bool).sum()), int(sides.sum()), int((rows["answer"] == "left").sum()),
        own, straight, tuple(flags), tuple(excluded),
    )  # fmt: skip


def _straightest(rows: pd.DataFrame) -> float | None:
    """Largest share of one raw answer among the real items of a question with enough answers."""
    shares = [
        float(group["answer"].value_counts(normalize=True).iloc[0])
        for _, group in rows[rows["kind"] == "real"].groupby("question")
        if len(group) >= STRAIGHT_ANSWERS
    ]
    return max(shares, default=None)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
