"""The catalogue of faults, the tests that are marked as showing them, and what is made of both."""
