"""The one client, where the protocol's library asks it and no request gets that far."""

from portal.demo.memory import DemoClient


def test_a_request_must_say_where_to_go_back_to() -> None:
    client = DemoClient(client_id="demo-portal", client_secret="s")

    assert client.get_default_redirect_uri() is None  # type: ignore[func-returns-value]  # that is the point
    assert not client.check_grant_type("refresh_token")
    assert not client.check_response_type("token")
