"""The command line of a program that is a provider."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from typing import List, NoReturn, Optional, Type

from ._protocol import Channel, LogHandler, serve
from ._provider import Provider, describe


def main(provider: Type[Provider], arguments: Optional[List[str]] = None) -> NoReturn:
    """Runs a program that is this provider: `describe`, `run`, or `test`. Does not return."""
    parser = argparse.ArgumentParser(description=provider.short_description)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("describe", help="print the description for Lockstep")
    commands.add_parser("run", help="run the steps that a worker sends")
    test = commands.add_parser("test", help="run the steps on one device, without Lockstep")
    test.add_argument("--device", default="leaf1", help="hostname of the device")
    test.add_argument("--address", help="where it is reached; its hostname if left out")
    test.add_argument("--platform", help="its platform, such as eos")
    test.add_argument("--username", help="user to log in as; the password is read from PROVIDER_TEST_PASSWORD")
    test.add_argument("--arguments", type=json.loads, default={}, help="arguments of the task, as JSON")
    test.add_argument("--run-arguments", type=json.loads, default={}, help="arguments of the run, as JSON")
    test.add_argument("--apply", action="store_true", help="change something; a dry run if left out")
    given = parser.parse_args(arguments)
    if given.command == "describe":
        print(json.dumps(describe(provider), indent=2))
    elif given.command == "run":
        _run(provider)
    else:
        _test(provider, given)
    sys.exit(0)


def _run(provider: Type[Provider]) -> None:
    # Nothing but documents may come to the standard output, whoever writes: what is printed goes to the error output.
    target = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    source = os.fdopen(os.dup(0), "r", encoding="utf-8")
    # Programs that are started must not read what the worker says.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    channel = Channel(source, target)
    logging.basicConfig(level=logging.INFO, handlers=[LogHandler(channel)], format="%(message)s")
    serve(provider, channel)


def _test(provider: Type[Provider], given: argparse.Namespace) -> None:
    from .testing import run_once

    results = run_once(
        provider,
        device=given.device,
        address=given.address,
        platform=given.platform,
        username=given.username,
        password=os.environ.get("PROVIDER_TEST_PASSWORD"),
        arguments=given.arguments,
        run_arguments=given.run_arguments,
        dry_run=not given.apply,
    )
    print(json.dumps(results, indent=2))
    if any(result["type"] == "failed" for result in results.values()):
        sys.exit(1)
