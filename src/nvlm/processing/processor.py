"""`NVLMProcessor`: messages with images → the model's batch. The one way in for training, evaluation and serving."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate, chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers import PreTrainedTokenizerBase
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin

from nvlm.modeling.architectures import find_architecture
from nvlm.modeling.layouts import find_layout
from nvlm.processing import chat
from nvlm.processing.batch import collate
from nvlm.processing.budget import note_lowered, tile_budget
from nvlm.processing.chat import IMAGE_MARK, PLACEHOLDER, SPLIT_MARK, Message, Prompt
from nvlm.processing.image_processor import NVLMImageProcessor
from nvlm.processing.images import ImageSource
from nvlm.processing.layout import Row, lay_out, segments_of
from nvlm.processing.packed import PackedRow, collate_packed
from nvlm.processing.settings import check_settings, control_tokens, find_template
from nvlm.processing.tags import Tags, views_of
from nvlm.processing.tiling import Grid

Conversation: TypeAlias = Sequence[Message]


class NVLMProcessor(ProcessorMixin):
    """Tokenizer, image processor and architecture: everything between a conversation and the model's inputs.

    Args:
        image_processor: makes the views.
        tokenizer: any fast tokenizer that has `image_token` as a special token.
        architecture: "D", "X" or "H": where views and tags go.
        tokens_per_view: how many slots a view takes in the sequence: (tile size / patch size / downsample)².
        tag_format: "none", "1d", "2d-grid" or "2d-box"; see `Tags`.
        thumbnail_tag: the tag of the thumbnail.
        tags_tokenized: "alone", each tag by itself, as Megatron trained NVLM-D; or "inline", with the text around it,
            as the released model's prompt string is.
        image_token: the token that fills slots.
        max_length: longest row in tokens; the tokenizer's `model_max_length` where None.
        chat_template: a Jinja template; where None, ChatML if the tokenizer has its tokens, else the tokenizer's own.

    Raises:
        ValueError: a setting that is unknown or does not go with the tokenizer.
    """

    def __init__(
        self,
        image_processor: NVLMImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        architecture: str = "D",
        tokens_per_view: int = 256,
        tag_format: str = "1d",
        thumbnail_tag: str = "<tile_global_thumbnail>",
        tags_tokenized: str = "alone",
        image_token: str = "<|vision_pad|>",
        max_length: int | None = None,
        chat_template: str | None = None,
    ) -> None:
        check_settings(tokenizer, architecture, tokens_per_view, tag_format, tags_tokenized, image_token, max_length)
        template = find_template(tokenizer, chat_template)
        super().__init__(image_processor, tokenizer, chat_template=template)  # type: ignore[no-untyped-call]
        self.architecture = architecture
        self.tokens_per_view = tokens_per_view
        self.tag_format = tag_format
        self.thumbnail_tag = thumbnail_tag
        self.tags_tokenized = tags_tokenized
        self.image_token = image_token
        self.max_length = max_length
        self._special = chat.special_pattern(control_tokens(tokenizer, template))
        self._known: dict[str, list[int]] = {}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:  # type: ignore[override]
        """The processor of a folder or hub id, as it was saved; of another layout, NVIDIA's, what goes with it."""
        layout = find_layout(str(pretrained_model_name_or_path), **kwargs)
        if layout is not None:
            return layout.processor(str(pretrained_model_name_or_path), **kwargs)
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @property
    def image_token_id(self) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(self.image_token))

    @property
    def pad_token_id(self) -> int:
        """The tokenizer's own, or 0: padding is masked, so its value is never read."""
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def model_input_names(self) -> list[str]:
        views = ["pixel_values", "sequence_views", "memory_views", "memory_tag_ids", "cross_attention_mask"]
        return ["input_ids", "attention_mask", *views]

    def encode(
        self,
        conversations: Sequence[Conversation],
        *,
        supervise: bool = True,
        padding_side: str = "right",
        grids: Sequence[Sequence[tuple[int, int]]] | None = None,
        max_tiles: int | None = None,
        max_length: int | None = None,
    ) -> BatchFeature:
        """Whole conversations as a training batch.

        Args:
            conversations: one list of messages per row.
            supervise: add `labels`: what the assistant says and what ends its turn; -100 elsewhere.
            padding_side: "right" or "left".
            grids: (columns, rows) of every image of every row, in place of pictures: the layout only, for training on
                stored features. Nothing is decoded, and there are no `pixel_values`; views are numbered as with
                pictures.
            max_tiles, max_length: for this call in place of the settings.

        Returns:
            The batch that `collate` describes, and `pixel_values` float32 (V, 3, T, T) where there are pictures.

        Raises:
            ImageError: a picture that cannot be used.
            ValueError: a conversation that cannot be used, or does not fit into `max_length`.
        """
        if grids is None:
            prompts = [self._prompt(conversation, supervise=supervise) for conversation in conversations]
            return self._pictured_batch(prompts, padding_side, supervise, max_tiles, max_length)
        if len(grids) != len(conversations):
            raise ValueError(f"grids are given for {len(grids)} rows, but there are {len(conversations)} conversations")
        pairs = zip(conversations, grids, strict=True)
        rows = [self.layout(*pair, supervise=supervise, max_length=max_length) for pair in pairs]
        return self._collate(rows, [], padding_side, supervise)

    def layout(
        self,
        conversation: Conversation,
        grids: Sequence[tuple[int, int]] = (),
        *,
        supervise: bool = True,
        add_generation_prompt: bool = False,
        max_length: int | None = None,
    ) -> Row:
        """One conversation laid out for images of these (columns, rows), unpadded and without pixels: for packing,
        planning and looking at samples.

        Raises:
            ValueError: as `encode`.
        """
        if supervise and add_generation_prompt:
            raise ValueError("a supervised row holds its answers; the prompt for a further one has no place in it")
        prompt, _ = self._prompt(conversation, supervise=supervise, add_generation_prompt=add_generation_prompt)
        row = self._row(prompt, [Grid(*grid) for grid in grids])
        self._check_length(row, self._limit(max_length))
        return row

    def encode_packed(
        self, rows: Sequence[Sequence[Row]], views: Sequence[NDArray[np.uint8]] = (), *, supervise: bool = True
    ) -> BatchFeature:
        """Samples that `layout` laid out, several to a row, as a training batch.

        Args:
            rows: for each row of the batch its samples, as `nvlm.data.packing` planned them.
            views: the views of every image in the order of rows, samples and images, each uint8 (views, T, T, 3). Left
                out to train on stored features, which then come in that order as `image_features`.
            supervise: add `labels`.

        Returns:
            The batch that `collate_packed` describes, and `pixel_values` float32 (V, 3, T, T) where there are views.

        Raises:
            ValueError: no row, a row without a sample, or another number of views than the samples have.
        """
        packed = [PackedRow(tuple(samples)) for samples in rows]
        if not packed:
            raise ValueError("a batch needs at least one row")
        wanted, given = sum(len(row.all_views) for row in packed), sum(map(len, views))
        if len(views) and given != wanted:
            raise ValueError(
                f"the samples were laid out for {wanted} views but {given} are given; "
                "were the pictures cut by other grids than those of the layout?"
            )
        batch = collate_packed(packed, pad_token_id=self.pad_token_id, supervise=supervise, tag_ids=self._tag_ids)
        if given:
            batch["pixel_values"] = self.image_processor.normalise(np.concatenate(views))
        return BatchFeature(batch)

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: Conversation | Sequence[Conversation],
        chat_template: str | None = None,
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = False,
        return_dict: bool = False,
        return_tensors: str = "pt",
        padding_side: str = "left",
        max_tiles: int | None = None,
        max_length: int | None = None,
        grids: Sequence[Sequence[tuple[int, int]]] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        **variables: Any,
    ) -> Any:
        """Conversations as prompts: one list of messages, or a batch of them.

        Special tokens that somebody wrote into a message are tokenised as the text they are; they open no turns and no
        slots.

        Args:
            tokenize: give tensors, padded on `padding_side`; else the prompt string, with `<image>` where images stand.
            return_dict: give the whole batch; else its `input_ids`.
            grids: as in `encode`, for pictures that were cut into views already.
            processor_kwargs: `padding_side`, `max_tiles` and `max_length` as transformers' pipeline passes them.
            variables: of the chat template.

        Returns:
            A string (or one for each conversation), `input_ids` int64 (B, S), or the batch that `collate` describes
            with `pixel_values` float32 (V, 3, T, T).

        Raises:
            ImageError: a picture that cannot be used.
            ValueError: a conversation that cannot be used, or does not fit.
        """
        batched = bool(conversation) and not isinstance(conversation[0], Mapping)
        conversations: Sequence[Any] = conversation if batched else [conversation]
        prompts = [
            self._prompt(
                messages,
                template=chat_template,
                variables=variables,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
            )
            for messages in conversations
        ]
        if not tokenize:
            texts = [_plain(prompt) for prompt, _ in prompts]
            return texts if batched else texts[0]
        _check_tensors(return_tensors)
        options = {"padding_side": padding_side, "max_tiles": max_tiles, "max_length": max_length}
        if grids is not None:
            batch = self._gridded_batch([prompt for prompt, _ in prompts], grids, padding_side, max_length)
        else:
            batch = self._pictured_batch(prompts, **options | (processor_kwargs or {}))
        return batch if return_dict else batch["input_ids"]

    def __call__(
        self,
        images: ImageSource | Sequence[Any] | None = None,
        text: str | Sequence[str] | None = None,
        *,
        padding: bool | str = True,
        padding_side: str = "left",
        max_tiles: int | None = None,
        max_length: int | None = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """Prompt strings with `<image>` where images stand → the batch that `encode` gives, without labels.

        The strings are tokenised as they are, special tokens included: they come from a program, not from a user.

        Args:
            images: one picture, a list in reading order, or one list for each string.

        Raises:
            ImageError: a picture that cannot be used.
            ValueError: another number of pictures than of `<image>`, a slot token in a string, or a prompt that does
            not fit.
        """
        if text is None:
            raise ValueError("there is no text; a prompt is a string, with <image> where each picture stands")
        if padding not in (True, "longest"):
            raise ValueError(f"padding is {padding!r}; rows are always padded to the longest one (True)")
        _check_tensors(return_tensors)
        prompts = [self._string_prompt(string) for string in ([text] if isinstance(text, str) else text)]
        pictures = _share_out(images, [prompt.images for prompt in prompts])
        pairs = list(zip(prompts, pictures, strict=True))
        return self._pictured_batch(pairs, padding_side, max_tiles=max_tiles, max_length=max_length)

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **kwargs: Any
    ) -> list[str]:
        """Generated ids (B, S) as strings."""
        texts: list[str] = self.tokenizer.batch_decode(
            generated_outputs, skip_special_tokens=skip_special_tokens, **kwargs
        )
        return texts

    def _prompt(
        self,
        conversation: Conversation,
        *,
        supervise: bool = False,
        template: str | None = None,
        variables: dict[str, Any] | None = None,
        **options: bool,
    ) -> tuple[Prompt, list[Any]]:
        messages, images = chat.marked(conversation, self._special)
        template = template or str(self.chat_template)
        variables = {**self.tokenizer.special_tokens_map, **(variables or {})}
        if supervise:
            return chat.render_supervised(messages, template, variables), images
        return chat.render(messages, template, variables, **options), images

    def _string_prompt(self, text: str) -> Prompt:
        if slots := text.count(self.image_token):
            raise ValueError(
                f"the prompt holds the slot token {self.image_token} {slots} times; write <image> where a picture "
                "stands, and its slots are added"
            )
        bos = self.tokenizer.bos_token
        begin = bos if bos and self._adds_bos and not text.startswith(bos) else ""
        return Prompt(begin + chat.clean(text).replace(PLACEHOLDER, IMAGE_MARK))

    @property
    def _adds_bos(self) -> bool:
        return list(self.tokenizer("").input_ids[:1]) == [self.tokenizer.bos_token_id]

    def _pictured_batch(
        self,
        prompts: Sequence[tuple[Prompt, Sequence[Any]]],
        padding_side: str,
        supervise: bool = False,
        max_tiles: int | None = None,
        max_length: int | None = None,
    ) -> BatchFeature:
        wanted = self.image_processor.max_tiles if max_tiles is None else max_tiles
        limit = self._limit(max_length)
        done = [self._pictured_row(prompt, images, wanted, limit) for prompt, images in prompts]
        views = list(chain.from_iterable(views for _, views in done))
        return self._collate([row for row, _ in done], views, padding_side, supervise)

    def _gridded_batch(
        self,
        prompts: Sequence[Prompt],
        grids: Sequence[Sequence[tuple[int, int]]],
        padding_side: str,
        max_length: int | None,
    ) -> BatchFeature:
        if len(grids) != len(prompts):
            raise ValueError(f"grids are given for {len(grids)} rows, but there are {len(prompts)} conversations")
        rows = [self._row(prompt, [Grid(*grid) for grid in own]) for prompt, own in zip(prompts, grids, strict=True)]
        for row in rows:
            self._check_length(row, self._limit(max_length))
        return self._collate(rows, [], padding_side, supervise=False)

    def _pictured_row(
        self, prompt: Prompt, images: Sequence[Any], wanted: int, limit: int
    ) -> tuple[Row, list[NDArray[np.uint8]]]:
        """One row and the pixels of its images: at most `wanted` tiles each, fewer where several must share."""
        self.image_processor.check_prompt(len(images))
        pictures = [self.image_processor.load(_present(image, number)) for number, image in enumerate(images)]

        @cache
        def row(tiles: int) -> Row:
            return self._row(prompt, self._grids(pictures, tiles))

        given = wanted
        if len(pictures) > 1:
            given = tile_budget(wanted, lambda tiles: len(row(tiles)) <= limit) or 1
        self._check_length(row(given), limit)
        if given < wanted:
            note_lowered(len(pictures), wanted, given, limit)
        pairs = zip(pictures, self._grids(pictures, given), strict=True)
        return row(given), [self.image_processor.views(*pair) for pair in pairs]

    def _grids(self, pictures: Sequence[Image.Image], max_tiles: int) -> list[Grid]:
        return [self.image_processor.grid(picture, max_tiles) for picture in pictures]

    def _collate(
        self, rows: Sequence[Row], views: Sequence[NDArray[np.uint8]], padding_side: str, supervise: bool
    ) -> BatchFeature:
        if not rows:
            raise ValueError("a batch needs at least one row")
        batch = collate(
            rows,
            pad_token_id=self.pad_token_id,
            padding_side=padding_side,
            supervise=supervise,
            tag_ids=self._tag_ids,
        )
        if views:
            batch["pixel_values"] = self.image_processor.normalise(np.concatenate(views))
        return BatchFeature(batch)

    def _row(self, prompt: Prompt, grids: Sequence[Grid]) -> Row:
        self.image_processor.check_prompt(len(grids), sum(grid.tiles for grid in grids))
        architecture = find_architecture(self.architecture)
        tags = Tags(self.tag_format, self.thumbnail_tag)
        views = [views_of(grid, tags, self.image_processor.thumbnail) for grid in grids]
        alone = self.tags_tokenized == "alone"
        segments = segments_of(prompt, views, architecture, self.image_token, alone)
        return lay_out(segments, views, architecture, self._encode_texts, self.tokens_per_view, self._known)

    def _encode_texts(self, texts: Sequence[str]) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
        encoded = self.tokenizer(
            list(texts),
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return encoded["input_ids"], encoded["offset_mapping"]

    def _tag_ids(self, tag: str) -> list[int]:
        if tag not in self._known:
            self._known[tag] = self._encode_texts([tag])[0][0]
        return self._known[tag]

    def _limit(self, max_length: int | None) -> int:
        limits = (max_length, self.max_length, self.tokenizer.model_max_length)
        return int(next(limit for limit in limits if limit is not None))

    def _check_length(self, row: Row, limit: int) -> None:
        if len(row) > limit:
            slots = int((row.slot_view >= 0).sum())
            pictured = f", {slots:,} of them slots for its pictures" if slots else ""
            fewer = "fewer tiles (max_tiles), fewer images or " if slots else ""
            raise ValueError(
                f"the row has {len(row):,} tokens{pictured}, but only {limit:,} fit into the context; use {fewer}a "
                "shorter text"
            )


def _check_tensors(return_tensors: str) -> None:
    if return_tensors != "pt":
        raise ValueError(f"return_tensors is {return_tensors!r}; only 'pt' is made")


def _present(image: Any, number: int) -> ImageSource:
    if image is None:
        raise ValueError(f"image part {number} has no picture; give it as {{'type': 'image', 'image': …}}")
    source: ImageSource = image
    return source


def _plain(prompt: Prompt) -> str:
    return prompt.text.replace(IMAGE_MARK, PLACEHOLDER).replace(SPLIT_MARK, "")


def _share_out(images: ImageSource | Sequence[Any] | None, places: Sequence[int]) -> list[list[Any]]:
    """Pictures given as one, as a flat list in reading order, or as a list for each row → a list for each row."""
    if images is None:
        images = []
    if not isinstance(images, list | tuple):
        images = [images]
    if images and all(isinstance(own, list | tuple) for own in images):
        if len(images) != len(places):
            raise ValueError(f"images are given for {len(images)} rows, but there are {len(places)} prompts")
        return [list(own) for own in images]
    if len(images) != sum(places):
        raise ValueError(
            f"there are {len(images)} pictures, but {sum(places)} times {PLACEHOLDER} in the text; "
            "write one where each stands"
        )
    ends = list(accumulate(places))
    return [list(images[end - count : end]) for end, count in zip(ends, places, strict=True)]
