"""What the guard answers in its own name, and what it makes of the app's answers."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from gradio_apps.runtime.guard.asgi import Receive, Scope, Send
from gradio_apps.runtime.progress import Progress
from portal.contract import Inactive, TrustedProxies, read_network
from portal.contract.guard_paths import SIGN_OUT_PATH
from portal.contract.known_addresses import KNOWN_ADDRESSES, PORTAL_PATHS, known_address
from tests.asgi import connected, drive, http_scope
from tests.builders import NOW, PORTAL
from tests.gradio_apps.guard.deployment import APP, HOST, Deployment, a_deployment, a_person, guard_settings

pytestmark = pytest.mark.anyio
DOCUMENT = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none"}
FRAME = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe", "sec-fetch-site": "same-site"}


def answering(*headers: tuple[str, str], body: bytes = b"<html><head></head></html>", status: int = 200) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return app


PATHS = (
    "/",
    "/config",
    "/gradio_api/info",
    "/gradio_api/startup-events",
    "/gradio_api/mcp/schema",
    "/gradio_api/heartbeat/x",
    "/gradio_api/queue/join",
    "/gradio_api/file=/etc/passwd",
    "/static/x.js",
    "/favicon.ico",
    "/openapi.json",
    "/logout",
    "/login/huggingface",
    "/custom",
    "/.portal",
    "/.portalx",
    "//.portal/health",
)


METHODS = ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW")
EACH_COOKIE = (("GET", "/"), ("GET", "/config"), ("HEAD", "/"), ("POST", "/gradio_api/queue/join"), ("OPTIONS", "/x"))
STRANGERS = (
    *(("GET", path, "none") for path in PATHS),
    *((method, "/config", "none") for method in METHODS),
    *((*request, cookie) for request in EACH_COOKIE for cookie in ("forged", "another app's", "ended")),
)
"""Path, method and cookie are looked at one after the other, so each is varied by itself."""


@pytest.mark.parametrize(("method", "path", "cookie"), STRANGERS)
async def test_nothing_of_the_app_answers_without_a_session(method: str, path: str, cookie: str) -> None:
    async with a_deployment(login_button=lambda: True) as deployment:
        headers = {"host": HOST, "sec-fetch-site": "same-origin"}
        other = Deployment(
            deployment.guard,
            deployment.app,
            deployment.portal,
            deployment.clock,
            guard_settings(secret="another-apps-secret!!"),
        )
        headers |= {
            "none": {},
            "forged": {"cookie": deployment.cookie()[:-1]},
            "another app's": {"cookie": other.cookie()},
            "ended": {"cookie": deployment.cookie("ended")},
        }[cookie]

        answer = (
            await deployment.get(path, headers)
            if method == "GET"
            else await drive(deployment.guard, http_scope(path, method=method, headers=headers))
        )

        assert answer.status in {401, 404}
        assert deployment.app.scopes == []
        assert answer.header("content-type") == "application/json"


class TestChallenge:
    async def test_a_call_gets_json_that_gradio_can_show(self) -> None:
        async with a_deployment() as deployment:
            answer = await deployment.get("/config", {"host": HOST})

            assert answer.status == 401
            assert answer.body == b'{"detail": "Your session has ended. Open the app again."}'
            assert answer.header("cache-control") == "no-store"

    async def test_a_preflight_gets_401_and_no_permission(self) -> None:
        async with a_deployment() as deployment:
            headers = {"host": HOST, "origin": "https://evil.test", "access-control-request-method": "POST"}
            answer = await drive(deployment.guard, http_scope("/", method="OPTIONS", headers=headers))

            assert answer.status == 401
            assert answer.header("access-control-allow-origin") is None

    async def test_a_frame_gets_a_page_that_links_to_the_portals_page(self) -> None:
        async with a_deployment() as deployment:
            answer = await deployment.get("/", {"host": HOST, **FRAME})

            assert answer.status == 401
            assert f'href="{PORTAL}/apps/forecast" target="_top"' in answer.text
            assert 'data-event="session-ended"' in answer.text
            assert "/launch" not in answer.text
            assert f"frame-ancestors {PORTAL} 'self'" in str(answer.header("content-security-policy"))
            assert "default-src 'none'" in str(answer.header("content-security-policy"))
            assert answer.header("cache-control") == "no-store"

    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("/", "/apps/forecast"),
            ("/reports?year=1&x=%20", "/apps/forecast/reports?year=1&x=%20"),
            ("/reports?tags=a|b&c={d}", "/apps/forecast/reports?tags=a%7Cb&c=%7Bd%7D"),
            ("/a/../../b", "/apps/forecast/?portal-place=lost"),
            ("//evil.test", "/apps/forecast/?portal-place=lost"),
            ("/?x=" + "y" * 4092, "/apps/forecast/?x=" + "y" * 4092),
            ("/?x=" + "y" * 4093, "/apps/forecast/?portal-place=lost"),
        ],
    )
    async def test_a_tab_goes_to_the_portals_page_at_the_same_path(self, path: str, target: str) -> None:
        async with a_deployment() as deployment:
            answer = await deployment.get(path, {"host": HOST, **DOCUMENT})

            assert (303, PORTAL + target) == (answer.status, answer.header("location"))

    async def test_a_tab_that_only_looks_gets_no_redirect(self) -> None:
        async with a_deployment() as deployment:
            scope = http_scope("/", method="HEAD", headers={"host": HOST, **DOCUMENT})

            assert (await drive(deployment.guard, scope)).status == 401

    async def test_a_server_that_gives_no_raw_path_is_served_too(self) -> None:
        async with a_deployment() as deployment:
            scope = http_scope("/x", headers={"host": HOST, **DOCUMENT})
            del scope["raw_path"]

            assert f"{PORTAL}/apps/forecast/x" == (await drive(deployment.guard, scope)).header("location")

    async def test_an_old_browser_gets_the_page(self) -> None:
        async with a_deployment() as deployment:
            answer = await deployment.get("/", {"host": HOST, "accept": "text/html,*/*"})

            assert (answer.status, answer.header("content-type")) == (401, "text/html; charset=utf-8")


class TestRefusals:
    async def test_another_name_is_misdirected(self) -> None:
        async with a_deployment() as deployment:
            for host in ({"host": "evil.test"}, {}):
                assert (await deployment.get("/", {**host, "cookie": deployment.cookie()})).status == 421
                assert (await deployment.get("/.portal/frame.js", dict(host))).status == 421

    async def test_a_sibling_app_cannot_drive_a_session(self) -> None:
        async with a_deployment() as deployment:
            sibling = deployment.signed_in() | {
                "sec-fetch-site": "same-site",
                "origin": "https://other.apps.example.com",
            }

            assert (await deployment.post_json("/gradio_api/queue/join", "{}", sibling)).status == 403
            assert deployment.app.scopes == []

    async def test_service_workers_are_refused(self) -> None:
        async with a_deployment() as deployment:
            assert (await deployment.get("/sw.js", service_worker="script")).status == 403
            assert (await deployment.get("/sw.js", sec_fetch_dest="serviceworker")).status == 403
            assert deployment.app.scopes == []


class TestWhatTheAppSees:
    async def test_cookies_of_the_portal_and_forged_addresses_are_taken_out(self) -> None:
        async with a_deployment() as deployment:
            cookie = f"session=mine; portal-theme=dark; __Host-portal=secret; {deployment.cookie()}; x=1"
            headers = deployment.signed_in() | {
                "cookie": cookie,
                "x-forwarded-for": "10.0.0.1",
                "x-forwarded-host": "evil.test",
                "x-forwarded-proto": "https",
                "forwarded": "host=evil.test",
                "x-gradio-server": "https://evil.test",
                "x-real-ip": "10.0.0.1",
                "accept-language": "de",
            }
            await deployment.get("/config", headers)
            seen = {name.decode(): value.decode() for name, value in deployment.app.scopes[0]["headers"]}

            assert seen.pop("cookie") == "session=mine; x=1"
            assert {"host", "sec-fetch-site", "sec-fetch-mode", "accept-language"} == set(seen)

    @pytest.mark.parametrize(
        ("peer", "forwarded", "seen"),
        [
            (("127.0.0.1", 50000), "203.0.113.7", ("203.0.113.7", 0)),
            (("127.0.0.1", 50000), "1.1.1.1, 203.0.113.7", ("203.0.113.7", 0)),
            (("10.0.0.2", 50000), "203.0.113.7", ("203.0.113.7", 0)),
            (("10.0.0.2", 50000), "::ffff:203.0.113.7", ("203.0.113.7", 0)),
            pytest.param(None, "203.0.113.7", ("203.0.113.7", 0), id="a Unix socket"),
            (("10.0.0.2", 50000), "[2001:db8::7]:443", ("2001:db8::7", 0)),
            pytest.param(("203.0.113.7", 50000), "10.0.0.1", ("203.0.113.7", 50000), id="a stranger's header"),
            (("10.0.0.2", 50000), "nonsense", ("10.0.0.2", 50000)),
            (("10.0.0.2", 50000), "", ("10.0.0.2", 50000)),
            (("10.0.0.2", 50000), None, ("10.0.0.2", 50000)),
            (None, "nonsense", None),
        ],
    )
    async def test_the_client_is_who_a_trusted_web_server_says(
        self, peer: tuple[str, int] | None, forwarded: str | None, seen: tuple[str, int] | None
    ) -> None:
        settings = guard_settings(trusted_proxies=TrustedProxies((read_network("10.0.0.0/8"),)))
        async with a_deployment(settings=settings) as deployment:
            forwarding = {} if forwarded is None else {"x-forwarded-for": forwarded}
            scope = deployment.scope("/config", headers=deployment.signed_in() | forwarding)
            scope["client"] = peer
            await drive(deployment.guard, scope)

            assert deployment.app.scopes[0]["client"] == seen
            assert b"x-forwarded-for" not in dict(deployment.app.scopes[0]["headers"])

    async def test_the_person_is_in_the_scope(self) -> None:
        async with a_deployment() as deployment:
            await deployment.get(
                "/config", deployment.signed_in(person=a_person(picture="https://img.example.com/a.png"))
            )
            (scope,) = deployment.app.scopes

            assert scope["portal.visitor"].username == "ana@example.com"
            assert scope["portal.api"].base_url == PORTAL
            info = scope["session"]["oauth_info"]
            assert info["expires_at"] > NOW
            assert {"name", "preferred_username", "profile", "picture", "sub", "email"} == set(info["userinfo"])
            assert info["userinfo"]["preferred_username"] == "ana@example.com"
            assert (scope["scheme"], scope["root_path"]) == ("https", "")

    async def test_a_profile_is_called_as_the_provider_calls_the_account_and_the_person_is_not(self) -> None:
        async with a_deployment() as deployment:
            person = a_person(username="id-of-ben", email=None, preferred_username="ben", name=None)
            await deployment.get("/config", deployment.signed_in(person=person))
            (scope,) = deployment.app.scopes
            userinfo = scope["session"]["oauth_info"]["userinfo"]

            assert (userinfo["preferred_username"], userinfo["name"]) == ("ben", "ben")
            assert userinfo["sub"] == person.subject
            assert scope["portal.visitor"].username == "id-of-ben"

    async def test_what_an_app_does_to_one_scope_does_not_reach_the_next(self) -> None:
        async with a_deployment() as deployment:
            await deployment.get("/config")
            deployment.app.scopes[0]["session"].clear()
            await deployment.get("/config")

            assert "oauth_info" in deployment.app.scopes[1]["session"]


class TestWhatTheAppAnswers:
    async def test_permissions_for_other_origins_and_portal_cookies_are_taken_out(self) -> None:
        app = answering(
            ("Access-Control-Allow-Origin", "https://evil.test"),
            ("access-control-allow-credentials", "true"),
            ("Service-Worker-Allowed", "/"),
            ("Clear-Site-Data", '"cookies"'),
            ("X-Accel-Redirect", "/internal/keys"),
            ("X-Sendfile", "/etc/passwd"),
            ("X-Accel-Buffering", "no"),
            ("Set-Cookie", "session=mine; Path=/"),
            ("Set-Cookie", "portal-app-forecast=stolen"),
            ("set-cookie", " __Host-portal =x"),
            ("set-cookie", "=portal-theme=x"),
            ("set-cookie", "portal"),
            ("Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'"),
            ("Content-Security-Policy", "frame-ancestors https://evil.test"),
            ("X-Frame-Options", "DENY"),
            ("X-Content-Type-Options", "sniff"),
            ("Strict-Transport-Security", "max-age=0"),
            ("Surrogate-Control", "max-age=600"),
            ("CDN-Cache-Control", "max-age=600"),
            ("X-Accel-Expires", "600"),
            ("Cache-Control", "public"),
            ("X-Custom", "kept"),
        )
        async with a_deployment(app) as deployment:
            answer = await deployment.get("/config")

            assert [
                ("x-accel-buffering", "no"),
                ("set-cookie", "session=mine; Path=/"),
                ("content-security-policy", "script-src 'self'"),
                ("x-custom", "kept"),
                ("content-security-policy", f"frame-ancestors {PORTAL} 'self'"),
                ("x-content-type-options", "nosniff"),
                ("strict-transport-security", "max-age=31536000"),
                ("referrer-policy", "same-origin"),
                ("cache-control", "private, no-cache"),
            ] == answer.headers

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            (APP, "max-age=31536000"),
            (f"{APP}/run/x", "max-age=31536000"),
            ("http://forecast.demo.localhost:7801", None),
        ],
    )
    async def test_browsers_come_by_https_alone_where_the_app_is_reached_so(
        self, url: str, expected: str | None
    ) -> None:
        """
        On every answer, also of the guard's own: pages, calls, redirects, files; never for what lies below the host.
        """
        async with a_deployment(settings=guard_settings(app_url=url)) as deployment:
            path = deployment.settings.path
            answers = [
                await deployment.get(f"{path}/config"),
                await deployment.get(f"{path}/config", {"host": deployment.host}),
                await deployment.get(f"{path}/", {"host": deployment.host, **FRAME}),
                await deployment.get(f"{path}/", {"host": deployment.host, **DOCUMENT}),
                await deployment.get(f"{path}/.portal/frame.js", {"host": deployment.host}),
                await deployment.get(f"{path}/.portal/nothing", {"host": deployment.host}),
                await deployment.post(f"{path}/.portal/session", b"", {"host": deployment.host}),
                await deployment.get(f"{path}/config", {"host": "elsewhere.example"}),
            ]

        assert {200, 303, 401, 421} <= {answer.status for answer in answers}
        assert {expected} == {answer.header("strict-transport-security") for answer in answers}

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            pytest.param("a=1; Domain=example.com", "a=1", id="a domain"),
            pytest.param("a=1; Path=/; DOMAIN=.example.com; Secure", "a=1; Path=/; Secure", id="among others"),
            pytest.param("a=1;domain=a.example;\tdomain = example.com ;Secure", "a=1;Secure", id="twice, and blanks"),
            pytest.param('a="x; domain=example.com"', 'a="x', id="in quotes, which browsers do not heed"),
            pytest.param("a=1; domain", "a=1", id="without a value"),
            pytest.param("domain=example.com; Path=/", "domain=example.com; Path=/", id="a cookie of that name"),
            pytest.param("a=domain; Path=/domain=x", "a=domain; Path=/domain=x", id="a value and a path"),
        ],
    )
    async def test_a_cookie_is_for_the_apps_host_alone(self, header: str, expected: str) -> None:
        async with a_deployment(answering(("Set-Cookie", header))) as deployment:
            assert (await deployment.get("/config")).header("set-cookie") == expected

    async def test_an_apps_own_referrer_policy_stays(self) -> None:
        async with a_deployment(answering(("Referrer-Policy", "no-referrer"))) as deployment:
            assert (await deployment.get("/config")).header("referrer-policy") == "no-referrer"

    async def test_a_page_gets_the_script_and_its_right_length(self) -> None:
        body = b"<html><head></head></html>"
        app = answering(("content-type", "text/html"), ("content-length", str(len(body))), body=body)
        async with a_deployment(app) as deployment:
            answer = await deployment.get("/", deployment.signed_in() | FRAME, accept_encoding="gzip")

            assert b'<head><script src="/.portal/frame.js"' in answer.body
            assert str(len(answer.body)) == answer.header("content-length")
            assert b"accept-encoding" not in dict(deployment.app.scopes[0]["headers"])

    async def test_a_call_for_html_stays_as_it_is(self) -> None:
        async with a_deployment(answering(("content-type", "text/html"))) as deployment:
            answer = await deployment.get("/", accept_encoding="gzip")

            assert answer.body == b"<html><head></head></html>"
            assert b"accept-encoding" in dict(deployment.app.scopes[0]["headers"])


class TestStates:
    @pytest.mark.parametrize(("state", "words"), [("starting", "is starting"), ("failed", "did not start")])
    async def test_an_app_that_does_not_run_says_so_to_its_people_only(self, state: str, words: str) -> None:
        async with a_deployment(state=lambda: state) as deployment:
            page = await deployment.get("/", deployment.signed_in() | FRAME)
            call = await deployment.get("/config")
            stranger = await deployment.get("/config", {"host": HOST})

            assert (page.status, call.status, stranger.status) == (503, 503, 401)
            assert words in page.text
            assert f'data-event="app-{state}"' in page.text  # its script looks until that is over
            assert "http-equiv" in page.text
            assert 'href="https://portal.example.com/"' in page.text  # and not the page that it stands in
            assert b'"detail"' in call.body
            assert call.header("retry-after") == "2"

    @pytest.mark.parametrize(("state", "status"), [("running", 200), ("starting", 503), ("failed", 503)])
    async def test_health_is_reported_under_any_name(self, state: str, status: int) -> None:
        async with a_deployment(state=lambda: state) as deployment:
            answer = await deployment.get("/.portal/health", {"host": "10.0.0.1:7871"})

            assert (status, f'{{"state": "{state}"}}') == (answer.status, answer.text)

    async def test_a_page_that_waits_says_how_far_the_app_is_and_trusts_no_word_of_its_log(self) -> None:
        progress = Progress(phase="Loading the app", elapsed=75, usual=12.4, last_line="<b>50 %</b> of a model")
        async with a_deployment(state=lambda: "starting", progress=lambda: progress) as deployment:
            page = await deployment.get("/", deployment.signed_in() | FRAME)
            asked_again = await deployment.get("/", deployment.signed_in())

        words = "Loading the app (1 min 15 s, usually ready after 12 s)"
        assert words in page.text
        assert '<code id="line">&lt;b&gt;50 %&lt;/b&gt; of a model</code>' in page.text
        assert json.loads(asked_again.text) == {
            "detail": "The app is starting. Try again in a moment.",
            "more": words,
            "line": "<b>50 %</b> of a model",
        }

    async def test_a_page_of_a_failure_says_why(self) -> None:
        progress = Progress(problem="The module 'torch' is not installed where the app runs.", last_line="Traceback")
        async with a_deployment(state=lambda: "failed", progress=lambda: progress) as deployment:
            page = await deployment.get("/", deployment.signed_in() | FRAME)

        assert "The module &#x27;torch&#x27; is not installed where the app runs." in page.text
        assert "Traceback" not in page.text


class TestOwnRoutes:
    async def test_the_script_asks_whether_the_session_lives(self) -> None:
        async with a_deployment() as deployment:
            alive = await deployment.get("/.portal/session")
            whose = {"subject": a_person().subject, "tenant": "acme"}
            assert alive.status == 200
            assert json.loads(alive.text) == {"active": True, "until": NOW + 8 * 3600, **whose}
            assert (await deployment.get("/.portal/session", {"host": HOST})).status == 401
            deployment.portal.away = True
            assert (await deployment.get("/.portal/session", deployment.signed_in("unknown"))).status == 503
            deployment.portal.away = False
            deployment.portal.sessions["over"] = Inactive(code="signed-out")
            assert (await deployment.get("/.portal/session", deployment.signed_in("over"))).status == 401

    @pytest.mark.parametrize(("name", "kind"), [("frame.js", "text/javascript"), ("guard.css", "text/css")])
    async def test_static_files_are_revalidated(self, name: str, kind: str) -> None:
        async with a_deployment() as deployment:
            first = await deployment.get(f"/.portal/{name}", {"host": HOST})
            again = await deployment.get(f"/.portal/{name}", {"host": HOST, "if-none-match": str(first.header("etag"))})

            assert (first.status, again.status, again.body) == (200, 304, b"")
            assert str(first.header("content-type")).startswith(kind)
            assert first.header("cache-control") == "no-cache"

    @pytest.mark.parametrize("path", ["/.portal", "/.portal/", "/.portal/x", "/.portal/session/", "/.portal/../config"])
    async def test_what_is_not_there_does_not_reach_the_app(self, path: str) -> None:
        async with a_deployment() as deployment:
            assert (await deployment.get(path)).status == 404
            assert deployment.app.scopes == []

    async def test_other_methods_are_refused(self) -> None:
        async with a_deployment() as deployment:
            answer = await drive(
                deployment.guard, http_scope("/.portal/session", method="DELETE", headers={"host": HOST})
            )
            head = await drive(deployment.guard, http_scope("/.portal/session", method="HEAD", headers={"host": HOST}))

            assert (answer.status, answer.header("allow")) == (405, "GET, POST")
            assert head.status == 401


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/second", "/run/forecast/second"),
        ("/", "/run/forecast/"),
        ("/?x=1", "/run/forecast/?x=1"),
        ("/run/forecast", "/run/forecast"),
        ("/run/forecast/second", "/run/forecast/second"),
        ("/run/forecast?x=1", "/run/forecast?x=1"),
        ("/run/forecasts", "/run/forecast/run/forecasts"),
        ("second", "second"),
        ("//other.example.com/", "//other.example.com/"),
        ("/\\other.example.com/", "/\\other.example.com/"),
        ("https://other.example.com/", "https://other.example.com/"),
    ],
)
async def test_an_apps_redirect_within_itself_stays_under_its_path(target: str, sent: str) -> None:
    settings = guard_settings(app_url="https://ai.example.com/run/forecast")
    async with a_deployment(answering(("Location", target)), settings=settings) as deployment:
        assert (await deployment.get("/run/forecast/x")).header("location") == sent
    async with a_deployment(answering(("Location", target))) as deployment:
        assert (await deployment.get("/x")).header("location") == target


class TestLoginButton:
    @pytest.mark.parametrize("path", ["/login/huggingface", "/login/callback"])
    @pytest.mark.parametrize(
        ("query", "target"), [("?_target_url=/page?x=1", "/page?x=1"), ("?_target_url=//evil.test", "/"), ("", "/")]
    )
    async def test_somebody_who_is_signed_in_goes_back(self, path: str, query: str, target: str) -> None:
        async with a_deployment(login_button=lambda: True) as deployment:
            answer = await deployment.get(path + query)

            assert (303, target) == (answer.status, answer.header("location"))

    async def test_an_app_without_the_button_keeps_its_routes(self) -> None:
        async with a_deployment() as deployment:
            for path in ("/login/huggingface", "/logout"):
                assert (await deployment.get(path)).body == b"hello"
        async with a_deployment(login_button=lambda: True) as deployment:
            assert (await deployment.get("/other")).body == b"hello"


class TestKnownAddresses:
    """Gradio's ``/login`` and ``/logout``, and the Descope tutorial's addresses."""

    @pytest.mark.parametrize("path", [*KNOWN_ADDRESSES, "/logout/", "/auth/"])
    @pytest.mark.parametrize("status", [200, 302, 401, 403, 500])
    async def test_a_page_of_the_apps_own_stays_the_apps(self, path: str, status: int) -> None:
        async with a_deployment(answering(body=b"theirs", status=status)) as deployment:
            answer = await deployment.get(path, deployment.signed_in() | FRAME)

            assert (answer.status, answer.body) == (status, b"theirs")

    @pytest.mark.parametrize("status", [404, 405])
    @pytest.mark.parametrize("app_path", ["", "/run/forecast"])
    @pytest.mark.parametrize("path", [*KNOWN_ADDRESSES, "/logout/", "/auth/"])
    async def test_where_the_app_has_none_it_leads_to_the_portals(self, path: str, app_path: str, status: int) -> None:
        """
        In the frame a page whose link leaves it, in a tab of its own the portal itself. Where the person wants
        to sign in and is signed in, a page says so: an app that leads to its sign-in again would redirect in circles.
        """
        settings = guard_settings(app_url=f"https://ai.example.com{app_path}")
        async with a_deployment(answering(body=b"theirs", status=status), settings=settings) as deployment:
            framed = await deployment.get(app_path + path, deployment.signed_in() | FRAME)
            alone = await deployment.get(
                app_path + path, deployment.signed_in() | FRAME | {"sec-fetch-dest": "document"}
            )
            meant = known_address(path)
            assert meant is not None
            if meant == "sign-in":
                for one in (framed, alone):
                    assert (one.status, one.complete) == (200, True)
                    assert f'<a class="action" href="{app_path}/">Open Forecast</a>' in one.text
            else:
                assert (framed.status, framed.complete) == (200, True)
                assert f'href="{PORTAL}{PORTAL_PATHS[meant]}" target="_top"' in framed.text
                assert f'data-event="{meant}"' in framed.text
                assert framed.text.count("<script") == 1
                assert (alone.status, alone.header("location")) == (303, PORTAL + PORTAL_PATHS[meant])

    @pytest.mark.parametrize("path", ["/logout/all", "/auth/x", "//logout", "/loginx", "/x/logout", "/other"])
    async def test_other_addresses_stay_unknown(self, path: str) -> None:
        async with a_deployment(answering(body=b"theirs", status=404)) as deployment:
            answer = await deployment.get(path, deployment.signed_in() | FRAME)

            assert (answer.status, answer.body) == (404, b"theirs")

    @pytest.mark.parametrize("path", ["/logout", "/gradio/admin"])
    async def test_a_call_reads_what_the_app_says(self, path: str) -> None:
        async with a_deployment(answering(body=b"theirs", status=404)) as deployment:
            for answer in (await deployment.get(path), await deployment.post(path, b"", origin=APP)):
                assert (answer.status, answer.body) == (404, b"theirs")

    async def test_strangers_learn_nothing_of_what_the_app_has(self) -> None:
        async with a_deployment(answering(body=b"theirs", status=404)) as deployment:
            assert (await deployment.get("/logout", FRAME | {"host": HOST})).status == 401
            assert deployment.app.scopes == []

    async def test_the_guards_own_address_for_it_changes_nothing(self) -> None:
        """
        Gradio's own /logout leads there. It asks, with or without a session, and sets no cookie.
        """
        async with a_deployment() as deployment:
            for headers in (deployment.signed_in() | FRAME, FRAME | {"host": HOST}):
                answer = await deployment.get(SIGN_OUT_PATH, headers)
                assert f'href="{PORTAL}/sign-out" target="_top"' in answer.text
                assert answer.header("set-cookie") is None
            assert (await deployment.post(SIGN_OUT_PATH, b"")).status == 405
            assert (await deployment.get("/")).status == 200

    async def test_the_end_of_the_session_is_said_in_place_of_such_a_page(self) -> None:
        """
        The app takes its time to find nothing; meanwhile the person signs out elsewhere.
        """
        begun, ended = asyncio.Event(), asyncio.Event()

        async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
            begun.set()
            with suppress(asyncio.CancelledError):
                await ended.wait()
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async with a_deployment(slow) as deployment:
            scope = deployment.scope("/logout", headers=deployment.signed_in() | FRAME)
            async with connected(deployment.guard, scope) as connection:
                await begun.wait()
                deployment.guard.end_session("app-session-1")
                answer = await connection.finish()
            assert answer.status == 401


class TestInterfaceBelowTheRoot:
    """An app whose root is not a page, and that has its interface mounted below."""

    @staticmethod
    def interface() -> str | None:
        return "/ui/"

    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (404, ()),
            (405, ()),
            (200, (("Content-Type", "application/json"),)),
            (200, ()),
            (200, (("content-type", "text/plain; charset=utf-8"),)),
        ],
    )
    @pytest.mark.parametrize("app_path", ["", "/run/forecast"])
    async def test_who_opens_the_app_comes_to_the_interface(
        self, status: int, headers: tuple[tuple[str, str], ...], app_path: str
    ) -> None:
        settings = guard_settings(app_url=f"https://ai.example.com{app_path}")
        app = answering(*headers, body=b"{}", status=status)
        async with a_deployment(app, settings=settings, interface=self.interface) as deployment:
            for query in ("", "?view=api&__theme=dark"):
                answer = await deployment.get(f"{app_path}/{query}", deployment.signed_in() | FRAME)
                assert (answer.status, answer.header("location")) == (303, f"{app_path}/ui/{query}")
            for other in ("/x", "/ui"):
                assert (await deployment.get(app_path + other, deployment.signed_in() | FRAME)).status == status

    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (200, (("Content-Type", "TEXT/HTML; charset=utf-8"),)),
            (200, (("content-type", "application/xhtml+xml"),)),
            (302, (("location", "/somewhere"),)),
            (401, (("content-type", "application/json"),)),
            (503, ()),
        ],
    )
    async def test_a_page_a_redirect_and_a_refusal_are_the_apps(
        self, status: int, headers: tuple[tuple[str, str], ...]
    ) -> None:
        async with a_deployment(answering(*headers, status=status), interface=self.interface) as deployment:
            answer = await deployment.get("/", deployment.signed_in() | FRAME)
            assert (answer.status, answer.header("location")) == (status, dict(headers).get("location"))

    async def test_calls_read_what_the_root_says(self) -> None:
        async with a_deployment(answering(body=b"{}"), interface=self.interface) as deployment:
            assert (await deployment.get("/")).body == b"{}"
            assert (await deployment.post("/", b"", origin=APP)).body == b"{}"
        async with a_deployment(answering(body=b"{}")) as deployment:
            assert (await deployment.get("/", deployment.signed_in() | FRAME)).body == b"{}", (
                "without an interface below"
            )


async def test_a_split_cookie_header_is_one() -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        scope = http_scope("/", headers=[("host", HOST), ("cookie", "a=1"), ("cookie", deployment.cookie())])

        assert (await drive(deployment.guard, scope)).status == 200
        assert dict(deployment.app.scopes[0]["headers"])[b"cookie"] == b"a=1"
        assert APP.endswith(HOST)


class TestDocuments:
    CHROMIUM = FRAME | {"sec-ch-ua": '"Chromium";v="156", "Not.A/Brand";v="8"'}

    async def test_a_pdf_in_the_frame_of_chromium_becomes_a_link_to_a_tab(self) -> None:
        app = answering(("content-type", "application/pdf"), ("content-length", "9"), body=b"%PDF-1.4 ")
        async with a_deployment(app) as deployment:
            answer = await deployment.get("/report?year=1", deployment.signed_in() | self.CHROMIUM)

            assert answer.status == 200
            assert answer.header("content-type") == "text/html; charset=utf-8"
            assert f'href="{PORTAL}/apps/forecast/report?year=1&amp;tab=1" target="_blank"' in answer.text
            assert answer.header("content-length") == str(len(answer.body))
            assert answer.header("cache-control") == "no-store"
            assert "%PDF" not in answer.text

    @pytest.mark.parametrize(
        ("kind", "disposition", "asked"),
        [
            ("application/pdf", "inline", DOCUMENT | {"sec-ch-ua": '"Chromium";v="156"'}),
            ("application/pdf", "inline", FRAME),
            ("application/pdf", "inline", FRAME | {"sec-ch-ua": '"Other";v="1"'}),
            ("application/pdf", "attachment; filename=a.pdf", CHROMIUM),
            ("application/json", "inline", CHROMIUM),
            ("application/pdf", "inline", {"sec-ch-ua": '"Chromium";v="156"'}),
        ],
    )
    async def test_everything_else_goes_out_as_it_is(self, kind: str, disposition: str, asked: dict[str, str]) -> None:
        app = answering(("content-type", kind), ("content-disposition", disposition), body=b"%PDF-1.4 ")
        async with a_deployment(app) as deployment:
            answer = await deployment.get("/report", deployment.signed_in() | asked)

            assert (answer.status, answer.body) == (200, b"%PDF-1.4 ")
            assert answer.header("content-type") == kind
