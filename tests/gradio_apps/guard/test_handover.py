"""From a ticket to an app session, and nothing from anything less."""

# ruff: noqa: ASYNC110 - what is waited for has no event to set

import pytest

from portal.contract import Inactive, LogoutToken, sign_logout_token
from tests.asgi import drive, http_scope
from tests.builders import NOW, PORTAL
from tests.gradio_apps.guard.deployment import APP, FORM, HOST, a_deployment, a_person, guard_settings
from tests.portal.contract.forging import (
    HOSTILE_LOGOUT_TOKENS,
    HOSTILE_TICKETS,
    KEY,
    Hostile,
    a_key,
    one_of_each_reason,
)

pytestmark = pytest.mark.anyio


async def test_a_ticket_opens_a_session_once() -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        ticket = deployment.ticket(next="/reports?year=1")

        answer = await deployment.hand_over(ticket)

        assert answer.status == 303
        assert answer.header("location") == "/.portal/arrived?to=%2Freports%3Fyear%3D1"
        assert answer.header("cache-control") == "no-store"
        cookie = answer.header("set-cookie")
        assert cookie is not None
        assert cookie.startswith("__Host-portal-app-forecast=app-session-1.")
        assert "; HttpOnly; Path=/; Secure; SameSite=Lax" in cookie
        again = await deployment.hand_over(ticket)
        assert again.status == 403
        assert again.header("set-cookie") is None


async def test_the_cookie_leads_to_the_path_and_then_into_the_app() -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        answer = await deployment.hand_over(deployment.ticket())
        cookie = str(answer.header("set-cookie")).partition(";")[0]
        # Firefox labels the GET after the ticket's POST cross-site.
        headers = {"host": HOST, "cookie": cookie, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

        arrived = await deployment.get("/.portal/arrived?to=%2Freports", headers, sec_fetch_dest="iframe")
        opened = await deployment.get("/reports", headers, sec_fetch_dest="iframe")

        assert (arrived.status, arrived.header("location")) == (303, "/reports")
        assert (opened.status, opened.body) == (200, b"hello")
        assert deployment.portal.introspections == 1


@pytest.mark.parametrize("target", ["//evil.test", "https://evil.test", "/\\evil.test", ""])
async def test_arriving_never_leads_elsewhere(target: str) -> None:
    async with a_deployment() as deployment:
        answer = await deployment.get(f"/.portal/arrived?to={target}")

        assert (answer.status, answer.header("location")) == (303, "/")


async def test_a_cookie_that_does_not_come_back_offers_a_tab_instead_of_going_in_circles() -> None:
    async with a_deployment() as deployment:
        framed = await deployment.get("/.portal/arrived?to=/", {"host": HOST, "sec-fetch-dest": "iframe"})
        alone = await deployment.get("/.portal/arrived?to=/", {"host": HOST, "sec-fetch-dest": "document"})

        assert framed.status == 403
        assert f'href="{PORTAL}/apps/forecast?tab=1" target="_blank"' in framed.text
        assert "Cookies are blocked" in alone.text
        assert "/launch" not in framed.text + alone.text


async def test_arriving_with_an_ended_session_says_so() -> None:
    async with a_deployment() as deployment:
        deployment.portal.sessions["app-session-1"] = Inactive(code="signed-out")
        ended = await deployment.get("/.portal/arrived?to=/")
        deployment.portal.away = True
        away = await deployment.get("/.portal/arrived?to=/", deployment.signed_in("app-session-2"))

        assert (ended.status, away.status) == (401, 503)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.test",
        "http://portal.example.com",
        "https://portal.example.com.evil.test",
        "https://portal.example.com:8443",
        "https://portal.example.com/",
        "https://PORTAL.example.com",
        APP,
        "",
        "https://portal.example.com, https://evil.test",
        "*",
    ],
)
async def test_a_ticket_from_another_origin_opens_nothing(origin: str) -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        answer = await deployment.hand_over(deployment.ticket(), origin=origin)

        assert answer.status == 403
        assert answer.header("set-cookie") is None
        assert deployment.portal.calls == []


async def test_a_ticket_without_an_origin_opens_nothing() -> None:
    async with a_deployment() as deployment:
        body = f"ticket={deployment.ticket()}".encode("ascii")
        answer = await deployment.post("/.portal/session", body, {"host": HOST, "content-type": FORM})

        assert answer.status == 403
        assert deployment.portal.calls == []


