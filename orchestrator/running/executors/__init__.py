"""Where trials run: one small protocol, Ray Tune for real work and an in-process twin for debugging."""
