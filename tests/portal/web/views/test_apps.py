"""The app page and the launch."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from portal.contract import in_query, local_path, verify_ticket
from portal.rules.catalogue import Catalogue
from portal.rules.identity import Affiliation, Identity
from portal.web.views.apps import AppLocation, from_start, location_within, with_theme
from tests.builders import ISSUER, PORTAL, an_app, an_identity
from tests.portal.web.deployment import NAVIGATION, OWN, TESS, Deployment, field_of

NOBODY_SPECIAL = an_identity(
    subject="uwe", name="Uwe User", email="uwe@example.com", affiliations=(TESS.affiliations[0],)
)


BARE = {
    "tags=a|b": "tags=a%7Cb",
    "q=a^b": "q=a%5Eb",
    "q=`x`": "q=%60x%60",
    "filter={%22year%22:[2030]}": "filter=%7B%22year%22:[2030]%7D",
    "folder=C:\\data": "folder=C:%5Cdata",
    "q=100%": "q=100%",
    "q=it's": "q=it%27s",
    "to=https://x.example/?a=b": "to=https://x.example/?a=b",
}
"""Queries as browsers send them, and as the app gets them."""

NO_PLACES = (
    "/apps/forecast/%5Cevil.example",
    "/apps/forecast/..%2F..%2Fsecret",
    "/apps/forecast//evil.example",
    "/apps/forecast/%0Aevil",
    "/apps/forecast/?" + "x" * 5000,
    "/apps/forecast/?" + "|" * 2000,
)
"""Places inside an app that no path of the portal's may name, or that are too long for it."""


def directives(policy: str) -> dict[str, str]:
    return dict(directive.strip().split(" ", 1) for directive in policy.split(";"))


# Who may not


@pytest.mark.parametrize("path", ["/apps/forecast/", "/apps/forecast/deep?x=1", "/apps/nothing/", "/apps/beta-only/"])
def test_strangers_are_sent_to_sign_in_whatever_they_ask_for(deployment: Deployment, path: str) -> None:
    answer = deployment.browser().get(path)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=%2Fapps%2F")


def test_anonymous_people_get_the_same_answer_for_every_app(deployment: Deployment) -> None:
    known = deployment.browser().get("/apps/forecast/.portal/launch", headers=NAVIGATION)
    unknown = deployment.browser().get("/apps/nothing12/.portal/launch", headers=NAVIGATION)
    same_length = unknown.text.replace("nothing12", "forecast").replace(
        unknown.headers["X-Request-Id"], known.headers["X-Request-Id"]
    )
    assert (known.status_code, known.text) == (unknown.status_code, same_length)