async def test_two_origins_are_none() -> None:
    async with a_deployment() as deployment:
        headers = [("host", HOST), ("content-type", FORM), ("origin", PORTAL), ("origin", "https://evil.test")]
        scope = http_scope("/.portal/session", method="POST", headers=headers)

        assert (await drive(deployment.guard, scope, body=f"ticket={deployment.ticket()}".encode())).status == 403


@pytest.mark.parametrize("hostile", one_of_each_reason(HOSTILE_TICKETS), ids=lambda one: one.name)
async def test_a_hostile_ticket_opens_nothing_and_costs_the_portal_nothing(hostile: Hostile) -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        answer = await deployment.hand_over(hostile.token)

        assert answer.status in {400, 403}
        assert answer.header("set-cookie") is None
        assert deployment.portal.introspections == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ticket",
        b"ticket=",
        b"ticket=a&ticket=b",
        b"other=a",
        b"ticket=" + b"a" * 20_000,
        "ticket=ä".encode(),
        b"&".join(b"f%d=1" % number for number in range(20)),
    ],
)
async def test_a_form_that_is_not_one_ticket_opens_nothing(body: bytes) -> None:
    async with a_deployment() as deployment:
        headers = {"host": HOST, "origin": PORTAL, "content-type": FORM}
        answer = await deployment.post("/.portal/session", body, headers)

        assert answer.status in {400, 403}
        assert deployment.portal.introspections == 0


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_only_a_form_is_read(content_type: str) -> None:
    async with a_deployment() as deployment:
        headers = {"host": HOST, "origin": PORTAL, "content-type": content_type}

        assert (
            await deployment.post("/.portal/session", f"ticket={deployment.ticket()}".encode(), headers)
        ).status == 400


async def test_a_ticket_redeemed_after_sign_out_opens_nothing() -> None:
    async with a_deployment() as deployment:
        deployment.portal.sessions["app-session-1"] = Inactive(code="signed-out")

        assert (await deployment.hand_over(deployment.ticket())).status == 403


async def test_a_ticket_whose_session_was_ended_first_is_not_even_redeemed() -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        await deployment.push(deployment.logout_token())

        assert (await deployment.hand_over(deployment.ticket())).status == 403
        assert deployment.portal.introspections == 0


async def test_a_push_that_overtakes_the_redemption_wins() -> None:
    import asyncio

    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        await deployment.push(deployment.logout_token("another"))  # the keys are there now
        deployment.portal.barrier = asyncio.Event()
        redeeming = asyncio.create_task(deployment.hand_over(deployment.ticket()))
        while deployment.portal.introspections == 0:
            await asyncio.sleep(0)
        assert (await deployment.push(deployment.logout_token())).status == 200
        deployment.portal.barrier.set()

        answer = await redeeming

        assert answer.status == 403
        assert answer.header("set-cookie") is None
        assert (await deployment.get("/config")).status == 401


async def test_an_answer_about_somebody_else_opens_nothing() -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1", a_person(subject="somebody-else"))

        assert (await deployment.hand_over(deployment.ticket())).status == 403


async def test_while_the_portal_is_away_a_ticket_waits() -> None:
    async with a_deployment() as deployment:
        deployment.portal.away = True

        answer = await deployment.hand_over(deployment.ticket())

        assert answer.status == 503
        assert "Nothing was lost" in answer.text


async def test_a_rotated_key_is_fetched_within_a_small_budget() -> None:
    new = a_key("key-2", seed=2)
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        await deployment.push(deployment.logout_token("another"))
        assert deployment.portal.calls == ["/.well-known/jwks.json"]
        deployment.portal.keys = [KEY, new]
        from portal.contract import sign_ticket
        from tests.builders import a_ticket

        assert (await deployment.hand_over(sign_ticket(a_ticket(), key=new))).status == 303
        fetches = deployment.portal.calls.count("/.well-known/jwks.json")
        for number in range(5):  # a stranger's inventions
            await deployment.hand_over(sign_ticket(a_ticket(), key=a_key(f"invented-{number}", seed=3)))

        assert fetches == deployment.portal.calls.count("/.well-known/jwks.json")
        deployment.clock.now += 31
        await deployment.hand_over(sign_ticket(a_ticket(), key=a_key("invented", seed=3)))
        assert fetches + 1 == deployment.portal.calls.count("/.well-known/jwks.json")


