"""One stage on its way: a step, a checkpoint, and what is said about them. `nvlm.training.loop` decides which when."""

import math
import time
from collections.abc import Callable
from typing import Any, Generic

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from nvlm.training import checkpointing, tensor_files
from nvlm.training.accounting import added, totals
from nvlm.training.checkpointing import Checkpoint
from nvlm.training.engine import Engine
from nvlm.training.freezing import freeze
from nvlm.training.gradients import clip, gates, lay_as_weights, learning, sum_replicas
from nvlm.training.lanes import Batch, Batches, StepBatches
from nvlm.training.optim import build_optimizers, set_rates
from nvlm.training.ranks import Ranks
from nvlm.training.saving import Saver
from nvlm.training.settings import as_written
from nvlm.training.sharding import computing_in, shrink_frozen, spread
from nvlm.training.source_losses import heard, losses_by_source
from nvlm.training.stages import Stage
from nvlm.training.steps import Feed, Pass, agree, keep_company, on


class Run(Generic[Batch]):
    """A model, spread over the processes and ready to learn; its optimisers and its lanes.

    Args:
        stage, model, batches, loss_of, engine: as `nvlm.training.loop.train` takes them.
        ranks: this process among the others.
    """

    def __init__(
        self,
        stage: Stage,
        model: nn.Module,
        batches: Batches[Batch],
        loss_of: Callable[[Batch], Tensor],
        engine: Engine,
        ranks: Ranks,
    ) -> None:
        self.stage, self.model, self.engine, self.ranks, self._loss_of = stage, model, engine, ranks, loss_of
        torch.manual_seed(stage.seed)
        model.train()
        self.freezing = freeze(model, stage.trainable)
        shrink_frozen(model, engine.precision)
        spread(model, ranks, engine.precision)
        self._sharded = isinstance(model, FSDPModule)
        self.optimizers = build_optimizers(model, stage)
        self._learning = learning(model)
        self._feed = Feed(batches, ranks, engine.accumulate, stage.seed)
        self._by_step = isinstance(batches, StepBatches)
        self._shape = {"lanes": 1 if self._by_step else batches.lanes, "accumulate": engine.accumulate}

    def step(self, step: int) -> dict[str, Any]:
        """Do one step; what there is to say about it.

        Raises:
            FloatingPointError: the loss or its gradient is not finite; nothing was applied.
        """
        began = time.perf_counter()
        passes = self._feed.step(step)
        fetched = time.perf_counter()
        supervised = agree(passes, self.ranks)
        if self._sharded:
            keep_company(passes, self.ranks, getattr(self.model, "config", None))
        losses = self._backward(passes)
        lay_as_weights(self._learning)
        if not self._sharded:
            sum_replicas(self._learning, self.ranks)
        loss = self.ranks.total([sum(losses)])[0]
        norms = clip(self._learning, self.stage.clip, self.ranks)
        for what, value in (("loss", loss), ("gradient norm", norms["all"])):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the {what} of step {step} is {value}; lower the rate (now {self.stage.peak_lr})"
                )
        set_rates(self.optimizers, self.stage, step)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        row = {"loss": loss, "norm": norms.pop("all"), "norms": norms, "rate": self.stage.rate(step)}
        row |= {"supervised": supervised, "gates": gates(self.model, self.ranks)}
        row |= self._consisted_of(passes)
        return row | {"seconds": time.perf_counter() - began, "waited": fetched - began}

    def _backward(self, passes: list[Pass[Batch]]) -> list[float]:
        """Go through the model and back; the loss of every pass that counts."""
        scale = float(self.ranks.layout.ranks) if self._sharded else 1.0  # FSDP takes the mean over ranks
        losses: list[Tensor] = []
        for number, each in enumerate(passes):
            torch.manual_seed(each.seed)
            if isinstance(self.model, FSDPModule):
                self.model.set_requires_all_reduce(number + 1 == len(passes))
            batch = on(self.ranks.device, each.batch)
            with computing_in(self.engine.precision, self.model), heard(self.model, bool(each.spans)) as logits:
                loss = self._loss_of(batch)
            if logits and not each.idle:
                each.by_source = losses_by_source(logits, batch["labels"], each.spans)
            logits.clear()
            if loss.requires_grad:  # text alone teaches a connector nothing
                (loss * (0.0 if each.idle else scale)).backward()  # type: ignore[no-untyped-call]
            if not each.idle:
                losses.append(loss.detach())
        values: list[float] = torch.stack(losses).double().tolist() if losses else []
        return values

    def _consisted_of(self, passes: list[Pass[Batch]]) -> dict[str, Any]:
        """What all ranks' lanes say about the step, and the loss of every source per token that has one."""
        mine = [each for each in passes if not each.idle]
        own = added(each.accounting for each in mine)
        own["row_tokens"] = sum(each.row_tokens for each in mine)
        for each in mine:
            known = {source: {"loss": float(loss), "of": of} for source, (loss, of) in each.by_source.items()}
            own = added([own, {source: {"known": sums} for source, sums in known.items()}])
        every = added(self.ranks.gather(own))
        sources: dict[str, dict[str, Any]] = {name: value for name, value in every.items() if isinstance(value, dict)}
        for counts in sources.values():
            if (known := counts.pop("known", None)) and known["of"]:
                counts["loss"] = known["loss"] / known["of"]
        return {"totals": totals(every), "sources": sources}

    def save(self, saver: Saver, steps: int, seconds: float) -> None:
        """Write a checkpoint after so many steps, for which the run took so many seconds."""
        about = {"stage": self.stage.name, **as_written(self.stage), **self._shape, "seconds": seconds}
        about["layout"] = str(self.ranks.layout)
        saver.save(steps, tensor_files.state(self.model, self.optimizers), about, self._feed.states())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to where a checkpoint stands.

        Raises:
            ValueError: it belongs to another stage or one with other settings, to another number of lanes, or to other
                parameters.
        """
        found = checkpoint.numbers
        folder = checkpoint.path.parent
        if found.get("stage") != self.stage.name:
            raise ValueError(
                f"{folder} holds a run of the stage {found.get('stage')!r}, and not of {self.stage.name!r}; "
                "choose another"
            )
        held = {name: value for name, value in as_written(self.stage).items() if name in found}  # fewer in older ones
        for settings, why in ((self._shape, "hold other samples"), (held, "not be those of one run")):
            for name, value in settings.items():
                if found.get(name) != value:
                    raise ValueError(
                        f"{folder} was begun with {name} {found.get(name)}, and not {value}, so its steps would {why}; "
                        "resume it as it was begun"
                    )
        checkpointing.restore(checkpoint, self.model, self.optimizers)
        self._feed.restore({lane: checkpoint.lane(0 if self._by_step else lane) for lane in self._feed.lanes})

    def scores(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Evaluate without touching the run: modes and the random generator are put back."""
        state = torch.get_rng_state()
        self.model.eval()
        inference = torch.no_grad() if self._sharded else torch.inference_mode()
        with inference, computing_in(self.engine.precision, self.model):
            scores = evaluate()
        self.model.train()
        freeze(self.model, self.stage.trainable)
        torch.set_rng_state(state)
        return scores

    def close(self) -> None:
        """Close the lanes."""
        self._feed.close()
