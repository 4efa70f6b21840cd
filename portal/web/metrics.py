"""What is counted about the portal, for Prometheus.

Labels come from closed lists only: codes, slugs of the catalogue, ids of configured providers, routes.
Nothing in them is about a person.  Where ``PROMETHEUS_MULTIPROC_DIR`` is set before the processes start,
the workers of one portal are counted together, also those that have ended.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from portal.contract.supervisor_messages import AppStatus, State, WorkKind

disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own; half of the lines, and of no use with counters that outlive processes

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_APP: Final = ("app",)
_STATE: Final = ("app", "state")
_KIND: Final = ("app", "kind")
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

NAMES: Final = (
    "portal_app_leaving",
    "portal_app_memory_bytes",
    "portal_app_open",
    "portal_app_replacements_failed_total",
    "portal_app_restarts_total",
    "portal_app_sessions_live",
    "portal_app_start_seconds",
    "portal_app_state",
    "portal_database_up",
    "portal_launches_total",
    "portal_pushes_total",
    "portal_refusals_total",
    "portal_request_seconds",
    "portal_sign_ins_live",
    "portal_sign_ins_total",
    "portal_supervisor_up",
)
"""Everything there is; a test holds ``docs/operate.md`` and what is served against it."""


class Metrics:
    """The counters of one portal."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._sign_ins = Counter(
            "portal_sign_ins_total", "Completed sign-ins, by provider.", ["provider"], registry=self._registry
        )
        self._refusals = Counter(
            "portal_refusals_total", "Refusals, by code of docs/codes.md.", ["code"], registry=self._registry
        )
        self._launches = Counter(
            "portal_launches_total", "Apps opened: tickets redeemed, by app.", ["app"], registry=self._registry
        )
        self._pushes = Counter(
            "portal_pushes_total", "Attempts to tell an app that a session ended.", ["outcome"], registry=self._registry
        )
        self._requests = Histogram(
            "portal_request_seconds",
            "Time until a request was answered, by route.",
            ["route"],
            registry=self._registry,
            buckets=_SECONDS,
        )
        for outcome in ("delivered", "failed"):
            self._pushes.labels(outcome)  # there from the start, at 0

    def signed_in(self, provider: str) -> None:
        """Count a sign-in by way of *provider*, an id of the configuration."""
        self._sign_ins.labels(provider).inc()

    def refused(self, code: str) -> None:
        """Count a refusal; *code* is one of ``docs/codes.md``."""
        self._refusals.labels(code).inc()

    def launched(self, app: str) -> None:
        """Count that *app*, a slug of the catalogue, was opened."""
        self._launches.labels(app).inc()

    def pushed(self, delivered: int, failed: int) -> None:
        """Count one round of pushes."""
        self._pushes.labels("delivered").inc(delivered)
        self._pushes.labels("failed").inc(failed)

    def answered(self, route: str, seconds: float) -> None:
        """Count an answer of *route*, a rule of the portal's routes."""
        self._requests.labels(route).observe(seconds)

    def exposition(
        self, living: tuple[int, int] | None, *, has_supervisor: bool = False, apps: Sequence[AppStatus] | None = None
    ) -> bytes:
        """Return everything in Prometheus' text format.

        *living*: sign-ins and app sessions, ``None`` if unknown.  *apps*: what the supervisor says of them, ``None``
        if it says nothing; without *has_supervisor* there is none to ask.
        """
        registry = CollectorRegistry()
        try:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library's own
        except ValueError:  # no folder is named: one process, and its own counters
            registry = self._registry
        said = generate_latest(registry) + generate_latest(_Living(living))
        return said + generate_latest(_Apps(apps)) if has_supervisor else said


class _Living(Collector):
    """What is not counted but looked up."""

    def __init__(self, living: tuple[int, int] | None) -> None:
        self._living = living

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "portal_database_up",
            "Whether the database answered just now, and took a write.",
            value=0 if self._living is None else 1,
        )
        if self._living is not None:
            sign_ins, app_sessions = self._living
            yield GaugeMetricFamily("portal_sign_ins_live", "Sign-ins that have not ended.", value=sign_ins)
            yield GaugeMetricFamily(
                "portal_app_sessions_live", "App sessions that have not ended, of such sign-ins.", value=app_sessions
            )


class _Apps(Collector):
    """What the supervisor says of the apps of this machine; what it does not know is left out."""

    def __init__(self, apps: Sequence[AppStatus] | None) -> None:
        self._apps = apps

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "portal_supervisor_up",
            "Whether the supervisor of the apps answered just now.",
            value=0 if self._apps is None else 1,
        )
        apps = self._apps or ()
        yield _family(
            GaugeMetricFamily("portal_app_state", "1 for the state an app is in, 0 for the others.", labels=_STATE),
            (((app.app, state), float(app.state == state)) for app in apps for state in get_args(State)),
        )
        yield _family(
            GaugeMetricFamily("portal_app_open", "What is under way in an app, by kind.", labels=_KIND),
            (((app.app, kind), app.open.get(kind, 0)) for app in apps for kind in get_args(WorkKind)),
        )
        yield _family(
            GaugeMetricFamily("portal_app_start_seconds", "How long the last start of an app took.", labels=_APP),
            (((app.app,), app.last_start) for app in apps),
        )
        yield _family(
            GaugeMetricFamily("portal_app_memory_bytes", "Memory in use by an app's processes.", labels=_APP),
            (((app.app,), app.memory) for app in apps),
        )
        yield _family(
            GaugeMetricFamily("portal_app_leaving", "Replaced processes that finish what runs in them.", labels=_APP),
            (((app.app,), app.leaving) for app in apps),
        )
        yield _family(
            CounterMetricFamily("portal_app_restarts", "Processes of an app after its first.", labels=_APP),
            (((app.app,), app.restarts) for app in apps),
        )
        yield _family(
            CounterMetricFamily(
                "portal_app_replacements_failed", "New processes that did not come up beside the old.", labels=_APP
            ),
            (((app.app,), app.failed_replacements) for app in apps),
        )


def _family(
    family: GaugeMetricFamily | CounterMetricFamily, values: Iterable[tuple[tuple[str, ...], float | None]]
) -> Metric:
    for labels, value in values:
        if isinstance(value, (int, float)):
            family.add_metric(labels, value)
    return family