async def test_a_removed_key_counts_no_more_after_ten_minutes() -> None:
    async with a_deployment() as deployment:
        deployment.portal.person("app-session-1")
        await deployment.push(deployment.logout_token("another"))
        deployment.portal.keys = [a_key("key-2", seed=2)]
        deployment.clock.now += 601
        now = int(deployment.clock())

        assert (await deployment.hand_over(deployment.ticket(issued_at=now, expires_at=now + 30))).status == 403


async def test_after_a_push_under_a_new_key_a_key_that_was_revoked_counts_no_more() -> None:
    """
    As after ``portal keys revoke``, whose notification is of no session of the app.
    """
    new = a_key("key-2", seed=2)
    async with a_deployment() as deployment:
        assert (await deployment.get("/config")).status == 200
        await deployment.push(deployment.logout_token("another"))
        forged = deployment.logout_token()
        deployment.portal.keys = [new]
        now = int(deployment.clock())
        notice = LogoutToken(
            id="n", issuer=PORTAL, audience="forecast", session="none", issued_at=now, expires_at=now + 60
        )
        assert (await deployment.push(sign_logout_token(notice, key=new))).status == 200
        assert (await deployment.push(forged)).status == 400
        assert (await deployment.get("/config")).status == 200


async def test_old_keys_serve_while_the_portal_is_away() -> None:
    """
    They open nothing, since a ticket is redeemed; but a push still ends.
    """
    async with a_deployment() as deployment:
        deployment.signed_in()
        await deployment.get("/")
        await deployment.push(deployment.logout_token("another"))
        deployment.portal.away = True
        deployment.clock.now += 601

        assert (await deployment.push(deployment.logout_token())).status == 200


async def test_a_push_ends_the_session() -> None:
    async with a_deployment() as deployment:
        assert (await deployment.get("/config")).status == 200

        answer = await deployment.push(deployment.logout_token())

        assert (answer.status, answer.header("cache-control")) == (200, "no-store")
        assert (await deployment.get("/config")).status == 401
        assert deployment.portal.introspections == 1


@pytest.mark.parametrize("hostile", one_of_each_reason(HOSTILE_LOGOUT_TOKENS), ids=lambda one: one.name)
async def test_a_strangers_push_ends_nothing(hostile: Hostile) -> None:
    async with a_deployment() as deployment:
        await deployment.get("/config")

        answer = await deployment.push(hostile.token)

        assert (answer.status, answer.body) == (400, b'{"error": "invalid_request"}')
        assert (await deployment.get("/config")).status == 200


async def test_a_push_that_cannot_be_checked_yet_is_to_be_repeated() -> None:
    async with a_deployment() as deployment:
        deployment.portal.away = True

        assert (await deployment.push(deployment.logout_token())).status == 503


async def test_a_push_without_a_token_is_refused() -> None:
    async with a_deployment() as deployment:
        headers = {"host": HOST, "content-type": FORM}

        assert (await deployment.post("/.portal/backchannel-logout", b"x=1", headers)).status == 400


async def test_partitioned_cookies_say_so() -> None:
    async with a_deployment(settings=guard_settings(cookies="partitioned")) as deployment:
        deployment.portal.person("app-session-1")

        cookie = str((await deployment.hand_over(deployment.ticket())).header("set-cookie"))

        assert cookie.endswith("; HttpOnly; Path=/; Secure; SameSite=None; Partitioned")


async def test_an_app_with_a_path_keeps_to_it() -> None:
    async with a_deployment(settings=guard_settings(app_url="https://apps.example.com/forecast")) as deployment:
        deployment.portal.person("app-session-1")
        answer = await deployment.hand_over(deployment.ticket())

        assert answer.header("location") == "/forecast/.portal/arrived?to=%2F"
        assert "__Secure-portal-app-forecast=" in str(answer.header("set-cookie"))
        assert "Path=/forecast/" in str(answer.header("set-cookie"))
        arrived = await deployment.get("/forecast/.portal/arrived?to=/x")
        assert arrived.header("location") == "/forecast/x"
        assert (await deployment.get("/other/")).status == 404
        assert (await deployment.get("/forecast")).header("location") == "/forecast/"
        assert (await deployment.get("/forecast/")).status == 200
        assert deployment.app.scopes[-1]["root_path"] == "/forecast"
        assert deployment.clock() == NOW
