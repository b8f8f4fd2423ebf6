"""Two front ends over one registry: the quick ``hpm`` program and Invoke tasks."""

# no failpoints in this package: it changes nothing; the commands do
