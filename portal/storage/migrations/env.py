"""How Alembic reaches the database: over the connection it is handed, inside that one's transaction."""

from alembic import context

from portal.storage.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
