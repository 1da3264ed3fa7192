"""`nvlm chat`: one question, or a conversation about pictures."""

import argparse
from pathlib import Path

EXAMPLE = """\
examples:
  nvlm chat nano-h receipt.png -q "What is the total?"    prints the answer and nothing else
  nvlm chat nano-d chart.png                              a conversation; /help lists its commands
  nvlm chat nano-x -q "Copy: lemon tiger moon"            no picture
  nvlm chat nvidia/NVLM-D-72B page.png --device-map 4     a large model, split over four GPUs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL", help="nano-d, nano-x, nano-h, a folder, or owner/name on the hub")
    parser.add_argument(
        "images", nargs="*", type=Path, metavar="IMAGE", help="pictures for the first question; before -q"
    )
    parser.add_argument("-q", "--question", help="ask this, print the answer and end")
    parser.add_argument(
        "--max-new-tokens", type=int, default=128, metavar="N", help="longest answer in tokens (default: %(default)s)"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="sample, at this temperature (default: always the likeliest token)",
    )
    parser.add_argument(
        "--top-p", type=float, metavar="P", help="sample from the likeliest tokens that together have this probability"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the sampling, for the same answers again")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 … (default: a GPU if there is one)")
    parser.add_argument(
        "--device-map",
        type=_device_map,
        metavar="N|auto",
        help="split the layers over N GPUs, or over whatever is there, the CPU's memory and the disk included",
    )
    parser.add_argument(
        "--quantization",
        choices=("fp8", "int8", "int4", "4bit"),
        help="hold the language model's weights in fewer bits (needs the extra 'quantization')",
    )


def run(args: argparse.Namespace) -> int:
    """Answer, or talk until the user leaves.

    Raises:
        FileNotFoundError, ValueError: a model, picture, question or option that cannot be used.
    """
    import torch

    from nvlm.inference.ask import ask
    from nvlm.inference.conversation import Conversation
    from nvlm.inference.load import load
    from nvlm.inference.terminal import Terminal, visible

    if args.seed is not None and args.temperature is None and args.top_p is None:
        raise ValueError("--seed does nothing without --temperature or --top-p: the likeliest token is always the same")
    model, processor = load(args.model, device=args.device, device_map=args.device_map, quantization=args.quantization)
    if args.seed is not None:
        torch.manual_seed(args.seed)
    sampling = {"temperature": args.temperature, "top_p": args.top_p}
    if args.question is not None:
        print(visible(ask(model, processor, args.question, args.images, args.max_new_tokens, **sampling)))
        return 0
    terminal = Terminal(Conversation(model, processor, args.max_new_tokens, **sampling), args.model)
    for image in args.images:
        terminal.show(str(image))
    terminal.run()
    return 0


def _device_map(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
