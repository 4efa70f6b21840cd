"""The environment of an app's process: a short list, what the guard must know, and the app's own.

Pure.  Everything else in the supervisor's environment stays out: the portal's key and database,
and the secrets of other apps.
"""

from collections.abc import Mapping
from typing import Final

from gradio_apps.runtime.supervisor.document import AppPlan, Plan
from gradio_apps.runtime.supervisor.own_user import TEMPORARY, UPLOADS

PASSED_ON: Final = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    }
)
"""Names passed on from the supervisor's environment; proxies in either case, and every ``LC_*``."""
SECRET_DESCRIPTOR: Final = 4
"""Descriptor from which the app's process reads its client secret."""
CHANNEL_DESCRIPTOR: Final = 5
"""Descriptor of the channel to the supervisor (:mod:`gradio_apps.runtime.channel`)."""


def environment_of(
    app: AppPlan, *, plan: Plan, outer: Mapping[str, str], pause: int, usual: float | None = None
) -> dict[str, str]:
    """Return the whole environment for *app*.

    *pause* is how long it stays if it fails to load, *usual* how long it usually takes to start, in seconds.
    """
    passed = {name: value for name, value in outer.items() if _is_passed_on(name)}
    ours = {
        "PORTAL_URL": plan.portal_url,
        "PORTAL_APP": app.slug,
        "PORTAL_APP_URL": app.url,
        "PORTAL_APP_TITLE": app.title,
        "PORTAL_APP_SECRET_FD": str(SECRET_DESCRIPTOR),
        "PORTAL_APP_COOKIES": app.cookies,
        "PORTAL_APP_SHARED_FILES": "true" if app.shared_files else "false",
        "PORTAL_FAILURE_PAUSE": str(pause),
        "PORTAL_START_TIMEOUT": str(app.start_timeout),
        "PORTAL_STOP_GRACE": str(plan.grace),
        "PORTAL_SUPERVISOR_FD": str(CHANNEL_DESCRIPTOR),
        "PORTAL_SECRET_NAMES": ",".join(app.secret_names),
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": app.slug,
    }
    if plan.portal_internal_url is not None:
        ours["PORTAL_INTERNAL_URL"] = plan.portal_internal_url
    if plan.trusted_proxies:
        ours["PORTAL_TRUSTED_PROXIES"] = plan.trusted_proxies
    if plan.ca_file is not None:
        ours["PORTAL_CA_FILE"] = plan.ca_file
    if usual is not None:
        ours["PORTAL_USUAL_START"] = str(round(usual))
    defaults = {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(app.temp),
        "PYTHONUNBUFFERED": "1",  # the log shows what the app printed when it printed it
    }
    if app.user is not None and (home := app.user.home) is not None:  # not in shared folders such as /tmp
        defaults |= {"HOME": str(home), "TMPDIR": str(home / TEMPORARY), "GRADIO_TEMP_DIR": str(home / UPLOADS)}
    return passed | defaults | dict(app.env) | ours


def _is_passed_on(name: str) -> bool:
    return name.startswith("LC_") or name in PASSED_ON or (name.endswith("_proxy") and name.upper() in PASSED_ON)
