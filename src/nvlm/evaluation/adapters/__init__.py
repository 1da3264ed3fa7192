"""Models of this package under other projects' evaluation harnesses."""
