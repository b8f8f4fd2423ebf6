"""The main job on a throwaway repository and board: real runners, real git, a small scripted agent."""
