"""What an app's process may know."""

from pathlib import Path

from gradio_apps.runtime.supervisor.document import read_plan
from gradio_apps.runtime.supervisor.environment import environment_of
from tests.gradio_apps.supervisor.supervising import a_document, an_app

OUTER = {
    "PATH": "/bin",
    "HOME": "/root",
    "LC_ALL": "C",
    "https_proxy": "http://proxy",
    "NO_PROXY": "x",
    "PORTAL_SECRET_KEY": "key",
    "PORTAL_DATABASE_URL": "postgresql://",
    "OAUTH_CLIENT_SECRET": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "PYTHONPATH": "/somewhere",
    "LD_PRELOAD": "x.so",
    "evil_proxy": "x",
    "LISTEN_PID": "1",
}


def test_only_what_is_listed_is_passed_on(tmp_path: Path) -> None:
    plan = read_plan(a_document(an_app(tmp_path, env={"PATH": "/own", "GRADIO_TEMP_DIR": "/own"})))
    environment = environment_of(plan.apps[0], plan=plan, outer=OUTER, pause=4)

    assert {"HOME", "LC_ALL", "https_proxy", "NO_PROXY"} <= set(environment)
    assert set(OUTER) & set(environment) == {"PATH", "HOME", "LC_ALL", "https_proxy", "NO_PROXY"}
    assert (
        environment["PATH"],
        environment["GRADIO_TEMP_DIR"],
        environment["PORTAL_FAILURE_PAUSE"],
    ) == ("/own", "/own", "4")
    assert not any("the-secret-of" in value for value in environment.values())


def test_without_an_internal_address_none_is_given(tmp_path: Path) -> None:
    document = a_document(an_app(tmp_path)).replace('"internal_url"', '"another"')
    plan = read_plan(document)

    assert "PORTAL_INTERNAL_URL" not in environment_of(plan.apps[0], plan=plan, outer={}, pause=1)


def test_the_guard_learns_which_web_servers_to_believe(tmp_path: Path) -> None:
    document = a_document(an_app(tmp_path))
    plan = read_plan(document.replace('"internal_url"', '"trusted_proxies": "10.0.0.0/8", "internal_url"'))
    untold = read_plan(document)

    assert environment_of(plan.apps[0], plan=plan, outer={}, pause=1)["PORTAL_TRUSTED_PROXIES"] == "10.0.0.0/8"
    assert "PORTAL_TRUSTED_PROXIES" not in environment_of(untold.apps[0], plan=untold, outer={}, pause=1)


def test_the_guard_learns_of_the_companys_authorities(tmp_path: Path) -> None:
    document = a_document(an_app(tmp_path))
    plan = read_plan(document.replace('"internal_url"', '"ca_file": "/etc/ssl/company-ca.pem", "internal_url"'))
    untold = read_plan(document)

    assert environment_of(plan.apps[0], plan=plan, outer={}, pause=1)["PORTAL_CA_FILE"] == "/etc/ssl/company-ca.pem"
    assert "PORTAL_CA_FILE" not in environment_of(untold.apps[0], plan=untold, outer={}, pause=1)
