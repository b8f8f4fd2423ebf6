"""The main job on a throwaway repository and board: real runners, real git, a small scripted agent."""

# no failpoints in this package: a throwaway repository and board
