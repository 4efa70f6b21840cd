"""Sign-ins, app sessions and tickets: who has access, and how it is revoked everywhere."""
