"""What runs an app behind the portal: guard, host, serve and supervisor."""
