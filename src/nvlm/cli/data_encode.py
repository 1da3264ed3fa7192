"""`nvlm data encode`: features of the frozen vision encoder, stored once for all stages and architectures."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from nvlm.processing import NVLMImageProcessor
    from nvlm.recipes.running.backbones import Vision

DTYPES = ("fp16", "bf16", "fp8")
REPORT = "report.json"
EXAMPLE = """\
examples:
  nvlm data encode shards/sft/chartqa shards/sft/docvqa --model nano-h --out features
  nvlm data encode shards/*/* --encoder InternViT-6B --out features --dtype bf16
  nvlm data encode shards/sft/mine --model nano-h --out features --max-tiles 6 4 2 1   samples with several pictures

The same command goes on where it was stopped. Pictures that are stored already are not encoded again, also those of
other folders. Training refuses features of another encoder or of other pixels.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shards", type=Path, nargs="+", metavar="FOLDER", help="prepared folders")
    encoder = parser.add_mutually_exclusive_group(required=True)
    encoder.add_argument("--model", metavar="MODEL", help="whose vision encoder and tiles: a shipped model or a folder")
    encoder.add_argument("--encoder", metavar="PATH", help="a vision encoder by itself: a folder or a hub id")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the features go")
    parser.add_argument("--dtype", choices=DTYPES, default="fp16", help="how they are stored (default: %(default)s)")
    parser.add_argument(
        "--max-tiles",
        type=int,
        nargs="+",
        metavar="N",
        help="tiles of a picture, and lower limits for samples with several (default: the model's; 6 for an encoder)",
    )
    parser.add_argument("--layer", type=int, metavar="N", help="of the encoder that is read (default: the model's; -1)")
    parser.add_argument(
        "--batch", type=int, default=32, metavar="N", help="views encoded together, or just more (default: %(default)s)"
    )
    parser.add_argument("--device", metavar="NAME", help="where the encoder runs (default: a GPU if there is one)")
    parser.add_argument("--force", action="store_true", help="begin even if the disk seems too small")


class _Source(NamedTuple):
    """An encoder, the layer that is read, and how pictures are cut for it."""

    encoder: Any
    layer: int
    images: "NVLMImageProcessor"


def run(args: argparse.Namespace) -> int:
    """Encode; 130 if it was interrupted."""
    import torch

    from nvlm.data.encode import Cuts, count_views, encode_folders
    from nvlm.data.encode_costs import check_disk, read_seconds, report, sentences
    from nvlm.data.picture_features import FeatureWriter, features_key, weights_hash
    from nvlm.data.stored import stored_fields
    from nvlm.modeling.vision import encode, grid_size

    if not any(fields["pictures"] for folder in args.shards for fields in stored_fields(folder)):
        raise ValueError(f"there are no pictures in {', '.join(map(str, args.shards))}; text needs no features")
    source = _source(args)
    cuts = Cuts(source.images, args.max_tiles or [source.images.max_tiles])
    shape = (grid_size(source.encoder.config) ** 2, int(source.encoder.config.hidden_size))
    key = features_key(weights_hash(source.encoder), source.layer, source.images)
    writer = FeatureWriter(args.out, key, args.dtype, shape)
    count = count_views(args.shards, cuts, writer)
    needed = count.missing * writer.view_bytes
    print(
        f"{count.pictures:,} pictures, {count.views:,} views of {writer.view_bytes:,} bytes; {writer.views:,} views "
        f"are stored already; at most {needed / 1e9:,.2f} GB more in {args.out}",
        flush=True,
    )
    if not args.force:
        check_disk(args.out, needed)
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    encoder = source.encoder.eval().to(device, torch.float32 if device.type == "cpu" else torch.bfloat16)

    @torch.inference_mode()
    def features(pixels: torch.Tensor) -> torch.Tensor:
        return encode(encoder, pixels.to(device, encoder.dtype), source.layer).cpu()

    try:
        spent = encode_folders(args.shards, cuts, features, writer, args.batch, writer.views + count.missing)
    except KeyboardInterrupt:
        kept = f"{writer.pictures:,} pictures are kept, and the same command goes on"
        print(f"\nnvlm: interrupted; {kept}", file=sys.stderr)
        return 130
    print(f"{writer.pictures:,} pictures, {writer.views:,} views, {writer.bad:,} unusable in {args.out}")
    if spent.views:
        numbers = report(spent, read_seconds(writer), args.dtype)
        (args.out / REPORT).write_text(json.dumps(numbers, indent=1), encoding="utf-8")
        print("\n".join(sentences(numbers)))
    return 0


def _source(args: argparse.Namespace) -> _Source:
    """The encoder that is asked for, in float32 on the CPU."""
    from nvlm.inference.load import load
    from nvlm.modeling.vision import image_size
    from nvlm.processing import NVLMImageProcessor

    if args.model is not None:
        model, processor = load(args.model, device="cpu", dtype="float32")
        encoder, layer, images = model.vision_model, model.config.vision_feature_layer, processor.image_processor
    else:
        vision = _vision(args.encoder)
        encoder, layer = vision.model, -1
        images = NVLMImageProcessor(image_size(encoder.config), mean=vision.mean, std=vision.std)
    return _Source(encoder, layer if args.layer is None else args.layer, images)


def _vision(name: str) -> "Vision":
    """A vision encoder by itself, and the statistics of its pixels."""
    from transformers import AutoConfig

    from nvlm.inference.load import find_source
    from nvlm.recipes.recipe import Backbone
    from nvlm.recipes.running.backbones import read_vision

    source = find_source(name)
    return read_vision(Backbone(source, AutoConfig.from_pretrained(source).model_type, {}))
