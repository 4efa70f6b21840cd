"""The history of the portal's tables, applied by ``portal.storage.database`` at start."""
