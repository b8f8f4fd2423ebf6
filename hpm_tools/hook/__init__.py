"""Global hooks: programs of the operator's that run before and after tasks, and to check the machine."""
