"""Published datasets → conversations: one file per family of formats; `families.py` lists them."""
