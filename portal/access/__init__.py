"""Sign-ins, app sessions and tickets: who is in, and how access ends everywhere."""
