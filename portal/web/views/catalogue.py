"""The home page: the apps the person may open."""

import hashlib
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.rules.catalogue import AppSpec
from portal.rules.policy import visible_apps
from portal.web.current_sign_in import require_standing
from portal.web.labels import tenant_label
from portal.web.pages import AppCard, CataloguePage, render
from portal.web.services import services

blueprint = Blueprint("catalogue", __name__)

_TINTS: Final = 6


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Show the apps the person may open."""
    standing = require_standing()
    cards = tuple(card_of(app) for app in visible_apps(services().settings.catalogue, standing=standing))
    name = standing.identity.name
    return render(
        CataloguePage(
            first_name=name.split()[0] if name and name.strip() else None,
            tenant_name=tenant_label(standing),
            cards=cards,
        )
    )


def card_of(app: AppSpec) -> AppCard:
    """Return *app* as catalogue and app page show it; its colour depends on its slug."""
    initials = "".join(word[0] for word in app.title.split()[:2]).upper()
    return AppCard(
        slug=app.slug,
        title=app.title,
        description=app.description,
        icon=app.icon or initials or app.slug[0].upper(),
        tint=hashlib.sha256(app.slug.encode()).digest()[0] % _TINTS,
    )
