"""Renders the templates of this folder again and again with Jinja2, and prints as JSON how long that took, and the digest of the text."""

import hashlib
import json
import sys
import time

from jinja2 import Environment, FileSystemLoader


def main():
    folder, variables_file, renders = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(variables_file, encoding="utf-8") as file:
        variables = json.load(file)
    environment = Environment(
        loader=FileSystemLoader(folder),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template("access.j2")
    # Loads and compiles all that it includes.
    text = template.render(**variables)
    begin = time.perf_counter()
    for _ in range(renders):
        text = template.render(**variables)
    seconds = time.perf_counter() - begin
    digest = hashlib.sha256(text.encode()).hexdigest()
    print(json.dumps({"seconds": seconds, "digest": digest}))


if __name__ == "__main__":
    main()
