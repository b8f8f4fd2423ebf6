"""Git worktrees, what agents left in them, and a git that does not run what agents wrote."""