@pytest.mark.parametrize("suffix", ["", "launch"])
def test_another_tenants_app_looks_like_one_that_does_not_exist(deployment: Deployment, suffix: str) -> None:
    browser = deployment.signed_in()
    answers = [browser.get(f"/apps/{slug}/{suffix}", headers=NAVIGATION) for slug in ("beta-only", "nothing")]
    pages = [answer.text.replace(answer.headers["X-Request-Id"], "reference") for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert pages[0] == pages[1]
    assert "Beta secret" not in pages[0]


def test_an_app_for_another_providers_people_looks_so_too_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = Deployment(
        tmp_path, catalogue=Catalogue((an_app(provider="partner", open_to=frozenset({"everyone"})),))
    )
    with caplog.at_level("INFO", logger="portal.apps"):
        assert deployment.signed_in().get("/apps/forecast/").status_code == 404
    assert [getattr(record, "fields", None) for record in caplog.records if record.name == "portal.apps"] == [
        {"app": "forecast", "denial": "other-provider"}
    ]


def test_nor_does_the_tenants_audit_tell_of_it(deployment: Deployment) -> None:
    browser = deployment.signed_in()
    for slug in ("beta-only", "nothing"):
        browser.get(f"/apps/{slug}/")
    events = deployment.services.audit.recent(issuer=ISSUER, tenant="acme", limit=2)
    assert [(event.event, event.app, event.detail) for event in events] == [("app-denied", None, "unknown-app")] * 2
    assert [event.fields for event in events] == [{"denial": "unknown-app"}] * 2


def test_a_missing_role_is_named_and_so_are_person_tenant_and_provider(deployment: Deployment) -> None:
    answer = deployment.signed_in(NOBODY_SPECIAL).get("/apps/admin-dashboard/")
    assert answer.status_code == 403
    for shown in ("Admin dashboard", ">admin<", "Uwe User", "uwe@example.com", "Acme", "Example Company"):
        assert shown in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    (event,) = deployment.services.audit.recent(issuer=ISSUER, tenant="acme", limit=1)
    assert (event.event, event.app, event.detail) == (
        "app-denied",
        "admin-dashboard",
        "missing-role (roles look for roles)",
    )
    assert event.fields == {"denial": "missing-role", "roles": ["admin"], "claims_read": ["roles"]}
    assert event.reference == answer.headers["X-Request-Id"]


def test_a_person_with_unknown_groups_reads_so(deployment: Deployment) -> None:
    affiliation = Affiliation(tenant="acme", groups_left_out=101)
    answer = deployment.signed_in(an_identity(affiliations=(affiliation,))).get("/apps/forecast/")

    assert answer.status_code == 403
    assert ">analyst<" in answer.text
    assert "Example Company did not tell the portal about all your groups" in answer.text
    (event,) = deployment.services.audit.recent(issuer=ISSUER, tenant="acme", limit=1)
    assert (event.event, event.app, event.detail) == (
        "app-denied",
        "forecast",
        "groups-unknown (roles look for groups)",
    )


def test_the_audit_of_a_missing_role_names_what_rules_look_for_and_what_came(deployment: Deployment) -> None:
    sent = ("email", "name", "sub")
    deployment.signed_in(an_identity(affiliations=(Affiliation(tenant="acme"),), sent=sent)).get("/apps/forecast/")
    denied, signed_in = deployment.services.audit.recent(issuer=ISSUER, tenant="acme", limit=2)

    assert denied.detail == "missing-role (roles look for groups; the provider sent email, name, sub)"
    assert signed_in.detail == "no role (roles look for groups, roles; the provider sent email, name, sub)"


def test_several_roles_are_all_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = an_app(open_to=frozenset({"admin", "analyst", "auditor"}))
    deployment = Deployment(tmp_path_factory.mktemp("house"), catalogue=Catalogue((app,)))
    text = deployment.signed_in(NOBODY_SPECIAL).get("/apps/forecast/").text
    assert all(f">{role}<" in text for role in ("admin", "analyst", "auditor"))
    assert " or " in text


def test_a_person_without_tenant_and_name_sees_the_reason(deployment: Deployment) -> None:
    person = Identity(provider="company", issuer="https://id.example.com", subject="x")
    answer = deployment.signed_in(person).get("/apps/admin-dashboard/")
    assert answer.status_code == 403
    assert "To open it, you need the role" in answer.text


def test_an_app_that_is_open_to_nobody_says_so(deployment: Deployment) -> None:
    answer = deployment.signed_in().get("/apps/closed/")
    assert answer.status_code == 403
    assert "No one has access to it" in answer.text


@pytest.mark.parametrize("slug", ["admin-dashboard", "beta-only"])
def test_a_person_with_access_in_another_tenant_can_switch(deployment: Deployment, slug: str) -> None:
    browser = deployment.signed_in(TESS)
    with deployment.app.app_context():
        deployment.services.sign_ins.switch_tenant(current_id(deployment, TESS), tenant="acme", now=deployment.now)
    answer = browser.get(f"/apps/{slug}/")
    assert answer.status_code == 403
    assert "Switch to Beta" in answer.text
    form = {name: field_of(answer, name) for name in ("csrf", "tenant", "next")}
    moved = browser.post("/tenant", data=form, headers=OWN)
    assert (moved.status_code, moved.headers["Location"]) == (303, f"/apps/{slug}/")
    assert browser.get(f"/apps/{slug}/").status_code == 200


def current_id(deployment: Deployment, person: Identity) -> str:
    return deployment.services.sign_ins.of_identity(person.id, now=deployment.now)[0].id


# The page


def test_the_page_frames_the_launch_and_nothing_but_portal_app_and_what_it_makes(deployment: Deployment) -> None:
    answer = deployment.signed_in().get("/apps/forecast/")
    assert answer.status_code == 200
    assert 'src="/apps/forecast/.portal/launch?next=%2F"' in answer.text
    assert 'data-origin="https://forecast.apps.example.com"' in answer.text
    policy = directives(answer.headers["Content-Security-Policy"])
    assert policy["frame-src"] == "'self' https://forecast.apps.example.com blob: data:"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["default-src"] == "'none'"
    assert "camera=()" in answer.headers["Permissions-Policy"]


def test_the_frame_has_no_more_rights_than_a_gradio_app_needs(deployment: Deployment) -> None:
    text = deployment.signed_in().get("/apps/forecast/").text
    sandbox = text.partition('sandbox="')[2].partition('"')[0].split()
    assert set(sandbox) == {
        "allow-scripts",
        "allow-forms",
        "allow-same-origin",
        "allow-downloads",
        "allow-popups",
        "allow-popups-to-escape-sandbox",
        "allow-modals",
        "allow-top-navigation-by-user-activation",
    }
    assert 'allow=""' in text


def test_features_the_app_names_are_for_its_origin_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = an_app(browser=("microphone", "clipboard-write"))
    deployment = Deployment(tmp_path_factory.mktemp("house"), catalogue=Catalogue((app,)))
    browser = deployment.signed_in()
    answer = browser.get("/apps/forecast/")
    origin = "https://forecast.apps.example.com"
    assert f'allow="microphone {origin}; clipboard-write {origin}"' in answer.text
    assert f'microphone=(self "{origin}")' in answer.headers["Permissions-Policy"]
    assert "geolocation=()" in answer.headers["Permissions-Policy"]
    assert "microphone=()" in browser.get("/").headers["Permissions-Policy"]


@pytest.mark.parametrize(
    ("asked", "following"),
    [
        ("/apps/forecast/deep/er?x=1&y=2", "/deep/er?x=1&y=2"),
        ("/apps/forecast/?x=1", "/?x=1"),
        ("/apps/forecast/a%20b", "/a%20b"),
        ("/apps/forecast/x?next=//evil.example", "/x?next=//evil.example"),
        ("/apps/forecast/a//b", "/a//b"),
        *[(f"/apps/forecast/?{query}", f"/?{arriving}") for query, arriving in BARE.items()],
    ],
)
def test_the_rest_of_the_address_is_opened_in_the_app(deployment: Deployment, asked: str, following: str) -> None:
    text = deployment.signed_in().get(asked, follow_redirects=True).text
    assert f'src="/apps/forecast/.portal/launch?next={in_query(following)}"' in text
    assert "opens on its first page" not in text


@pytest.mark.parametrize("asked", NO_PLACES)
def test_a_path_that_cannot_be_opened_is_reported_and_the_app_opens(deployment: Deployment, asked: str) -> None:
    text = deployment.signed_in().get(asked, follow_redirects=True).text
    assert 'src="/apps/forecast/.portal/launch?next=%2F"' in text
    assert "Forecast opens on its first page, because the link to a page inside it cannot be used." in text
    assert "longer than 4,096 characters" in text


@pytest.mark.parametrize("query", [*BARE, "x=" + "%7C" * 1300])
@pytest.mark.parametrize("method", ["page", "launch"])
def test_after_the_sign_in_people_return_to_the_same_page(deployment: Deployment, query: str, method: str) -> None:
    place = local_path(f"/a//b?{query}")
    address = (
        f"/apps/forecast/.portal/launch?next={in_query(place)}"
        if method == "launch"
        else f"/apps/forecast/a//b?{query}"
    )
    asked = deployment.browser().get(address, headers=NAVIGATION | {"Sec-Fetch-Dest": "document"}).headers["Location"]
    assert parse_qs(urlsplit(asked).query) == {"next": [f"/apps/forecast{place}"]}
    button = re.search(r'href="/auth/oauth/company[?]([^"]+)"', deployment.browser().get(asked).text)
    assert button is not None
    assert parse_qs(unescape(button[1])) == {"next": [f"/apps/forecast{place}"]}


@pytest.mark.parametrize("asked", NO_PLACES)
def test_after_the_sign_in_people_with_too_long_a_path_return_to_the_app(deployment: Deployment, asked: str) -> None:
    sent_to = deployment.browser().get(asked).headers["Location"]
    [after] = parse_qs(urlsplit(sent_to).query)["next"]
    assert after in {"/apps/forecast/?portal-place=lost", "/apps/forecast//evil.example"}
    page = deployment.signed_in().get(after).text
    assert 'src="/apps/forecast/.portal/launch?next=%2F"' in page
    assert "Forecast opens on its first page" in page


def test_a_launch_whose_page_has_too_long_an_address_leads_back_to_the_app(deployment: Deployment) -> None:
    launch, in_a_tab = f"/apps/forecast/.portal/launch?next=/{'a' * 4095}", NAVIGATION | {"Sec-Fetch-Dest": "document"}
    asked = deployment.browser().get(launch, headers=in_a_tab).headers["Location"]
    assert parse_qs(urlsplit(asked).query) == {"next": ["/apps/forecast/?portal-place=lost"]}


def test_a_switch_of_tenants_leads_back_to_the_very_place(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    with deployment.app.app_context():
        deployment.services.sign_ins.switch_tenant(current_id(deployment, TESS), tenant="acme", now=deployment.now)
    asked, wanted = "/a//b?tags=x|y&z=1", "/apps/admin-dashboard/a//b?tags=x%7Cy&z=1"
    page = browser.get(f"/apps/admin-dashboard{asked}")
    framed = browser.get(f"/apps/admin-dashboard/.portal/launch?next={in_query(asked)}", headers=NAVIGATION)
    assert [unescape(field_of(one, "next")) for one in (page, framed)] == [wanted, wanted]
    too_long = browser.get("/apps/admin-dashboard/?" + "x" * 5000)
    assert field_of(too_long, "next") == "/apps/admin-dashboard/?portal-place=lost"


def test_an_address_without_its_slash_leads_to_the_one_with(deployment: Deployment) -> None:
    answer = deployment.signed_in().get("/apps/forecast?x=1")
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/apps/forecast/?x=1")


def test_a_tab_of_its_own_moves_on_to_the_launch_from_a_page_of_ours(deployment: Deployment) -> None:
    answer = deployment.signed_in().get("/apps/forecast/deep?x=1&tab=1")
    assert answer.status_code == 200
    assert 'content="0; url=/apps/forecast/.portal/launch?next=%2Fdeep%3Fx%3D1"' in answer.text
    assert "<iframe" not in answer.text


def test_the_link_to_a_tab_keeps_the_path(deployment: Deployment) -> None:
    browser = deployment.signed_in()
    assert 'href="/apps/forecast/?tab=1"' in browser.get("/apps/forecast/").text
    assert 'href="/apps/forecast/deep?x=1&amp;tab=1"' in browser.get("/apps/forecast/deep?x=1").text


def test_the_small_window_begins_a_session_for_pages_that_are_open(deployment: Deployment) -> None:
    """
    For who is signed out, by way of the sign-in; for who may not open the app, it says so.
    """
    address = "/apps/forecast/?portal-renewal=1"
    answer = deployment.signed_in().get(address)
    assert 'content="0; url=/apps/forecast/.portal/launch?next=%2F.portal%2Frenewed"' in answer.text
    stranger = deployment.browser().get(address)
    assert stranger.headers["Location"] == f"/sign-in?next={quote(address, safe='')}"
    assert deployment.signed_in(an_identity(affiliations=(Affiliation(tenant="acme"),))).get(address).status_code == 403


# The launch


def test_the_launch_posts_a_ticket_to_the_app_and_to_nothing_else(deployment: Deployment) -> None:
    browser = deployment.signed_in()
    answer = browser.get("/apps/forecast/.portal/launch?next=/deep?x=1", headers=NAVIGATION)
    assert answer.status_code == 200
    assert 'action="https://forecast.apps.example.com/.portal/session"' in answer.text
    policy = directives(answer.headers["Content-Security-Policy"])
    assert policy["form-action"] == "https://forecast.apps.example.com"
    assert policy["frame-ancestors"] == "'self'"
    assert "X-Frame-Options" not in answer.headers
    assert answer.headers["Referrer-Policy"] == "strict-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert field_of(answer, "ticket") not in str(answer.headers)


def test_the_ticket_opens_the_app_at_the_path_for_this_person_once(deployment: Deployment) -> None:
    ticket = deployment.launched(deployment.signed_in(), path="/deep?x=1")
    form = {"token": ticket, "token_type_hint": "urn:gradio-portal:token-type:ticket"}
    first = deployment.ask("forecast", "/oauth/introspect", form).get_json()
    assert first["active"] is True
    assert (first["username"], first["roles"], first["next"]) == ("ana@example.com", ["analyst"], "/deep?x=1")
    assert deployment.ask("forecast", "/oauth/introspect", form).get_json() == {
        "active": False,
        "code": "already-redeemed",
    }


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a browser that says nothing"),
        pytest.param({**NAVIGATION, "Sec-Fetch-Site": "same-site"}, id="an app navigates its frame"),
        pytest.param({**NAVIGATION, "Sec-Fetch-Site": "cross-site"}, id="another site frames it"),
        pytest.param({**NAVIGATION, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, id="fetch"),
        pytest.param({**NAVIGATION, "Sec-Fetch-Dest": "image"}, id="an image"),
        pytest.param({**NAVIGATION, "Sec-Purpose": "prefetch"}, id="a prefetch"),
        pytest.param({**NAVIGATION, "Purpose": "prefetch"}, id="an older prefetch"),
        pytest.param({**NAVIGATION, "X-Moz": "prefetch"}, id="Firefox's older prefetch"),
        pytest.param({**NAVIGATION, "Sec-Purpose": "preview", "X-Moz": "prefetch"}, id="a prefetch in the second"),
        pytest.param({"Referer": "https://forecast.apps.example.com/"}, id="an app, in an old browser"),
    ],
)
def test_no_other_origin_can_cause_a_launch(deployment: Deployment, headers: dict[str, str]) -> None:
    browser = deployment.signed_in()
    answer = browser.get("/apps/forecast/.portal/launch", headers=headers)
    assert answer.status_code == 403
    assert 'name="ticket"' not in answer.text
    assert 'target="_top"' in answer.text


def test_an_old_browser_on_our_own_page_may_launch(deployment: Deployment) -> None:
    answer = deployment.signed_in().get(
        "/apps/forecast/.portal/launch", headers={"Referer": f"{PORTAL}/apps/forecast/"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "x", ""])
def test_a_path_that_leaves_the_app_becomes_its_front_page(deployment: Deployment, path: str) -> None:
    ticket = deployment.launched(deployment.signed_in(), path=path)
    form = {"token": ticket, "token_type_hint": "urn:gradio-portal:token-type:ticket"}
    assert deployment.ask("forecast", "/oauth/introspect", form).get_json()["next"] == "/"


def test_in_the_frame_a_signed_out_person_gets_a_link_out_of_it(deployment: Deployment) -> None:
    answer = deployment.browser().get("/apps/forecast/.portal/launch?next=/deep", headers=NAVIGATION)
    assert answer.status_code == 403
    assert 'href="/sign-in?next=%2Fapps%2Fforecast%2Fdeep" target="_top"' in answer.text
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


def test_in_a_tab_they_are_sent_to_sign_in(deployment: Deployment) -> None:
    answer = deployment.browser().get(
        "/apps/forecast/.portal/launch", headers={**NAVIGATION, "Sec-Fetch-Dest": "document"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=%2Fapps%2Fforecast%2F")


def test_in_the_frame_a_refusal_leads_out_of_it_too(deployment: Deployment) -> None:
    answer = deployment.signed_in(TESS).get("/apps/forecast/.portal/launch", headers=NAVIGATION)
    assert answer.status_code == 403
    assert 'name="ticket"' not in answer.text
    assert 'target="_top"' in answer.text
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("cookie", "following"), [("dark", "/?__theme=dark"), ("light", "/?__theme=light"), ("x", "/")]
)
def test_gradio_follows_the_theme_somebody_chose(deployment: Deployment, cookie: str, following: str) -> None:
    browser = deployment.signed_in()
    browser.set_cookie("portal-theme", cookie, domain="portal.example.com")
    form = {"token": deployment.launched(browser), "token_type_hint": "urn:gradio-portal:token-type:ticket"}
    assert deployment.ask("forecast", "/oauth/introspect", form).get_json()["next"] == following


@pytest.mark.parametrize(
    ("path", "theme", "expected"),
    [
        ("/", None, "/"),
        ("/", "dark", "/?__theme=dark"),
        ("/a?b=c", "dark", "/a?b=c&__theme=dark"),
        ("/a?b=c#d", "light", "/a?b=c&__theme=light#d"),
        ("/a?__theme=light", "dark", "/a?__theme=light"),
        ("/" + "a" * 4090, "dark", "/" + "a" * 4090),
    ],
)
def test_the_theme_is_put_where_gradio_reads_it(path: str, theme: str | None, expected: str) -> None:
    assert with_theme(path, theme) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/apps/forecast/", AppLocation("/", alone=False, lost=False)),
        ("/apps/forecast/?tab=1", AppLocation("/", alone=True, lost=False)),
        ("/apps/forecast/a?tab=1&tab=1&b", AppLocation("/a?b", alone=True, lost=False)),
        ("/apps/forecast/a?tab=2", AppLocation("/a?tab=2", alone=False, lost=False)),
        ("/apps/forecast/a?xtab=1", AppLocation("/a?xtab=1", alone=False, lost=False)),
        ("/apps/forecast", AppLocation("/", alone=False, lost=False)),
        ("/apps/forecast/?tags=a|b&c={d}", AppLocation("/?tags=a%7Cb&c=%7Bd%7D", alone=False, lost=False)),
        ("/apps/forecast/a//b", AppLocation("/a//b", alone=False, lost=False)),
        ("/apps/forecast/?portal-place=lost", AppLocation("/", alone=False, lost=True)),
        ("/apps/forecast/?portal-place=lost&tab=1", AppLocation("/", alone=True, lost=True)),
        ("/apps/forecast//evil.test", AppLocation("/", alone=False, lost=True)),
        ("/apps/forecast/?portal-renewal=1", AppLocation("/.portal/renewed", alone=True, lost=False)),
        ("/apps/forecast/?portal-renewal=2", AppLocation("/?portal-renewal=2", alone=False, lost=False)),
        ("/apps/forecast/?" + "x" * 4094, AppLocation("/?" + "x" * 4094, alone=False, lost=False)),
        ("/apps/forecast/?" + "x" * 4095, AppLocation("/", alone=False, lost=True)),
    ],
)
def test_the_query_is_the_apps_but_for_what_the_portal_put_there(address: str, expected: AppLocation) -> None:
    assert location_within("forecast", address) == expected


