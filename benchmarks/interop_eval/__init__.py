"""The same questions to stock evaluation harnesses and to this package's own runner, compared; see `__main__.py`."""
