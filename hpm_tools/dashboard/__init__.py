"""The operator's page and the morning report: what the agents do, what came of it, and what needs a person."""
