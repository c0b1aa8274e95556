"""Renders chat templates as transformers does, for a comparison with osai.

    pip install jinja2==3.1.6
    python tests/tools/chat_templates.py FOLDER > expected.json
    cargo run --release --manifest-path tests/tools/vocabulary_vectors/Cargo.toml --bin chat-templates -- FOLDER expected.json

FOLDER holds templates (`*.jinja`), for instance `models/templates` in llama.cpp's source. They are not part of osai.
The environment is that of `transformers.utils.chat_template_utils`, written anew from its documentation.
"""

import json
import pathlib
import sys
from datetime import datetime

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime(2026, 3, 4, 5, 6, 7)
CONVERSATIONS = {
    "system": [("system", "Be brief."), ("user", "Hi, what is 2 < 3 & \"why\"?"), ("assistant", "It is true."), ("user", " And\n3 > 2? ")],
    "no system": [("user", "Grüße, 日本語 👩🏽‍🔬!"), ("assistant", "Hello there\n\nfriend"), ("user", "Bye")],
    "thought": [("user", "1+1"), ("assistant", "<think>\nOne and one.\n</think>\n\nTwo."), ("user", "2+2")],
    "one turn": [("user", "Hi")],
    "empty": [("system", ""), ("user", "")],
}


class Generation(Extension):
    """`{% generation %}`, which marks what is trained on."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_inner"), [], [], body).set_lineno(line)

    def _inner(self, caller):
        return caller()


def refuse(why):
    raise TemplateError(why)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = refuse
environment.globals["strftime_now"] = NOW.strftime

expected = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jinja")):
    for name, turns in CONVERSATIONS.items():
        messages = [{"role": role, "content": content} for role, content in turns]
        case = {"template": path.name, "conversation": name, "messages": messages}
        try:
            case["text"] = environment.from_string(path.read_text()).render(
                messages=messages, tools=None, documents=None, add_generation_prompt=True, bos_token="<s>", eos_token="</s>"
            )
        except Exception as error:  # whatever a template does wrong is its result
            case["error"] = f"{type(error).__name__}: {error}"
        expected.append(case)
json.dump({"now": NOW.isoformat(), "cases": expected}, sys.stdout, ensure_ascii=False, indent=1)
