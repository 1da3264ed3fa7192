"""`nvlm data`: the table of its sub-commands; only the module of the one that is called runs."""

import argparse
from collections.abc import Mapping
from importlib import import_module

SUBCOMMANDS: Mapping[str, tuple[str, str]] = {
    "list": ("nvlm.cli.data_list", "the paper's datasets: what is prepared, what is missing, where to get it"),
    "prepare": ("nvlm.cli.data_prepare", "convert a dataset's original files to shards; can be stopped and resumed"),
    "encode": ("nvlm.cli.data_encode", "store features of the frozen vision encoder, once for all stages and models"),
    "inspect": ("nvlm.cli.data_inspect", "write samples as the model sees them to one HTML page"),
    "check": ("nvlm.cli.data_check", "find training samples that are also in evaluation sets"),
}
"""Each sub-command's module and the line that `nvlm data --help` prints."""

EXAMPLE = """\
examples:
  nvlm data list --stage sft
  nvlm data prepare sroie --from SROIE2019 --out shards
  nvlm data inspect --task table receipt --count 5
  nvlm data check shards/sft/sroie --against eval/ocrbench
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's sub-commands and their arguments."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    for name, (module, help_line) in SUBCOMMANDS.items():
        description = f"{help_line[0].upper()}{help_line[1:]}."
        import_module(module).add_arguments(commands.add_parser(name, help=help_line, description=description))


def run(args: argparse.Namespace) -> int:
    """Run the sub-command."""
    code: int = import_module(SUBCOMMANDS[args.data_command][0]).run(args)
    return code
