"""Which parameters learn: patterns of names, checked and reported (paper section 4.5: what each stage trains)."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn


@dataclass(frozen=True)
class Freezing:
    """What a set of patterns made trainable.

    Attributes:
        trainable: parameters that learn, by the pattern that chose them.
        frozen: parameters that do not learn, by the model's child they belong to.
    """

    trainable: dict[str, int]
    frozen: dict[str, int]

    def __str__(self) -> str:
        def listed(counts: dict[str, int]) -> str:
            return ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in counts.items()) or "nothing"

        return f"trains {listed(self.trainable)}; frozen {listed(self.frozen)}"


def freeze(model: nn.Module, trainable: tuple[str, ...]) -> Freezing:
    """Let only the parameters that match a pattern learn; modules in which nothing learns go to eval mode.

    Call it after every ``model.train()``.

    Raises:
        ValueError: a pattern matches no parameter.
    """
    unmatched = [pattern for pattern in trainable if not _matches(model, pattern)]
    if unmatched:
        tops = ", ".join(dict.fromkeys(name.split(".", 1)[0] for name, _ in model.named_parameters()))
        raise ValueError(f"nothing to train matches {', '.join(unmatched)}; the model's parameters start with {tops}")
    chosen = dict.fromkeys(trainable, 0)
    frozen: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        pattern = next((pattern for pattern in trainable if fnmatchcase(name, pattern)), None)
        parameter.requires_grad_(pattern is not None)
        if pattern is None:
            parameter.grad = None
            owner = name.split(".", 1)[0]
            frozen[owner] = frozen.get(owner, 0) + parameter.numel()
        else:
            chosen[pattern] += parameter.numel()
    _set_modes(model)
    return Freezing(chosen, frozen)


def _set_modes(module: nn.Module) -> None:
    """Training mode where something learns. A child without parameters (dropout …) goes with its parent."""
    module.train(any(parameter.requires_grad for parameter in module.parameters()))
    if module.training:
        for child in module.children():
            if next(child.parameters(), None) is not None:
                _set_modes(child)


def _matches(model: nn.Module, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name, _ in model.named_parameters())
