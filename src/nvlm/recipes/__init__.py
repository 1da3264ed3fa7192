"""Recipes: complete, runnable descriptions of how a model is made."""
