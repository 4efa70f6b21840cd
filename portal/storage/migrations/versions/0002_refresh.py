"""What a sign-in needs to be refreshed and to be ended by its provider."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STEP = 500
_INDEXES = {
    "ix_sign_ins_provider_ended_at": ["provider", "ended_at"],
    "ix_sign_ins_provider_session": ["provider_session"],
    "ix_sign_ins_refresh_due_at": ["refresh_due_at"],
}


def upgrade() -> None:
    """Add the columns; the provider is named in the stored identity."""
    for column in _added():
        op.add_column("sign_ins", column)
    connection = op.get_bind()
    table = sa.table("sign_ins", *map(sa.column, ("id", "identity", "provider", "checked_at", "created_at")))
    ids = list(connection.execute(sa.select(table.c.id)).scalars())
    for start in range(0, len(ids), _STEP):
        for row in connection.execute(sa.select(table).where(table.c.id.in_(ids[start : start + _STEP]))).all():
            values = {"provider": json.loads(row.identity)["provider"], "checked_at": row.created_at}
            connection.execute(sa.update(table).where(table.c.id == row.id).values(values))
    for name, columns in _INDEXES.items():
        op.create_index(name, "sign_ins", columns)
    op.create_table(
        "provider_logouts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_provider_logouts_until", "provider_logouts", ["until"])


def downgrade() -> None:
    """Drop the columns, and what they hold."""
    op.drop_table("provider_logouts")
    for name in _INDEXES:
        op.drop_index(name, "sign_ins")
    for column in _added():
        op.drop_column("sign_ins", column.name)


def _added() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("provider", sa.String(64), nullable=False, server_default=""),
        sa.Column("provider_session", sa.String(64)),
        sa.Column("renewal", sa.Text),
        sa.Column("checked_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("refresh_due_at", sa.BigInteger),
        sa.Column("refresh_lease_until", sa.BigInteger),
    )
