"""The `nvlm` command: a table of commands, and one thin file for each."""