@pytest.mark.parametrize(
    ("path", "start", "opened"),
    [
        ("/", "/", "/"),
        ("/?x=1", "/", "/?x=1"),
        ("/", "/ui", "/ui"),
        ("/?x=1#y", "/ui", "/ui?x=1#y"),
        ("/", "/ui/?view=api#top", "/ui/?view=api#top"),
        ("/?x=1", "/ui/?view=api#top", "/ui/?view=api&x=1"),
        ("/#y", "/ui", "/ui#y"),
        ("/other", "/ui", "/other"),
        ("/ui", "/ui", "/ui"),
    ],
)
def test_an_app_opens_where_its_entry_says_and_deep_links_elsewhere(path: str, start: str, opened: str) -> None:
    assert from_start(path, start=start) == opened


def test_the_ticket_leads_to_where_the_app_starts(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, catalogue=Catalogue((an_app(start="/ui"),)))
    browser = deployment.signed_in()
    tickets = {path: deployment.launched(browser, path=path) for path in ("/", "/?x=1", "/report")}
    key_set = deployment.services.keys.key_set(deployment.now)
    opened = {
        path: verify_ticket(ticket, keys=key_set, issuer=PORTAL, audience="forecast", now=deployment.now).next
        for path, ticket in tickets.items()
    }
    assert opened == {"/": "/ui", "/?x=1": "/ui?x=1", "/report": "/report"}


@pytest.mark.parametrize("path", ["/launch", "/launch?next=/x", "/launch/pad"])
def test_an_apps_page_called_launch_is_the_apps(deployment: Deployment, path: str) -> None:
    """
    The portal's own address is where guards have theirs, and so no app can have a page.
    """
    for headers in ({}, {**NAVIGATION, "Sec-Fetch-Dest": "document"}):
        answer = deployment.signed_in().get(f"/apps/forecast{path}", headers=headers)
        assert answer.status_code == 200
        assert f'src="/apps/forecast/.portal/launch?next={quote(path, safe="")}"' in answer.text
        assert "ticket" not in answer.text
    alone = deployment.signed_in().get("/apps/forecast/launch?tab=1")
    assert 'content="0; url=/apps/forecast/.portal/launch?next=%2Flaunch"' in alone.text
