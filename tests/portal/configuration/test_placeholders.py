from pathlib import Path

import pytest

from portal.configuration.placeholders import is_placeholder
from tests.portal.configuration.reading import APP, ENVIRON, GOOD, PORTAL, PROVIDER, keys, problems
from tests.portal.configuration.test_provider_types import AUTH0, BASE, COGNITO, GENERIC, GITHUB, OKTA, POOL

LEFT_BEHIND = (
    "<YOUR-CLIENT-ID>",
    "<your client secret>",
    "your-client-id",
    "YOUR_CLIENT_SECRET",
    "${CLIENT_SECRET}",
    "{{ client_secret }}",
    "changeme",
    "change-me",
    "replace_this",
    "placeholder",
    "put-your-secret-here",
    "...",
    "\u2026",
    "xxxxxxxx",
)
MEANT = (
    "portal",
    "7abc123clientid",
    "client-secret",
    "zT9VwFZq+ApmIQ/ZH1I5pLk+uB4udX2/8bLwfFTt1rFw=",
    "a<b",
    "0oa1clientid",
    "todo-app",
    "company",
    "x",
)


@pytest.mark.parametrize("value", LEFT_BEHIND)
def test_what_an_example_left_behind_is_known(value: str) -> None:
    assert is_placeholder(value)
    assert is_placeholder(value, secret=True)


@pytest.mark.parametrize(
    "value",
    [
        *MEANT,
        "https://id.example.com",
        "https://static.1.your-server.de/realms/acme",
        "https://{app}.apps.example.com",
        "http://{app}.demo.localhost:{port}",
        "company.auth.eu-west-2.amazoncognito.com",
    ],
)
def test_a_real_value_is_not_a_placeholder(value: str) -> None:
    assert not is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    ["https://<your-domain>/realms/x", "https://your-domain.okta.com", "yourdomain.auth0.com", "https://${HOST}/x"],
)
def test_within_an_address_it_is_one_and_within_a_secret_it_may_be_chance(value: str) -> None:
    assert is_placeholder(value)
    assert not is_placeholder(value, secret=True)


EVERY = GITHUB | OKTA | AUTH0 | COGNITO | POOL | GENERIC


@pytest.mark.parametrize("name", [name for name in EVERY if name not in BASE])
def test_in_every_variable_of_a_provider_it_is_the_one_problem(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, PORTAL, EVERY | {name: "<YOUR-VALUE>"})

    assert [problem.key for problem in found] == [name]
    assert "placeholder" in found[0].what
    assert "YOUR-VALUE" not in str(found[0])


@pytest.mark.parametrize("name", ["OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OPENID_PROVIDER_URL", "OAUTH_SCOPES"])
def test_in_the_variables_that_name_no_make_too(tmp_path: Path, name: str) -> None:
    environ = BASE | {
        "OPENID_PROVIDER_URL": "https://id.example.com",
        "OAUTH_CLIENT_ID": "portal",
        "OAUTH_CLIENT_SECRET": "from-the-environment",
        name: "<YOUR-VALUE>",
    }

    assert [(one.key, "placeholder" in one.what) for one in problems(tmp_path, PORTAL, environ)] == [(name, True)]


def test_in_a_variable_that_the_file_names_too(tmp_path: Path) -> None:
    assert keys(tmp_path, GOOD, ENVIRON | {"COMPANY_SECRET": "<secret>"}) == ["COMPANY_SECRET"]
    (tmp_path / "app.py").write_text("demo = None\n", encoding="utf-8")
    app = '[apps.forecast]\nsource = "app.py"\nopen_to = ["analyst"]\nsecrets = ["OPENAI_API_KEY"]\n'
    environ = ENVIRON | {"OPENAI_API_KEY": "your-api-key"}
    assert keys(tmp_path, GOOD.replace(APP, app), environ) == ["OPENAI_API_KEY"]


def test_in_a_variable_of_another_program_it_is_nobodys_business(tmp_path: Path) -> None:
    assert keys(tmp_path, GOOD, ENVIRON | {"OTHER_PROGRAM_KEY": "<YOUR-KEY>", "OAUTH_OTHER_ID": "<YOUR-ID>"}) == []


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"https://portal.example.com"', '"https://<your-host>"', "portal.url"),
        ('"https://id.example.com"', '"https://your-tenant.auth0.com/"', "providers.company.issuer"),
        ('client_id = "portal"', 'client_id = "<client id>"', "providers.company.client_id"),
        ('client_id = "portal"', 'client_id = "portal"\nscopes = ["openid", "<scope>"]', "providers.company.scopes"),
        ('["AI-Analysts"]', '["<YOUR-GROUP>"]', "roles.analyst.groups"),
        ('"https://forecast.apps.example.com"', '"https://your-app.example.com"', "apps.forecast.url"),
    ],
)
def test_in_the_file_it_is_the_one_problem_of_its_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))

    assert [(one.key, "placeholder" in one.what) for one in found] == [(key, True)]


def test_a_title_and_a_rule_are_prose_and_expression(tmp_path: Path) -> None:
    text = GOOD.replace("[portal]", '[portal]\ntitle = "Your company"', 1)
    text = text.replace("contains(roles, 'Tenant Admin')", "length(groups) < `3` && contains(roles, '<x>')")

    assert keys(tmp_path, text) == []
    assert keys(tmp_path, PORTAL + PROVIDER.replace('id = "company"', 'id = "company"\nlabel = "Your company"')) == []
