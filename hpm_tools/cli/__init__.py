"""Two front ends over one registry: the quick ``hpm`` program and Invoke tasks."""
