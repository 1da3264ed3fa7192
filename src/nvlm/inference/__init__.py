"""Answers: load a model, ask it, talk with it."""

from nvlm.inference.ask import ask, ask_batch
from nvlm.inference.conversation import Conversation
from nvlm.inference.load import SHIPPED, load

__all__ = ["SHIPPED", "Conversation", "ask", "ask_batch", "load"]
