"""Storage: the database, sealed values, browser sessions, backups and private files."""
