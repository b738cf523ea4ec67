#!/usr/bin/env python3
"""Other finders of personal data and secrets, each as a filter like `llm-audit redact`.

usage: rivals.py presidio|detect-secrets|detect-secrets-files|floor

Reads JSON lines and writes each back with every part that was found replaced by `[REDACTED_kind]`,
so that `ci/score.py` scores a rival as it scores the command. None of them reads JSON: each gets
the text of a string, decoded.
"""
import json
import os
import re
import sys
import tempfile

# What ci/score.py calls the kinds that Presidio and the floor rules know too.
PRESIDIO_KINDS = {
    "CREDIT_CARD": "card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "US_SSN": "us_ssn",
}

FLOOR = {
    "email": r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}",
    "card": r"\b\d{4}[\s-]?\d{4}[\s-]?\d{4}[\s-]?\d{4}\b",
    "jwt": r"eyJ[a-zA-Z0-9_-]+\.eyJ[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+",
    "aws_key": r"AKIA[0-9A-Z]{16}",
}


def floor():
    """The rules below which nothing may fall, by `re` alone."""
    rules = [(kind, re.compile(rule)) for kind, rule in FLOOR.items()]

    def find(text):
        return [(*found.span(), kind) for kind, rule in rules for found in rule.finditer(text)]

    return find


def presidio():
    """Microsoft Presidio: its analyzer as it comes, but for the language model.

    Every recognizer that is enabled by default for English, and the default threshold of 0: weak
    patterns count too. Without a model there are no names and places, and words nearby do not raise
    a score, which at a threshold of 0 decides nothing.
    """
    # E-mail addresses are checked against the list of suffixes in its package, not a fetched one.
    # It is kept in the virtual environment, not in the user's home.
    os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""
    os.environ["TLDEXTRACT_CACHE"] = os.path.join(sys.prefix, "tldextract")
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    nothing = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}])
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=nothing)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=nothing)

    def find(text):
        results = analyzer.analyze(text=text, language="en")
        # If two overlap, the surer one names the part.
        results.sort(key=lambda result: -result.score)
        return [
            (result.start, result.end, PRESIDIO_KINDS.get(result.entity_type, result.entity_type))
            for result in results
        ]

    return find


def configure_detect_secrets():
    """Every plugin and filter of detect-secrets' default settings.

    It is what its `default_settings` sets for a block, for as long as the process runs. The filter
    that verifies what was found over the network is not among them.
    """
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.settings import get_settings

    plugins = get_mapping_from_secret_type_to_class().values()
    get_settings().configure_plugins([{"name": plugin.__name__} for plugin in plugins])


def places(lines, found):
    """The parts of a text for (index of a line, secret).

    detect-secrets tells a value and its line, not the place: it goes wherever the line has it. The
    value of some is not the whole: words of the first line of a private key, the `ghp` of a token.
    """
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    parts = []
    for i, secret in found:
        told = secret.secret_value
        if told not in lines[i]:
            # If it reads a file as settings, it puts a backslash before each quote.
            told = told.rstrip("\\")
        for match in re.finditer(re.escape(told), lines[i]):
            parts.append((starts[i] + match.start(), starts[i] + match.end(), secret.type))
    return parts


def detect_secrets():
    """detect-secrets on each line of a text, as `detect-secrets scan --string` does it.

    That is its way for a text that is no file: strings of high entropy need no quotes there.
    """
    from detect_secrets.core.plugins.initialize import from_secret_type
    from detect_secrets.core.scan import scan_line

    configure_detect_secrets()

    def found(lines):
        for i, line in enumerate(lines):
            for secret in scan_line(line):
                # Strings of low entropy come too; `--string` says `False` to them.
                if from_secret_type(secret.type).format_scan_result(secret).startswith("True"):
                    yield i, secret

    def find(text):
        lines = text.split("\n")
        return places(lines, found(lines))

    return find


def detect_secrets_files():
    """detect-secrets on each text as a file, as `detect-secrets scan FILE` does it.

    Less is found than in a string, and less taken wrongly. The file has a name without an extension,
    as nothing tells of what sort a text is.
    """
    from detect_secrets.core.scan import scan_file

    configure_detect_secrets()
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "text")

    def find(text):
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        lines = text.split("\n")
        return places(lines, [(secret.line_number - 1, secret) for secret in scan_file(path)])

    # Gone with the process, and not before the last text.
    find.folder = folder
    return find


RIVALS = {
    "presidio": presidio,
    "detect-secrets": detect_secrets,
    "detect-secrets-files": detect_secrets_files,
    "floor": floor,
}


def holder(kind):
    """The placeholder of a kind, spelled as ci/score.py reads it."""
    return f"[REDACTED_{re.sub('[^a-z]+', '_', kind.lower()).strip('_')}]"


def merged(parts):
    """The parts in order; those that overlap as one, which has the kind of the one named first."""
    whole = []
    for rank, (start, end, kind) in sorted(enumerate(parts), key=lambda part: part[1][:2]):
        if whole and start < whole[-1][1]:
            last = whole[-1]
            first = min((last[2], last[3]), (rank, kind))
            whole[-1] = (last[0], max(last[1], end), *first)
        elif end > start:
            whole.append((start, end, rank, kind))
    return [(start, end, kind) for start, end, _, kind in whole]


def redacted(text, find):
    """A text with placeholders for what was found."""
    pieces, at = [], 0
    for start, end, kind in merged(find(text)):
        pieces += [text[at:start], holder(kind)]
        at = end
    return "".join(pieces) + text[at:]


def value(given, find):
    """A value of JSON with its strings redacted; keys stay."""
    if isinstance(given, str):
        return redacted(given, find)
    if isinstance(given, list):
        return [value(item, find) for item in given]
    if isinstance(given, dict):
        return {key: value(item, find) for key, item in given.items()}
    return given


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RIVALS:
        sys.exit(f"usage: rivals.py {'|'.join(RIVALS)}")
    find = RIVALS[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(value(json.loads(line), find)))


if __name__ == "__main__":
    main()
