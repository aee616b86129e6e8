"""Checks JSON from standard input against a schema of an OpenAPI document: answers.py DOCUMENT SCHEMA"""

import json
import sys

import jsonschema

document, schema = sys.argv[1:]
with open(document) as file:
    whole = json.load(file)
whole["$ref"] = f"#/components/schemas/{schema}"
checker = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
faults = [f"{fault.json_path}: {fault.message}" for fault in checker.iter_errors(json.load(sys.stdin))]
sys.exit("\n".join(faults) or None)
