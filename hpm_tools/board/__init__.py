"""The Headless PM board: a client that is right against the real server, leases, heartbeats."""
