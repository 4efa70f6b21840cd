"""The contract between the portal and its apps: what one signs and the other checks.

Shared by both sides and therefore knowing neither: no Flask, no Gradio, no
settings, no clock, no logging.
"""

from portal.contract.forwarded import NotANetwork, TrustedProxies, read_address, read_network
from portal.contract.introspection import Active, Inactive, Introspection, Person, read_introspection
from portal.contract.logout_tokens import LogoutToken, sign_logout_token, verify_logout_token
from portal.contract.paths import is_local_path, local_path
from portal.contract.rejection import Rejected, Rejection
from portal.contract.tickets import Ticket, sign_ticket, verify_ticket

__all__ = [
    "Active",
    "Inactive",
    "Introspection",
    "LogoutToken",
    "NotANetwork",
    "Person",
    "Rejected",
    "Rejection",
    "Ticket",
    "TrustedProxies",
    "is_local_path",
    "local_path",
    "read_address",
    "read_introspection",
    "read_network",
    "sign_logout_token",
    "sign_ticket",
    "verify_logout_token",
    "verify_ticket",
]
