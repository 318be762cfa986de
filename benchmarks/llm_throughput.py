"""How fast many calls go, against the ideal and the peers; and what a call costs of the processor.

With a delay the limit is in flight / delay; without one, what the plain `openai` package does with
a second of the processor. 2,000 items at 64 a time are 31.25 rounds, so nobody can pass 97.7 % of
the ideal; bare aiohttp, which is no peer, shows what the machine takes of that. Every turn of ours
has a fresh database; all take turns on one server.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from batch_platform.sandbox.model_server import RunningModelServer, running_model_server
from benchmarks import llm_peers
from benchmarks.figures import Figure
from benchmarks.llm_job import Job
from benchmarks.llm_job import run as run_ours
from benchmarks.llm_peers import BARE, FLOOR, PEERS, Peer, PeerMissingError
from benchmarks.peers.job import Spent
from benchmarks.scratch_database import scratch_database

ITEMS = 2_000
IN_FLIGHT = 64
DELAY_SECONDS = 0.2
IDEAL_PER_SECOND = IN_FLIGHT / DELAY_SECONDS
TURNS = 3
CPU_TURNS = 5

_LIMIT_A_MINUTE = 60_000
"""Known, so that every call is paced, and three times what the delay lets through."""
_LIMIT_WITHOUT_DELAY = 600_000
_AIM_OF_IDEAL = 0.95
_AIM_OF_BEST_PEER = 0.99
"""No slower than the best peer, less what two equal programs differ by from turn to turn."""
_AIM_OF_CPU = 0.8

Runs = dict[Peer | None, list[Spent]]
"""What each took, in turn; ours under None."""


def throughput_figures(console: Console, *, quick: bool) -> Mapping[str, Figure]:
    """Measure, print the table of peers and return the figures."""
    pythons, missing = _installed()
    with (
        TemporaryDirectory() as folder,
        running_model_server(as_process=True, delay=DELAY_SECONDS) as server,
    ):
        job = Path(folder) / "job.json"
        llm_peers.write_job(job, server.url, ITEMS, IN_FLIGHT)
        delayed = _turns(server, job, pythons, missing, 1 if quick else TURNS, _LIMIT_A_MINUTE)
        server.configure(delay=0)
        bare = {peer: python for peer, python in pythons.items() if peer is BARE}
        turns = 2 if quick else CPU_TURNS
        undelayed = _turns(server, job, bare, missing, turns, _LIMIT_WITHOUT_DELAY)
    for problem in missing.values():
        console.print(f"missing: {problem}", markup=False)
    _print_table(console, delayed, missing)
    rates = {peer: _items_per_second(runs) for peer, runs in delayed.items() if runs}
    best = max((rates[peer] for peer in PEERS if peer in rates), default=float("inf"))
    figures: dict[str, Figure] = {
        "throughput_of_ideal": _figure(rates[None] / IDEAL_PER_SECOND, _AIM_OF_IDEAL),
        "ratio_to_best_peer": _figure(rates[None] / best, _AIM_OF_BEST_PEER),
        "peers_missing": {"value": len(missing), "aim": 0, "better": "lower"},
        "items_per_cpu_second_ratio": _figure(_cpu_ratio(console, undelayed), _AIM_OF_CPU),
    }
    return figures


def _installed() -> tuple[dict[Peer, Path], dict[Peer, str]]:
    pythons: dict[Peer, Path] = {}
    missing: dict[Peer, str] = {}
    for peer in (*PEERS, FLOOR):
        try:
            pythons[peer] = llm_peers.install(peer)
        except PeerMissingError as problem:
            missing[peer] = str(problem)
    return pythons, missing


def _turns(
    server: RunningModelServer,
    job: Path,
    pythons: Mapping[Peer, Path],
    missing: dict[Peer, str],
    turns: int,
    limit_a_minute: int,
) -> Runs:
    """Let all do the job by turns, each turn beginning with another one."""
    contestants: list[Peer | None] = [None, *pythons]
    runs: Runs = {peer: [] for peer in contestants}
    for turn in range(turns):
        for place in range(len(contestants)):
            peer = contestants[(turn + place) % len(contestants)]
            if peer in missing:
                continue
            server.reset()
            if peer is None:
                runs[peer].append(_ours(server, limit_a_minute))
                continue
            try:
                runs[peer].append(llm_peers.run(peer, pythons[peer], job, ITEMS))
            except PeerMissingError as problem:
                missing[peer], runs[peer] = str(problem), []
    return runs


def _ours(server: RunningModelServer, limit_a_minute: int) -> Spent:
    with scratch_database() as db:
        told = run_ours(
            Job(
                database_url=db.url,
                model_url=server.url,
                items=ITEMS,
                workers=IN_FLIGHT,
                requests_per_minute=limit_a_minute,
            )
        )
    if told.items != ITEMS:
        raise RuntimeError(f"Ours answered {told.items} of {ITEMS} items")
    return Spent(told.seconds, told.cpu_seconds)


def _items_per_second(runs: list[Spent]) -> float:
    return ITEMS / statistics.median(spent.seconds for spent in runs)


def _print_table(console: Console, runs: Runs, missing: Mapping[Peer, str]) -> None:
    table = Table(
        title=f"{ITEMS:,} items, {DELAY_SECONDS * 1000:.0f} ms, {IN_FLIGHT} in flight:"
        f" ideal {IDEAL_PER_SECOND:.0f} items/s",
        title_justify="left",
    )
    for heading in ("client", "version", "manner"):
        table.add_column(heading)
    for heading in ("items/s", "of ideal", "turns", "CPU ms/item"):
        table.add_column(heading, justify="right")
    for peer, spent in sorted(runs.items(), key=lambda each: -_items_per_second(each[1] or _NEVER)):
        who = (peer.package, peer.version, peer.manner) if peer else ("ours", "", _OUR_MANNER)
        if not spent:
            table.add_row(*who, "missing", "", "", "")
            continue
        shares = [f"{ITEMS / each.seconds / IDEAL_PER_SECOND:.0%}" for each in spent]
        cpu = statistics.median(each.cpu_seconds for each in spent) / ITEMS * 1000
        rate = _items_per_second(spent)
        share = f"{rate / IDEAL_PER_SECOND:.1%}"
        table.add_row(*who, f"{rate:.0f}", share, " ".join(shares), f"{cpu:.2f}")
    for peer in missing.keys() - runs.keys():
        table.add_row(peer.package, peer.version, peer.manner, "missing", "", "", "")
    console.print(table)


_OUR_MANNER = "ledger and pacing on"
_NEVER = [Spent(float("inf"), 0.0)]


def _cpu_ratio(console: Console, runs: Runs) -> float:
    """Ours to the bare client in items per second of the client's own processor time."""
    if not runs.get(BARE):
        return 0.0
    pairs = list(zip(runs[None], runs[BARE], strict=True))
    ratio = statistics.median(bare.cpu_seconds / ours.cpu_seconds for ours, bare in pairs)
    ours, bare = (
        statistics.median(ITEMS / spent.cpu_seconds for spent in runs[who]) for who in (None, BARE)
    )
    console.print(
        f"no delay, items per CPU second of the client's process: ours {ours:.0f},"
        f" {BARE.package} {bare:.0f}: ratio {ratio:.2f}"
        " (ours with ledger, pacing and keys; neither with database or server)"
    )
    return ratio


def _figure(value: float, aim: float) -> Figure:
    return {"value": round(value, 3), "aim": aim, "better": "higher"}
