"""Switching to another tenant, which ends the app sessions of the old one."""

from flask import Blueprint, abort, redirect, request
from flask.typing import ResponseReturnValue

from portal.rules.redirects import safe_next
from portal.web.current_sign_in import require_sign_in
from portal.web.services import services

blueprint = Blueprint("tenant", __name__)


@blueprint.post("/tenant")
def switch() -> ResponseReturnValue:
    """Move the sign-in to another of the person's tenants, and close what was open in the old one."""
    sign_in, now = require_sign_in(), services().clock()
    tenant = request.form.get("tenant", "")
    if sign_in.identity.affiliation(tenant) is None:
        abort(400)
    if tenant != sign_in.tenant:
        services().sign_ins.switch_tenant(sign_in.id, tenant=tenant, now=now)
    return redirect(safe_next(request.form.get("next")), 303)
