"""The fields of the audit's events, and the signing keys that were revoked, so that they can be listed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add column and table: events from before have only their text; a revoked key itself is deleted."""
    op.add_column("audit", sa.Column("fields", sa.Text))
    op.create_table(
        "revoked_keys",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("signs_from", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_revoked_keys"),
    )
    op.create_index("ix_revoked_keys_revoked_at", "revoked_keys", ["revoked_at"])


def downgrade() -> None:
    """Drop both, and what they hold."""
    op.drop_table("revoked_keys")
    op.drop_column("audit", "fields")
