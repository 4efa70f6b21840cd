"""Many people for a long time: do memory, descriptors, threads and rows of portal and guards stay level?

People sign in, open apps, call them, watch streams, sign out and are revoked, while the provider is asked again for
each of them every minute.  Everything is a real process.  The first third of the time is for caches to fill; then the
second third is compared with the last.
"""

import argparse
import contextlib
import io
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import requests

from benchmarks import results
from benchmarks.access_ends import Act, Visit, revoke, running, sign_out, sign_out_at_the_provider
from portal.cli import main as portal_command
from tests.journeys.deployment import Deployment
from tests.journeys.plain_browser import PlainBrowser
from tests.provider.process import Person

OPENED: Final = ("first", "first", "first", "second", "second")
"""The apps that a person opens after signing in."""
ACTORS: Final = 4
"""Threads that act, each for its own share of the people."""
PAUSE: Final = 0.05
"""Seconds between two deeds of one of them: the machine is to be busy, not late."""
EVERY: Final = 10.0
"""Seconds between two looks at the processes."""
DEEDS: Final = {"call": 80, "launch": 8, "stream": 6, "sign-out": 3, "logout at the provider": 2, "revocation": 1}
"""What people do, by how often of a hundred times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the processes of one kind have."""

    memory: float = 0.0
    """Anonymous memory that is resident, in MiB."""
    descriptors: float = 0.0
    threads: float = 0.0

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})


MORE: Final = Sample(memory=8, descriptors=16, threads=4)
"""Growth that does not count, beside a tenth of what there was."""


