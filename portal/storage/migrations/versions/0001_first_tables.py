"""The first tables: sign-ins, app sessions, credentials, keys, outbox and audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("identity_id", sa.String(64), nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("tenant", sa.String(512), nullable=False),
        sa.Column("browser", sa.String(200), nullable=False),
        sa.Column("id_token", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.String(64)),
        sa.Column("ended_by", sa.String(512)),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ins"),
    )
    op.create_index(
        "ix_sign_ins_issuer_tenant_ended_at_last_seen_at", "sign_ins", ["issuer", "tenant", "ended_at", "last_seen_at"]
    )
    op.create_index("ix_sign_ins_identity_id_ended_at", "sign_ins", ["identity_id", "ended_at"])
    op.create_index("ix_sign_ins_ended_at", "sign_ins", ["ended_at"])
    op.create_index("ix_sign_ins_expires_at", "sign_ins", ["expires_at"])
    op.create_table(
        "app_sessions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("sign_in_id", sa.String(64), nullable=False),
        sa.Column("app", sa.String(63), nullable=False),
        sa.Column("tenant", sa.String(512), nullable=False),
        sa.Column("ticket_hash", sa.String(64), nullable=False),
        sa.Column("ticket_expires_at", sa.BigInteger, nullable=False),
        sa.Column("redeemed_at", sa.BigInteger),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_app_sessions"),
        sa.ForeignKeyConstraint(["sign_in_id"], ["sign_ins.id"], name="fk_app_sessions_sign_in_id", ondelete="CASCADE"),
    )
    op.create_index("ix_app_sessions_sign_in_id_ended_at", "app_sessions", ["sign_in_id", "ended_at"])
    op.create_index("ix_app_sessions_ended_at", "app_sessions", ["ended_at"])
    op.create_index(
        "ix_app_sessions_redeemed_at_ticket_expires_at", "app_sessions", ["redeemed_at", "ticket_expires_at"]
    )
    op.create_table(
        "app_credentials",
        sa.Column("app", sa.String(63), nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("app", name="pk_app_credentials"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("public", sa.Text, nullable=False),
        sa.Column("private", sa.Text, nullable=False),
        sa.Column("signs_from", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("app", sa.String(63), nullable=False),
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("identity_id", sa.String(64)),
        sa.Column("name", sa.String(512)),
        sa.Column("email", sa.String(512)),
        sa.Column("issuer", sa.String(512)),
        sa.Column("tenant", sa.String(512)),
        sa.Column("app", sa.String(63)),
        sa.Column("detail", sa.String(500), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_issuer_tenant_id", "audit", ["issuer", "tenant", "id"])
    op.create_index("ix_audit_at", "audit", ["at"])


def downgrade() -> None:
    """Drop the tables, and all they hold."""
    for table in ("audit", "outbox", "signing_keys", "app_credentials", "app_sessions", "sign_ins"):
        op.drop_table(table)
