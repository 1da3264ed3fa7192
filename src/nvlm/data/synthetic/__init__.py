"""Synthetic tasks: seeded, with exact answers, drawn by Pillow with fonts that may be shipped."""
