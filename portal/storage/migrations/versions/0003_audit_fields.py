"""The fields of the audit's events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; events from before have only their text."""
    op.add_column("audit", sa.Column("fields", sa.Text))


def downgrade() -> None:
    """Drop the column, and what it holds."""
    op.drop_column("audit", "fields")
