"""The nano family: three architectures from the same small backbones, trained on synthetic tasks on one CPU."""
