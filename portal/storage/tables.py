"""The tables of the portal's database, for SQLAlchemy Core.

``portal.storage.migrations`` creates these tables, and a test compares the two.  All times are Unix seconds.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

sign_ins: Final = Table(
    "sign_ins",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("identity_id", String(64), nullable=False),
    Column("identity", Text, nullable=False),  # portal.access.stored_identity
    Column("issuer", String(512), nullable=False),  # part of a tenant's name: two issuers may use the same tenant name
    Column("provider", String(64), nullable=False, server_default=""),
    Column("provider_session", String(64)),  # a hash of the provider's own session, by which it ends sign-ins
    Column("tenant", String(512), nullable=False),
    Column("browser", String(200), nullable=False),
    Column("id_token", Text),  # sealed; the last one, and the hint for the provider's sign-out
    Column("renewal", Text),  # sealed; portal.access.refreshing
    Column("checked_at", BigInteger, nullable=False, server_default="0"),  # the age of the claims
    Column("refresh_due_at", BigInteger),  # NULL: nothing to refresh with, or not in use
    Column("refresh_lease_until", BigInteger),  # one worker at a time; passed and still there: that worker died
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_reason", String(64)),
    Column("ended_by", String(512)),
    Index(None, "issuer", "tenant", "ended_at", "last_seen_at"),
    Index(None, "identity_id", "ended_at"),
    Index(None, "provider", "ended_at"),
    Index(None, "provider_session"),
    Index(None, "refresh_due_at"),
    Index(None, "ended_at"),
    Index(None, "expires_at"),
)

app_sessions: Final = Table(
    "app_sessions",
    METADATA,
    Column("id", String(64), primary_key=True),  # the sid; useless without a MAC or a client secret
    Column("sign_in_id", String(64), ForeignKey("sign_ins.id", ondelete="CASCADE"), nullable=False),
    Column("app", String(63), nullable=False),
    Column("tenant", String(512), nullable=False),
    Column("ticket_hash", String(64), nullable=False),
    Column("ticket_expires_at", BigInteger, nullable=False),
    Column("redeemed_at", BigInteger),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_reason", String(64)),
    Index(None, "sign_in_id", "ended_at"),
    Index(None, "ended_at"),
    Index(None, "redeemed_at", "ticket_expires_at"),
)

app_credentials: Final = Table(
    "app_credentials",
    METADATA,
    Column("app", String(63), primary_key=True),
    Column("secret", Text, nullable=False),  # sealed
    Column("created_at", BigInteger, nullable=False),
)

signing_keys: Final = Table(
    "signing_keys",
    METADATA,
    Column("kid", String(64), primary_key=True),
    Column("public", Text, nullable=False),  # JWK
    Column("private", Text, nullable=False),  # JWK, sealed
    Column("signs_from", BigInteger, nullable=False),
)

revoked_keys: Final = Table(
    "revoked_keys",
    METADATA,
    Column("kid", String(64), primary_key=True),
    Column("signs_from", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
    Index(None, "revoked_at"),
)

provider_logouts: Final = Table(
    "provider_logouts",
    METADATA,
    Column("id", String(64), primary_key=True),  # a hash: of a logout token's id, or of a session that it ended
    Column("until", BigInteger, nullable=False),
    Index(None, "until"),
)
outbox: Final = Table(
    "outbox",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("app", String(63), nullable=False),
    Column("session", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # also the end of a worker's lease on the row
    Column("attempts", Integer, nullable=False),
    Index(None, "due_at"),
)

audit: Final = Table(
    "audit",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("event", String(64), nullable=False),
    Column("identity_id", String(64)),
    Column("name", String(512)),
    Column("email", String(512)),
    Column("issuer", String(512)),
    Column("tenant", String(512)),
    Column("app", String(63)),
    Column("detail", String(500), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("fields", Text),  # JSON, portal.access.audit_events; NULL in events from before there were fields
    Index(None, "issuer", "tenant", "id"),
    Index(None, "at"),
)
