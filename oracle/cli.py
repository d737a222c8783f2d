"""The command line: its verbs, its exit codes, and that a mistake is one line on stderr and no traceback.

A verb's file is imported only when the verb is used, so `oracle --help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from oracle import __version__
from oracle.errors import ConfigError, JournalSchemaError, JournalUnreadable, OracleError

OK, FOUND, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


class Verb(NamedTuple):
    """A word of the command line and what it is for."""

    name: str
    text: str

    @property
    def module(self) -> str:
        """The file of that verb."""
        return f"oracle.commands.{self.name.replace('-', '_')}"


VERBS = (
    Verb("run", "publish index, mark and funding from the configured venues"),
    Verb("demo", "the same with simulated venues and a simulated trading engine; needs no network"),
    Verb("check", "try every venue, the clock, the disk, the ports and the keys, and say what to do"),
    Verb("decode", "turn a venue's raw frames into observations, or say why they are refused"),
    Verb("record", "write down every frame that a venue and the oracle say to each other"),
    Verb("play", "serve a recording through real local sockets, at its pace or many times as fast"),
    Verb("faults", "play seven ways in which venues fail, and print how long the oracle took to notice"),
    Verb("replay", "compute a journal again and compare every byte"),
    Verb("verify", "check a journal's chain, signatures and order, and recompute it"),
    Verb("compare", "one recorded day under several methodologies: differences, states, funding paid"),
    Verb("explain", "every input, verdict and rule behind one number, and who moved it"),
    Verb("keygen", "make a signing key, or a secret for the trading engine's feed"),
    Verb("methods", "list the methodologies, their versions and their parameters"),
    Verb("check-series", "recompute a venue's published rates or marks, with the parameters of each row's time"),
    Verb("methodology", "list or show the published documents, or bind them into a book"),
    Verb("check-reports", "recompute published medians from their inputs, in exact fractions"),
    Verb("simulate-funding", "what a premium would cost under a methodology, and which limit binds"),
    Verb("config", "show the settings in force, secrets masked"),
    Verb("order", "order the running service to halt, resume, acknowledge, suspend, or to exclude a source"),
    Verb("health", "ask a running service whether its values are fresh; for container health checks"),
)

_EPILOG = """\
exit codes:
  0  done, nothing found
  1  something was found, or the service could not go on; the output says what
  2  it could not be tried: a wrong argument, setting or file
  130  interrupted

examples:
  oracle demo
  oracle run --config deploy/oracle.toml
  oracle <verb> --help        an example of every verb
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the answer is the exit code. Raises SystemExit for usage errors and --help, as argparse does."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(arguments)
    args = parser.parse_args(arguments)
    if args.verb is None:
        parser.print_help()
        return UNUSABLE
    return _guarded(args)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oracle",
        description="An index, mark-price and funding oracle for perpetual contracts that anyone can recompute.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"oracle {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    asked = next((word for word in arguments if not word.startswith("-")), "")
    for verb in VERBS:
        below = verbs.add_parser(
            verb.name,
            help=verb.text,
            description=verb.text[:1].upper() + verb.text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if verb.name == asked:
            module = import_module(verb.module)
            below.epilog = "examples:\n" + "".join(f"  {example}\n" for example in module.EXAMPLES)
            module.add_arguments(below)
            below.set_defaults(main=module.main)
    return parser


def _guarded(args: argparse.Namespace) -> int:
    try:
        return int(args.main(args))
    except (ConfigError, JournalUnreadable, JournalSchemaError) as error:
        return _say(error, UNUSABLE)
    except OracleError as error:
        return _say(error, FOUND)
    except BrokenPipeError:
        # Whoever read our output has left; Python must not complain about it once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        return _say(f"{error.filename}: {error.strerror}" if error.filename else error, UNUSABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(problem: object, code: int) -> int:
    print(f"oracle: {' '.join(str(problem).split())}", file=sys.stderr)
    return code
