"""Where data is kept: the database, sealed values, browser sessions, backups and private files."""
