"""The history of the portal's tables, applied by ``portal.database`` at start."""
