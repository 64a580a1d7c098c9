"""The portfolio beside other solvers: the same instances, the same seconds and cores, one after the other in one run.

The clock of each begins when its processes have loaded their libraries. Every plan, ours and theirs, is checked by the
verifier and costed as the set publishes it; a gap is to the best known value. Instances of a set are taken at equal
steps through its sorted names, so that a sample holds all of its classes.
"""

import itertools
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench.report import heading
from bench.solver_peers import Peer, ask_peer, lacks
from engine.routing.formats.instance import Instance, Known
from engine.routing.formats.reading import read_instance
from engine.routing.formats.solutions import read_known
from engine.routing.portfolio import Effort, Portfolio
from engine.routing.problem import Job, Problem, Solution, Stop, Vehicle
from engine.routing.processes import ProcessRunner
from engine.routing.search import Budget, Engine, Search
from engine.routing.travel import PlaneTravel
from engine.routing.verifier import verify
from models.errors import InvalidInput

__all__ = ["SolveOptions", "measure_solve"]

_SAME = 1e-6  # share of the best known value below which two plans cost the same
_LOOK_S = 0.25
_TABLE = "BKS.csv"


@dataclass(frozen=True, slots=True)
class SolveOptions:
    """What is measured."""

    folder: Path
    """One set, or a folder of sets."""
    seconds: float
    peers: Sequence[Peer]
    cores: int
    sample: int | None
    """Instances of each set; None takes all."""
    seeds: int
    engines: Sequence[Engine]
    """Members of the portfolio."""
    vehicles_first: bool | None
    """Whether fewer vehicles count first; None means as the set has it."""
    names: Sequence[str] = ()
    """Instances by name, instead of a sample."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What came of one instance and seed."""

    set_name: str
    instance: str
    seed: int
    gaps: dict[str, float | None]
    """By solver, as a share; None where there was no feasible plan, or the solver has no words for the problem."""


def measure_solve(options: SolveOptions, *, console: Console) -> dict[str, Any]:
    """Solve the instances of a set with the portfolio and the peers, and return the keys of BENCH.md.

    Raises
    ------
    InvalidInput
        If there is no instance with a best known value.
    """
    chosen = [(path.parent.name, path) for folder in _folders(options.folder) for path in _sample(folder, options)]
    if not chosen:
        raise InvalidInput("there is no instance with a best known value", [("set", "holds no instance")])
    begun, rss_mib, runs, infeasible = time.monotonic(), 0.0, [], 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("solving", total=len(chosen) * options.seeds)
        for (set_name, path), seed in itertools.product(chosen, range(1, options.seeds + 1)):
            progress.update(task, description=f"{path.stem}, seed {seed}")
            instance = read_instance(path, vehicles_first=options.vehicles_first)
            known = read_known(path.parent / _TABLE, path.stem)
            assert known is not None  # noqa: S101 - it was in the sample for that
            plan, used_mib = _ours(instance, options, seed)
            rss_mib = max(rss_mib, used_mib)
            infeasible += plan is not None and not verify(instance.problem, plan).is_feasible and not plan.unserved
            gaps = {"ours": _gap(instance, plan, known)}
            for peer in options.peers:
                theirs = None
                if not lacks(peer, instance.problem):
                    theirs = ask_peer(peer, instance.problem, seconds=options.seconds, cores=options.cores, seed=seed)
                gaps[peer] = _gap(instance, theirs, known)
            runs.append(_Run(set_name, path.stem, seed, gaps))
            console.print(f"{path.stem} {seed}: " + ", ".join(f"{name} {_percent(gap)}" for name, gap in gaps.items()))
            progress.advance(task)
    _show(runs, options.peers, console)
    figures = heading("solve", seconds=round(time.monotonic() - begun, 1), repeats=options.seeds)
    return figures | _figures(runs, options) | {"rss_mib": round(rss_mib), "infeasible": infeasible}


def _folders(folder: Path) -> list[Path]:
    inner = sorted(path.parent for path in folder.glob(f"*/{_TABLE}"))
    return [folder] if (folder / _TABLE).exists() else inner


