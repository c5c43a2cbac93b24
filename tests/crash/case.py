"""One case, and the line that replays it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Case:
    """
    A stage under a profile and a seed; the steps at which a worker dies, the requests that fail, and how.

    `kills`: step -> share of the late landing after which what it had sent is applied. `broken`: the word in requests
    that always fail until somebody heals the vendor. A fault strikes the request of this number, or the first one that
    is `METHOD last-part-of-its-path`. `down_s`: how long nobody comes after a death.
    """

    stage: str
    profile: str
    seed: int
    kills: tuple[tuple[int, float], ...] = ()
    faults: tuple[tuple[int | str, str], ...] = ()
    broken: str = ""
    mutant: str = ""
    down_s: float = 1

    def __str__(self) -> str:
        kills = ",".join(f"{step}+{late:g}" for step, late in self.kills)
        faults = ",".join(f"{request}:{fault}" for request, fault in self.faults)
        down = "" if self.down_s == 1 else f"{self.down_s:g}"
        parts = (self.stage, self.profile, str(self.seed), kills, faults, self.broken, self.mutant, down)
        return "/".join(parts).rstrip("/")

    @classmethod
    def parse(cls, line: str) -> Case:
        """Return the case of a line that was printed."""
        stage, profile, seed, *rest = line.strip().split("/")
        kills, faults, broken, mutant, down = (*rest, "", "", "", "", "")[:5]
        steps = [step.split("+") for step in kills.split(",") if step]
        struck = [fault.split(":") for fault in faults.split(",") if fault]
        return cls(
            stage, profile, int(seed), tuple((int(step), float(late)) for step, late in steps),
            tuple((int(which) if which.isdigit() else which, fault) for which, fault in struck), broken, mutant,
            float(down or 1),
        )  # fmt: skip


@dataclass
class Result:
    """What became of a case."""

    case: Case
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    workers: int = 0
    struck: int = 0
    points: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Return what two runs of one case must have in common."""
        return f"{self.kills} {self.workers} {self.struck} {' '.join(self.points)} {self.wrong}"
