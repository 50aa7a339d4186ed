"""Does with a SAM template what CloudFormation does first: AWS' own translator.

Reads {"template": YAML, "translations": [{"parameters": {...}, "code": "s3://..."}]} from standard
input, and prints the translations as a JSON list. `code` stands where `sam package` puts the build.
"""

import json
import os
import sys

import yaml

# The translator asks the SDK for the region; nothing is sent there.
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, such as `!Ref`."""


def short_form(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", short_form)



def translate(source, parameters, code):
    template = yaml.load(source, Loader)
    template["Globals"]["Function"]["CodeUri"] = code
    # The policies that a function may name are not needed: ours have a role of their own.
    return Translator({}, Parser()).translate(template, parameters)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    translations = asked["translations"]
    json.dump([translate(asked["template"], one["parameters"], one["code"]) for one in translations], sys.stdout)
