"""Renders templates by Jinja2 with netutils on one thread, all in one environment; prints how many of them a second.

Arguments: the folders of the templates, each with `main.j2` and `variables.json`.
"""

import json
import pathlib
import posixpath
import sys
import time

from jinja2 import Environment, FileSystemLoader
from netutils.utils import jinja2_convenience_function

SECONDS = 2


class Relative(Environment):
    def join_path(self, template, parent):
        return posixpath.normpath(posixpath.join(posixpath.dirname(parent), template))


templates = []
for folder in sys.argv[1:]:
    environment = Relative(loader=FileSystemLoader(folder), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
                           auto_reload=False)
    environment.filters.update(jinja2_convenience_function())
    variables = json.loads((pathlib.Path(folder) / "variables.json").read_text())
    templates.append((environment.get_template("main.j2"), variables))
texts = [template.render(variables) for template, variables in templates]
rendered = 0
begin = time.perf_counter()
while (seconds := time.perf_counter() - begin) < SECONDS:
    for template, variables in templates:
        template.render(variables)
    rendered += len(templates)
print(json.dumps({"rate": rendered / seconds, "texts": texts}))
