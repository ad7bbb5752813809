"""Tests of the package, without Lockstep."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from typing import Any, Dict, List, Tuple

from lockstep_provider import STEPS, DeviceProvider, Done, Failed, GlobalProvider, Login, Provider, Run, describe
from lockstep_provider._protocol import Channel, serve
from lockstep_provider.testing import run_once

BEGIN: Dict[str, Any] = {
    "type": "begin",
    "protocol": 1,
    "provider": "counting",
    "element": 7,
    "execution": 3,
    "attempt": 1,
    "dry_run": True,
    "arguments": {"word": "hello"},
    "run_arguments": None,
    "device": {"hostname": "leaf1", "address": "192.0.2.1", "port": None, "platform": "eos", "groups": ["campus"]},
    "login": {"username": "u", "password": "hush", "enable_password": None},
}


def step(number: int, name: str, level: str = "DEVICE") -> Dict[str, Any]:
    return {
        "type": "step",
        "id": number,
        "number": 10,
        "step": name,
        "entity": {"level": level, "id": 5, "name": "leaf1", "device": BEGIN["device"], "item": None},
        "above": [{"entity": {"level": "NORNIR_DEVICE", "id": 5, "name": "leaf1", "device": None, "item": None}, "pre_run": 1}],
        "pre_run": None,
        "below": [],
    }


def speak(provider: type, *documents: Dict[str, Any]) -> List[Dict[str, Any]]:
    source = io.StringIO("".join(json.dumps(document) + "\n" for document in documents))
    target = io.StringIO()
    serve(provider, Channel(source, target))
    return [json.loads(line) for line in target.getvalue().splitlines()]


class Counting(DeviceProvider):
    name = "counting"
    short_description = "Counts its steps."

    def __init__(self) -> None:
        self.steps = 0

    def pre_run_on_device(self, run: Run) -> int:
        self.steps += 1
        return self.steps

    def run_on_device(self, run: Run) -> Done:
        self.steps += 1
        return Done(data=self.steps, message=f"{run.task_kwargs['word']} {run.entity.name}", facts={"steps": self.steps})


class ProviderTest(unittest.TestCase):
    def test_the_steps_that_a_class_overrides_are_described(self) -> None:
        described = describe(Counting)
        self.assertEqual(described["steps"], ["pre_run_on_device", "run_on_device"])
        self.assertEqual((described["run_on"], described["run_on_strict"]), ("DEVICE", True))
        self.assertEqual(describe(Provider)["steps"], [])
        self.assertTrue(all(hasattr(Provider, name) for name in STEPS))

    def test_one_object_runs_all_steps_of_a_unit(self) -> None:
        ready, first, second = speak(Counting, BEGIN, step(1, "pre_run_on_device"), step(2, "run_on_device"))
        self.assertEqual(ready, {"type": "ready", "protocol": 1})
        self.assertEqual((first["id"], first["data"]), (1, 1))
        self.assertEqual((second["data"], second["message"], second["facts"]), (2, "hello leaf1", {"steps": 2}))

    def test_what_a_step_raises_fails_it_and_the_next_one_runs(self) -> None:
        class Wrong(DeviceProvider):
            def run_on_nornir_device(self, run: Run) -> None:
                raise Failed("no route", "unreachable", "PARTIAL_FAILED", data={"a": {1}})

            def run_on_device(self, run: Run) -> float:
                if run.entity.level == "ITEM":
                    raise ValueError("no number")
                return float("nan")

        answers = speak(
            Wrong,
            BEGIN,
            step(1, "run_on_nornir_device"),
            step(2, "run_on_device", "ITEM"),
            step(3, "run_on_device"),
            step(4, "run_global"),
        )[1:]
        found: List[Tuple[str, str]] = [(answer["type"], answer["reason"]) for answer in answers]
        expected = [("failed", "unreachable"), ("failed", "exception"), ("failed", "exception"), ("failed", "no-step")]
        self.assertEqual(found, expected)
        self.assertIn("not JSON", answers[0]["message"])
        self.assertEqual(answers[1]["message"], "ValueError: no number")
        self.assertIn("Out of range float", answers[2]["message"])

    def test_ids_are_those_of_the_entities_above(self) -> None:
        seen: List[Any] = []

        class Seeing(DeviceProvider):
            def run_on_device(self, run: Run) -> None:
                seen.append((run.nornir_device_id, run.device_id, run.interface_id, run.device, run.login, repr(run)))

        speak(Seeing, BEGIN, step(1, "run_on_device"))
        [(nornir, device, interface, target, login, shown)] = seen
        self.assertEqual((nornir, device, interface, target.platform), (5, 5, None, "eos"))
        self.assertEqual(login, Login("u", "hush"))
        self.assertNotIn("hush", shown)

    def test_results_are_read_in_pages(self) -> None:
        class Counts(GlobalProvider):
            def run_global(self, run: Run) -> List[str]:
                return [result.name for result in run.results("DEVICE")]

        result = {"level": "DEVICE", "parent": None, "state": "SUCCESSFUL", "reason": None, "message": None, "changed": False,
                  "pre_run": None, "data": None}
        pages = [[{**result, "entity": 1, "name": "a"}, {**result, "entity": 4, "name": "b"}], [{**result, "entity": 9, "name": "c"}], []]
        answers = [{"type": "results", "results": page} for page in pages]
        sent = speak(Counts, BEGIN, step(1, "run_global", "GLOBAL"), *answers)
        self.assertEqual([document.get("after") for document in sent[1:4]], [None, 4, 9])
        self.assertEqual(sent[4]["data"], ["a", "b", "c"])

    def test_a_provider_runs_without_lockstep(self) -> None:
        answers = run_once(Counting, device="leaf7", arguments={"word": "hi"})
        self.assertEqual(answers["run_on_device"]["message"], "hi leaf7")


class ProgramTest(unittest.TestCase):
    SOURCE = textwrap.dedent(
        """
        import logging, os, subprocess
        from lockstep_provider import DeviceProvider, main

        class Loud(DeviceProvider):
            name = "loud"
            short_description = "Prints."

            def run_on_device(self, run):
                print("printed")
                subprocess.run(["echo", "started"])
                logging.getLogger("x").warning("two\\nlines")
                return subprocess.run(["cat"], capture_output=True).stdout.decode()

        main(Loud)
        """
    )

    def program(self, *arguments: str, given: str = "") -> Tuple[List[Any], str]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "loud.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.SOURCE)
            ended = subprocess.run([sys.executable, path, *arguments], input=given, capture_output=True, text=True, check=True)
        documents = [json.loads(line) for line in ended.stdout.splitlines()] if arguments == ("run",) else []
        return (documents or [ended.stdout]), ended.stderr

    def test_what_is_printed_goes_to_the_error_output(self) -> None:
        given = "".join(json.dumps(document) + "\n" for document in (BEGIN, step(1, "run_on_device")))
        documents, errors = self.program("run", given=given)
        self.assertEqual([document["type"] for document in documents], ["ready", "log", "done"])
        self.assertEqual((documents[1]["level"], documents[1]["message"]), ("warning", "two\nlines"))
        self.assertEqual(documents[2]["data"], "", "programs that are started read nothing")
        self.assertIn("printed", errors)
        self.assertIn("started", errors)

    def test_a_program_describes_and_tests_itself(self) -> None:
        ([text], _) = self.program("describe")
        self.assertEqual(json.loads(text)["name"], "loud")
        ([text], _) = self.program("test", "--device", "leaf9")
        self.assertIn("run_on_device", text)


if __name__ == "__main__":
    unittest.main()