def _sample(folder: Path, options: SolveOptions) -> list[Path]:
    """Return the instances to solve: those named, or every so many of those whose best value is known."""
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in (".txt", ".vrp")
        and not path.name.endswith(".sol.txt")
        and read_known(folder / _TABLE, path.stem) is not None
    ]
    if options.names:
        return [path for path in files if path.stem in options.names]
    count = len(files) if options.sample is None else min(options.sample, len(files))
    return [files[(2 * number + 1) * len(files) // (2 * count)] for number in range(count)]


def _ours(instance: Instance, options: SolveOptions, seed: int) -> tuple[Solution | None, float]:
    """Return the portfolio's plan, and the most memory that it had, coordinating process and workers together, MiB."""
    with ProcessRunner(options.cores) as runner, _Memory() as memory:
        _wait_for(runner, options.engines)
        effort = Effort(options.seconds, seed=seed)
        plan = Portfolio(instance.problem, runner, effort, engines=options.engines).solve()
    return plan, memory.most_mib


def _wait_for(runner: ProcessRunner, engines: Sequence[Engine]) -> None:
    """Let every process load its solvers before the clock starts, as those of the peers do."""
    travel = PlaneTravel(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    jobs = [Job(str(place), None, Stop(place)) for place in (1, 2)]
    problem = Problem(jobs, [Vehicle("van", start=0, end=0)], [travel])
    for engine in engines:
        searches = [Search(problem, engine, Budget(seconds=0.1, iterations=1)) for _ in range(runner.cores)]
        for _ in runner.run(searches, lambda *_: None):
            pass


def _gap(instance: Instance, plan: Solution | None, known: Known) -> float | None:
    if plan is None or not verify(instance.problem, plan).is_feasible:
        return None
    return instance.gap(plan, known)


class _Memory:
    """Watches what this process and its children have in memory."""

    def __init__(self) -> None:
        self.most_mib = 0.0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Memory":
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        ours = psutil.Process()
        while not self._over.wait(_LOOK_S):
            total = 0
            for process in (ours, *ours.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.most_mib = max(self.most_mib, total / 2**20)


def _figures(runs: Sequence[_Run], options: SolveOptions) -> dict[str, Any]:
    solvers = ("ours", *options.peers)
    sets: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(run.set_name for run in runs):
        of_set = [run for run in runs if run.set_name == name]
        sets[name] = {solver: _mean([run.gaps[solver] for run in of_set]) for solver in solvers}
    won = [_compared(run) for run in runs]
    return {
        "sets": sets,
        "unsolved": {solver: sum(run.gaps[solver] is None for run in runs) for solver in solvers},
        "wins": won.count(1),
        "losses": won.count(-1),
        "ties": won.count(0),
        "instances": len({(run.set_name, run.instance) for run in runs}),
        "limit_s": options.seconds,
        "solver_cores": options.cores,
        "runs": [{"set": run.set_name, "instance": run.instance, "seed": run.seed, "gaps": run.gaps} for run in runs],
    }


def _compared(run: _Run) -> int:
    """Return 1 if ours is better than the best peer, -1 if it is worse, 0 if they are alike."""
    ours = run.gaps["ours"]
    theirs = min((gap for name, gap in run.gaps.items() if name != "ours" and gap is not None), default=None)
    if theirs is None:
        return 0 if ours is None else 1
    if ours is None or ours > theirs + _SAME:
        return -1
    return 1 if ours < theirs - _SAME else 0


def _mean(gaps: Sequence[float | None]) -> float | None:
    known = [gap for gap in gaps if gap is not None]
    return round(statistics.mean(known), 6) if known else None


def _percent(gap: float | None) -> str:
    return "none" if gap is None else f"{100 * gap:.3f} %"


def _show(runs: Sequence[_Run], peers: Sequence[Peer], console: Console) -> None:
    table = Table("set", "instance", "seed", "ours", *peers, title="gap to the best known value")
    for run in runs:
        row = [_percent(run.gaps[solver]) for solver in ("ours", *peers)]
        table.add_row(run.set_name, run.instance, str(run.seed), *row)
    console.print(table)
