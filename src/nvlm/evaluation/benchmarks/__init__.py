"""One file for each benchmark, all of one form."""
