"""The portal's metrics, for Prometheus.

Labels come from closed lists only: codes, slugs of the catalogue, ids of configured providers, routes.  None is about a
person.  With ``PROMETHEUS_MULTIPROC_DIR``, all workers of a portal are counted together, also those that have ended.
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
"""The names of all metrics; a test compares them with ``docs/operate.md`` and with ``/metrics``."""


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
        self._notifications = Counter(
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
            self._notifications.labels(outcome)  # present from the start, at 0

    def count_sign_in(self, provider: str) -> None:
        """Count a sign-in at *provider*, an id of the configuration."""
        self._sign_ins.labels(provider).inc()

    def count_refusal(self, code: str) -> None:
        """Count a refusal with *code*, one of ``docs/codes.md``."""
        self._refusals.labels(code).inc()

    def count_launch(self, app: str) -> None:
        """Count a launch of *app*, a slug of the catalogue."""
        self._launches.labels(app).inc()

    def count_notifications(self, delivered: int, failed: int) -> None:
        """Count one round of logout notifications."""
        self._notifications.labels("delivered").inc(delivered)
        self._notifications.labels("failed").inc(failed)

    def observe_request(self, route: str, seconds: float) -> None:
        """Record that a request to *route*, a URL rule, took *seconds*."""
        self._requests.labels(route).observe(seconds)

    def exposition(
        self, living: tuple[int, int] | None, *, has_supervisor: bool = False, apps: Sequence[AppStatus] | None = None
    ) -> bytes:
        """Return all metrics in Prometheus' text format.

        *living*: numbers of sign-ins and of app sessions; ``None`` if unknown.  *apps*: their states as the supervisor
        reports them; ``None`` if it does not answer.
        """
        registry = CollectorRegistry()
        try:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library's own
        except ValueError:  # no folder is set: one process with its own counters
            registry = self._registry
        text = generate_latest(registry) + generate_latest(_LiveCounts(living))
        return text + generate_latest(_Apps(apps)) if has_supervisor else text


class _LiveCounts(Collector):
    """What the database counts at each scrape."""

    def __init__(self, living: tuple[int, int] | None) -> None:
        self._living = living

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "portal_database_up",
            "Whether the database answers and can be written.",
            value=0 if self._living is None else 1,
        )
        if self._living is not None:
            sign_ins, app_sessions = self._living
            yield GaugeMetricFamily("portal_sign_ins_live", "Sign-ins that have not ended.", value=sign_ins)
            yield GaugeMetricFamily(
                "portal_app_sessions_live", "App sessions that have not ended, of such sign-ins.", value=app_sessions
            )


class _Apps(Collector):
    """States of this machine's apps, as the supervisor reports them; unknown values are left out."""

    def __init__(self, apps: Sequence[AppStatus] | None) -> None:
        self._apps = apps

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "portal_supervisor_up",
            "Whether the supervisor of the apps answers.",
            value=0 if self._apps is None else 1,
        )
        apps = self._apps or ()
        yield _family(
            GaugeMetricFamily("portal_app_state", "1 for the state an app is in, 0 for the others.", labels=_STATE),
            (((app.app, state), float(app.state == state)) for app in apps for state in get_args(State)),
        )
        yield _family(
            GaugeMetricFamily("portal_app_open", "Work in progress in an app, by kind.", labels=_KIND),
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
            GaugeMetricFamily("portal_app_leaving", "Replaced processes that still finish their work.", labels=_APP),
            (((app.app,), app.leaving) for app in apps),
        )
        yield _family(
            CounterMetricFamily(
                "portal_app_restarts", "Restarts of an app: its processes after the first.", labels=_APP
            ),
            (((app.app,), app.restarts) for app in apps),
        )
        yield _family(
            CounterMetricFamily(
                "portal_app_replacements_failed", "New processes that did not start beside the old one.", labels=_APP
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