def main() -> int:
    """Start, act, look and print; return 0 if all stayed level, and no person was put out who should not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results.md")
    options = parser.parse_args()
    accounts = {
        f"p{number}": {"name": f"Person {number}", "email": f"p{number}@example.com"}
        for number in range(options.people)
    }
    lines = 'refresh_interval = "1m"\n'
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), lines=lines, accounts=accounts) as deployment,
    ):
        crowd = Crowd(deployment, list(accounts))
        crowd.arrive()
        samples = crowd.go_on(seconds=options.minutes * 60)
        left = rows_left(deployment)
    table, is_level = compared(samples)
    deeds = ", ".join(f"{deed} {count} times" for deed, count in crowd.done.most_common())
    text = (
        f"{options.people} people, with {len(OPENED)} app sessions each at the beginning, for {options.minutes:g} "
        f"minutes: {deeds}. Refused although nothing had ended: {crowd.refused}. Rows that still lived after all "
        f"sign-ins were revoked: {left}.\n\n{table}"
    )
    print(text)
    if options.write:
        results.write("Many people for a long time", text, command="make bench-soak")
    return 0 if is_level and crowd.refused == 0 and left == 0 else 1


class Crowd:
    """The people."""

    def __init__(self, deployment: Deployment, accounts: Sequence[str]) -> None:
        self._deployment = deployment
        self._accounts = accounts
        self._visits: dict[str, Visit] = {}
        self.done: Counter[str] = Counter()
        self.refused = 0

    def arrive(self) -> None:
        """Have everyone sign in and open their apps."""
        self._act(lambda accounts, _: [self._come(account) for account in accounts])

    def go_on(self, *, seconds: float) -> list[dict[str, Sample]]:
        """Have everyone act for a while; return what the processes had meanwhile, by kind."""
        until = time.monotonic() + seconds
        samples: list[dict[str, Sample]] = []
        over = threading.Event()

        def look() -> None:
            while not over.wait(EVERY):
                samples.append(sampled(self._deployment.process.pid))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            self._act(lambda accounts, chance: self._go_on(accounts, chance, until=until))
        finally:
            over.set()
            looking.join()
        return samples

    def _act(self, act: Callable[[Sequence[str], random.Random], object]) -> None:
        failures: list[BaseException] = []

        def run(number: int) -> None:
            try:
                act(self._accounts[number::ACTORS], random.Random(number))  # noqa: S311 - the same deeds in each run
            except BaseException as failure:
                failures.append(failure)
                raise

        actors = [threading.Thread(target=run, args=(number,)) for number in range(ACTORS)]
        for actor in actors:
            actor.start()
        for actor in actors:
            actor.join()
        if failures:
            raise failures[0]

    def _go_on(self, accounts: Sequence[str], chance: random.Random, *, until: float) -> None:
        while time.monotonic() < until:
            visit = self._visits[chance.choice(accounts)]
            (deed,) = chance.choices(list(DEEDS), weights=list(DEEDS.values()))
            self.done[deed] += 1
            if deed == "call":
                self._call(visit)
            elif deed == "launch":
                self._expect(visit.browser.open_app(self._deployment.url, chance.choice(OPENED)))
            elif deed == "stream":
                self._watch(visit)
            else:
                ENDINGS[deed](visit)()
                visit.person.close()
                self._come(visit.person.account)
            time.sleep(PAUSE)

    def _come(self, account: str) -> None:
        """Have a person sign in with a new browser, and open their apps."""
        visit = Visit(deployment=self._deployment, person=Person(account), browser=PlainBrowser())
        visit.browser.sign_in(self._deployment.url, visit.person)
        for app in OPENED:
            self._expect(visit.browser.open_app(self._deployment.url, app))
        self._visits[account] = visit

    def _call(self, visit: Visit) -> None:
        for origin in (self._deployment.url, *(self._deployment.apps[app] for app in set(OPENED))):
            self._expect(visit.browser.get(f"{origin}/"))

    def _watch(self, visit: Visit) -> None:
        with contextlib.closing(visit.browser.get(f"{self._deployment.apps['first']}/stream", stream=True)) as answer:
            self._expect(answer)
            began = time.monotonic()
            for _ in answer.iter_content(64):
                if time.monotonic() - began > 1:
                    break

    def _expect(self, answer: requests.Response) -> None:
        if answer.status_code != requests.codes.ok:
            self.refused += 1
            print(f"{answer.url} answered {answer.status_code}", file=sys.stderr, flush=True)


ENDINGS: Final[Mapping[str, Callable[[Visit], Act]]] = {
    "sign-out": sign_out,
    "logout at the provider": sign_out_at_the_provider,
    "revocation": revoke,
}


def sampled(root: int) -> dict[str, Sample]:
    """Return what the process *root* and its descendants have, by kind."""
    samples: defaultdict[str, Sample] = defaultdict(Sample)
    pids = [root]
    for pid in pids:
        folder = Path(f"/proc/{pid}")
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for children in folder.glob("task/*/children"):
                pids += map(int, children.read_text().split())
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            samples[_kind(words)] += Sample(
                memory=int(status["RssAnon"].split()[0]) / 1024,
                descriptors=len(list((folder / "fd").iterdir())),
                threads=int(status["Threads"]),
            )
    return dict(samples)


def _kind(words: Sequence[str]) -> str:
    line = " ".join(words)
    known = {"portal.cli": "portal serve", "gunicorn": "portal's workers", "supervisor": "supervisor"}
    return next((name for sign, name in known.items() if sign in line), "apps")


def rows_left(deployment: Deployment) -> int:
    """Revoke every sign-in, and return how many rows live a moment later."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert portal_command(["sign-ins", "revoke", "--all"]) == 0
    time.sleep(5)
    living = """SELECT (SELECT count(*) FROM sign_ins WHERE ended_at IS NULL)
      + (SELECT count(*) FROM app_sessions WHERE ended_at IS NULL) + (SELECT count(*) FROM outbox)"""
    (count,) = Visit(deployment=deployment, person=Person(""), browser=PlainBrowser()).query(living)
    return int(str(count))


def compared(samples: Sequence[Mapping[str, Sample]]) -> tuple[str, bool]:
    """Return a table of the second and the last third of *samples*, and whether nothing grew."""
    third = max(1, len(samples) // 3)
    lines = ["| processes | memory, MiB | descriptors | threads |", "|---|---|---|---|"]
    is_level = True
    for kind in samples[0]:
        cells = []
        for one in fields(Sample):
            parts = (samples[-2 * third : -third], samples[-third:])
            before, after = (statistics.median(getattr(look[kind], one.name) for look in part) for part in parts)
            grew = after > before + max(before / 10, getattr(MORE, one.name))
            is_level = is_level and not grew
            cells.append(f"{before:.0f} → {after:.0f}{' (grew)' if grew else ''}")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines), is_level


if __name__ == "__main__":
    sys.exit(main())
