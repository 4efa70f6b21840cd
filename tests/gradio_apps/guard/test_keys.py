"""Keys: fetched when due, together, and believed only when they are keys."""

import asyncio

import httpx
import pytest
from joserfc.jwk import KeySet

from gradio_apps.runtime.guard.keys import REFETCH_AFTER, PortalKeys
from gradio_apps.runtime.guard.portal_client import PortalAway, PortalClient
from portal.contract import Rejected, Rejection
from tests.gradio_apps.guard.deployment import Clock, FakePortal, guard_settings
from tests.portal.contract.forging import KEY, a_key, public_jwk

pytestmark = pytest.mark.anyio


class Setting:
    """Keys over a portal of our own."""

    def __init__(self) -> None:
        self.portal = FakePortal()
        self.clock = Clock()
        self.client = PortalClient(guard_settings(), transport=httpx.MockTransport(self.portal))
        self.keys = PortalKeys(guard_settings(), client=self.client, clock=self.clock)

    async def kids(self) -> list[str | None]:
        return await self.keys.verify(lambda keys: [key.kid for key in keys.keys])

    async def look_for(self, kid: str) -> str:
        def check(keys: KeySet) -> str:
            if kid not in {key.kid for key in keys.keys}:
                raise Rejected(Rejection.UNKNOWN_KEY)
            return kid

        return await self.keys.verify(check)


async def test_waiting_together_fetches_once() -> None:
    setting = Setting()
    setting.portal.barrier = asyncio.Event()
    asking = [asyncio.create_task(setting.kids()) for _ in range(5)]
    await asyncio.sleep(0)
    setting.portal.barrier.set()

    assert list(await asyncio.gather(*asking)) == [["key-1"]] * 5
    assert len(setting.portal.calls) == 1


async def test_a_key_somebody_else_fetched_meanwhile_is_not_fetched_again() -> None:
    setting = Setting()
    await setting.kids()
    setting.portal.keys = [KEY, a_key("key-2", seed=2)]

    setting.portal.barrier = asyncio.Event()
    asking = [asyncio.create_task(setting.look_for("key-2")) for _ in range(3)]
    await asyncio.sleep(0.05)
    setting.portal.barrier.set()

    found = await asyncio.gather(*asking)
    assert set(found) == {"key-2"}
    assert len(setting.portal.calls) == 2


async def test_an_unknown_key_makes_the_guard_forget_those_that_are_not_published_any_more() -> None:
    """
    As after ``portal keys revoke``, whose notification is signed by a new key.
    """
    setting = Setting()
    await setting.kids()
    setting.portal.keys = [a_key("key-2", seed=2)]

    assert await setting.look_for("key-2") == "key-2"
    assert await setting.kids() == ["key-2"]
    with pytest.raises(Rejected):
        await setting.look_for("key-1")


async def test_while_one_fetches_again_the_others_use_the_keys_there_are() -> None:
    setting = Setting()
    await setting.kids()
    setting.clock.now += REFETCH_AFTER
    setting.portal.barrier = asyncio.Event()
    fetching = asyncio.create_task(setting.kids())
    await asyncio.sleep(0.05)

    assert await setting.kids() == ["key-1"]
    assert not fetching.done()
    setting.portal.barrier.set()
    assert await fetching == ["key-1"]
    assert len(setting.portal.calls) == 2


async def test_an_unknown_key_stays_unknown_while_the_portal_is_away() -> None:
    setting = Setting()
    await setting.kids()
    setting.portal.away = True

    with pytest.raises(Rejected):
        await setting.look_for("key-2")


async def test_a_portal_that_is_away_is_not_asked_by_everybody() -> None:
    setting = Setting()
    setting.portal.away = True
    for _ in range(5):
        with pytest.raises(PortalAway):
            await setting.kids()
    assert len(setting.portal.calls) == 1
    setting.clock.now += 5
    setting.portal.away = False
    assert await setting.kids() == ["key-1"]


async def test_only_ed25519_keys_are_taken_in() -> None:
    setting = Setting()
    foreign = {"kty": "oct", "k": "c2VjcmV0", "kid": "key-0"}
    other = {"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "key-3"}
    document = {"keys": [foreign, other, 7, public_jwk(KEY)]}
    setting.portal.answer = lambda _: httpx.Response(200, json=document)

    assert await setting.kids() == ["key-1"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": {}},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "key-1"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "key-1"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": 7, "kid": "key-1"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]},
    ],
)
async def test_what_is_no_key_set_is_no_answer(document: dict[str, object]) -> None:
    setting = Setting()
    setting.portal.answer = lambda _: httpx.Response(200, json=document)

    with pytest.raises(PortalAway):
        await setting.kids()


async def test_a_portal_without_keys_signs_nothing() -> None:
    setting = Setting()
    setting.portal.keys = []

    with pytest.raises(PortalAway):
        await setting.kids()


async def test_a_portal_that_does_not_answer_in_time_is_away() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    setting = Setting()
    setting.portal.answer = slow
    with pytest.raises(PortalAway):
        await setting.kids()
