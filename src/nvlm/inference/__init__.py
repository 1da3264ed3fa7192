"""Answers: load a model, ask it, talk with it."""

from nvlm.inference.ask import ask, ask_batch
from nvlm.inference.conversation import Conversation
from nvlm.inference.load import SHIPPED, load
from nvlm.inference.model_card import chat, load_image

__all__ = ["SHIPPED", "Conversation", "ask", "ask_batch", "chat", "load", "load_image"]
