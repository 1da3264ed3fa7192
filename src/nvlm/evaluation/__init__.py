"""Evaluation: questions in, scores with intervals out."""
