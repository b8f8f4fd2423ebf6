"""What survives a crash: guards, task records and their journal, the tasks' logs, usage limits."""
