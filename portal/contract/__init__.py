"""The contract between the portal and its apps: tokens, answers and rules that both sides share.

It knows neither side: it uses no Flask, no Gradio, no settings, no clock and no logging.
"""

from portal.contract.forwarded import NotANetwork, TrustedProxies, read_address, read_network
from portal.contract.introspection import Active, Inactive, Introspection, Person, read_introspection
from portal.contract.logout_tokens import LogoutToken, sign_logout_token, verify_logout_token
from portal.contract.loopback import is_localhost_name, is_loopback_host, is_loopback_url, takes_secure_cookies
from portal.contract.paths import MAX_PATH, PLACE_LOST, in_query, is_local_path, local_path
from portal.contract.probe_tokens import ProbeToken, sign_probe_token, verify_probe_token
from portal.contract.rejection import Rejected, Rejection
from portal.contract.tickets import Ticket, sign_ticket, verify_ticket

__all__ = [
    "MAX_PATH",
    "PLACE_LOST",
    "Active",
    "Inactive",
    "Introspection",
    "LogoutToken",
    "NotANetwork",
    "Person",
    "ProbeToken",
    "Rejected",
    "Rejection",
    "Ticket",
    "TrustedProxies",
    "in_query",
    "is_local_path",
    "is_localhost_name",
    "is_loopback_host",
    "is_loopback_url",
    "local_path",
    "read_address",
    "read_introspection",
    "read_network",
    "sign_logout_token",
    "sign_probe_token",
    "sign_ticket",
    "takes_secure_cookies",
    "verify_logout_token",
    "verify_probe_token",
    "verify_ticket",
]
