"""GitLab, self-managed under a path of its host, as far as a sign-in needs it.

Quirks, all read in GitLab's ``config/initializers/doorkeeper_openid_connect.rb`` unless said otherwise:

* the issuer is the address of the instance, with its path (``Gitlab.config.gitlab.url``);
* ``sub`` is the user's number as a string; ``sub_legacy`` stands beside it;
* ``groups``, with inherited ones, and the three claims about roles come from userinfo alone (the gem's default is
  ``response: [:user_info]``); ``groups_direct`` comes from the ID token alone;
* a claim about a role without any group is left out (``.presence``);
* ``email`` is the primary address with the scope ``email``, else the public one, or nothing and no ``email_verified``;
* ``prompt=select_account`` is answered with an error (``doorkeeper-openid_connect``, whose block for it is missing);
* a refresh token comes with every code; each use replaces it (``use_refresh_token`` of ``doorkeeper.rb``, and
  Doorkeeper's ``revoke_on_use``);
* there is no end-session endpoint, and callbacks carry no ``iss``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.provider.emulations.code_flow import CodeFlowEmulation


class GitLab(CodeFlowEmulation):
    """An instance with one person, Gina."""

    ROTATION = "replaces"
    BASE: ClassVar[str] = "/gitlab"
    AUTHORIZE: ClassVar[str] = "/oauth/authorize"
    TOKEN: ClassVar[str] = "/oauth/token"
    KEYS: ClassVar[str] = "/oauth/discovery/keys"
    USERINFO: ClassVar[str] = "/oauth/userinfo"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.email_verified: Any = True
        self.public_email: str | None = None
        self.direct = ["research/ml", "platform"]
        self.inherited = ["research/ml/vision"]
        self.roles: dict[str, list[str]] = {"owner": ["research/ml"], "maintainer": ["platform"], "developer": []}

    def _both(self) -> dict[str, Any]:
        email = "gina@example.com" if "email" in self.granted else self.public_email
        return {
            "sub": "4217",
            "sub_legacy": "a1b2",
            **({} if email is None else {"email": email, "email_verified": self.email_verified}),
        }

    def id_token_claims(self) -> dict[str, Any]:
        return {**self._both(), "name": "Gina Lab", "groups_direct": self.direct}

    def userinfo_claims(self) -> dict[str, Any]:
        roles = {f"https://gitlab.org/claims/groups/{role}": paths for role, paths in self.roles.items() if paths}
        return {
            **self._both(),
            "name": "Gina Lab",
            "nickname": "gina",
            "preferred_username": "gina",
            "profile": f"{self.issuer}/gina",
            "picture": f"{self.issuer}/uploads/-/system/user/avatar/4217/avatar.png",
            "groups": [*self.direct, *self.inherited],
            **roles,
        }

    def gives_refresh_token(self, request: Mapping[str, str]) -> bool:
        del request
        return True

    def objection(self, request: Mapping[str, str]) -> str | None:
        return "account_selection_required: " if request.get("prompt") == "select_account" else None
