#!/usr/bin/env python3
"""How much of what is labelled in a file does the redactor find, and what else does it take?

usage: score.py [--json] [--rows] [--pii FILE]... [--secrets FILE]... -- COMMAND [ARG ...]

COMMAND reads JSON lines and writes each back redacted, e.g. `target/release/llm-audit redact`.
A file of personal data holds a JSON object a line: `text` and `spans` of `kind`, `start`, `end`
(in characters). A file of secrets: `rule`, `label`, `text`, `regex`; label 0 is a look-alike, which
holds none. Either may end in `.gz`.

Which characters were redacted is read from the answer alone: outside the placeholders it is the
input. A labelled part is *full* when every letter and digit of it went, *part* when some did.
A *false* redaction touches nothing that is labelled with its kind.

Exit code 1 when a threshold at the end of the report is missed, 2 when the redactor is broken.
"""
import argparse
import collections
import gzip
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PII = {"CREDIT_CARD": "card", "EMAIL_ADDRESS": "email", "IBAN_CODE": "iban", "US_SSN": "us_ssn"}
PII_FULL_MIN = 0.995
SECRET_FULL_MIN = 0.98
LOOKALIKES_MAX = 0.01
CARD_DIGITS_MIN = 13

# The rules of the file that each kind claims. What a kind is to find elsewhere, it is to find here.
RULES = {
    "age_key": "np.age.2",
    "anthropic_key": "np.anthropic.1",
    "authorization": "np.http.1 np.http.2",
    "aws_key": "np.aws.1",
    "aws_secret": "np.aws.2 np.aws.4 np.aws.6",
    "azure_key": "np.azure.1 np.azure.2 np.azure.4",
    "credential": "np.generic.1 np.generic.2 np.generic.3 np.generic.4 np.generic.5 np.generic.6 "
    "np.generic.11 np.reactapp.2 np.gitalk.1 np.odbc.1",
    "databricks_token": "np.databricks.1",
    "digitalocean_token": "np.digitalocean.1 np.digitalocean.2 np.digitalocean.3",
    "github_token": "np.github.1 np.github.2 np.github.3 np.github.4 np.github.7",
    "gitlab_token": "np.gitlab.1 np.gitlab.2 np.gitlab.3",
    "google_key": "np.google.5",
    "google_oauth": "np.google.2 np.google.4 np.google.6",
    "grafana_token": "np.grafana.1 np.grafana.2 np.grafana.3",
    "huggingface_token": "np.huggingface.1",
    "jwt": "np.jwt.1",
    "newrelic_key": "np.newrelic.1 np.newrelic.3 np.newrelic.4 np.newrelic.5 np.newrelic.6 "
    "np.newrelic.7 np.newrelic.8 np.newrelic.9",
    "npm_token": "np.npm.1",
    "openai_key": "np.openai.1",
    "password_hash": "np.pwhash.1 np.pwhash.2 np.pwhash.3 np.pwhash.4 np.pwhash.5",
    "postman_key": "np.postman.1",
    "private_key": "np.pem.1 np.pem.2",
    "pypi_token": "np.pypi.1",
    "sendgrid_key": "np.sendgrid.1",
    "shopify_token": "np.shopify.2 np.shopify.3 np.shopify.4 np.shopify.5",
    "slack_token": "np.slack.2 np.slack.4 np.slack.5 np.slack.6",
    "stripe_key": "np.stripe.1 np.stripe.2",
    "telegram_token": "np.telegram.1",
    "twilio_key": "np.twilio.1",
    "url_credentials": "np.mongodb.1 np.postgres.1",
    "vault_token": "np.hashicorp.1 np.hashicorp.2 np.hashicorp.3 np.hashicorp.4 np.hashicorp.5 "
    "np.hashicorp.6",
    "webhook_url": "np.slack.3 np.msteams.1",
    "api_token": "np.adafruit.1 np.adobe.1 np.appsync.1 np.artifactory.1 np.atlassian.1 np.aws.5 "
    "np.bitbucket.1 np.cratesio.1 np.django.1 np.dockerhub.1 np.doppler.1 np.doppler.2 "
    "np.doppler.3 np.doppler.4 np.doppler.5 np.doppler.6 np.dropbox.1 np.dtrack.1 np.dynatrace.1 "
    "np.facebook.2 np.figma.1 np.firecrawl.1 np.groq.1 np.jina.1 np.mailchimp.1 np.mapbox.2 "
    "np.mapbox.3 np.nuget.1 np.rubygems.1 np.salesforce.1 np.segment.1 np.sourcegraph.1 "
    "np.square.1 np.square.2 np.stackhawk.1 np.tavily.1 np.teamcity.1 np.twitch.1",
}
KIND_OF = {rule: kind for kind, rules in RULES.items() for rule in rules.split()}

# Labelled 1, and no secret: it names something, and gives nobody access to it.
IDENTIFIERS = {
    "np.age.1": "a public key",
    "np.arn.1": "the name of a resource",
    "np.aws.3": "an account id",
    "np.gcs.1": "the name of a bucket",
    "np.gcs.2": "the name of a bucket",
    "np.generic.9": "a .NET setting: its name counts as found, the value is a setting of any kind",
    "np.github.5": "a client id",
    "np.google.1": "a client id",
    "np.linkedin.1": "a client id",
    "np.mapbox.1": "a public token, made to be sent to browsers",
    "np.reactapp.1": "a user name",
    "np.s3.1": "the name of a bucket",
    "np.s3.2": "the name of a bucket",
    "np.shopify.1": "a domain",
    "np.twitter.1": "a client id",
}

# Secrets without a form of their own. Some of them go by the key or the URL beside them.
NOT_CLAIMED = {
    "hex or letters that only a service's name nearby makes a secret": "np.auth0.1 np.azure.3 "
    "np.codeclimate.1 np.facebook.1 np.github.6 np.google.3 np.hashicorp.7 np.heroku.1 "
    "np.jenkins.1 np.jenkins.2 np.jwt.2 np.jwt.3 np.kagi.1 np.linkedin.2 np.mailgun.1 np.nasa.1 "
    "np.newrelic.2 np.okta.1 np.particleio.1 np.particleio.2 np.postmark.1 np.sauce.1 "
    "np.sonarqube.1 np.thingsboard.1 np.thingsboard.2 np.thingsboard.3 np.truenas.1 np.truenas.2 "
    "np.twitter.2 np.wireguard.1 np.wireguard.2",
    "a token in the path of a device's URL": "np.blynk.1 np.blynk.2 np.blynk.3 np.blynk.8 "
    "np.blynk.9",
    "two short words with a dot or blank between": "np.kubernetes.1 np.kubernetes.2",
    "an argument of a call or a command": "np.generic.7 np.generic.8 np.generic.15 np.generic.16 "
    "np.gradle.1 np.phpmailer.1 np.psexec.1 np.vmware.1 np.generic.10",
    "prose or another file's grammar": "np.generic.12 np.generic.13 np.generic.14 np.netrc.1",
    "a ticket, not a stored hash": "np.krb5.asrep.23.1",
}
REASON_NOT_CLAIMED = {rule: why for why, rules in NOT_CLAIMED.items() for rule in rules.split()}

# Which group of a row's regex is the secret, if it is not the last one that matched.
SECRET_GROUP = {"np.mongodb.1": 2, "np.postgres.1": 2, "np.azure.1": 2, "np.phpmailer.1": 3}

# Labelled 0 for their own rule alone: a true secret of another form. The text is told by the first
# 12 digits of its SHA-256.
TRUE_LOOKALIKES = {
    "c10699d9d304": "a value under a strong key",
    "7dfc4a930379": "an Azure client secret",
    "ce07595b5440": "a value under a strong key",
    "942e454b565a": "a password under its key",
    "dfddc3198bf7": "a password under its key",
    "ca9a4cbe442b": "a password under its key",
    "d091ede1a298": "a user and a password in a URL",
    "0c0847ca13a0": "a token of the old form under its key",
    "b5a0bf3cc1f4": "a user and a password in a URL",
    "c31fccd5c251": "a key under the name of a license key",
    "9c5288fce5f2": "a key under the name of a deploy key",
    "071f5759cc70": "a stream key without its prefix, under its name",
    "462ad66bca46": "a stream key cut short",
    "bf243b7f383b": "a key of another Azure service",
}

HOLDER = re.compile(r"\[REDACTED(?:_([a-z][a-z_]*[a-z]))?(?:_\d+)?(?::[0-9a-f]+)?\]")
# The characters that a match of a kind can consist of, if that tells one alignment from another.
MADE_OF = {
    "card": r"[\d\s-]+?",
    "email": r"[^\s@]+?@[^\s@]+?",
    "iban": r"[A-Za-z0-9 ]+?",
    "us_ssn": r"[\d .-]+?",
    "jwt": r"[\w.-]+?",
    "aws_key": r"[A-Z0-9]+?",
}
# What the redactor may never leave, whatever it is: kept apart from what it wrongly takes.
FLOOR_CARD = re.compile(r"\b\d{4}[\s-]?\d{4}[\s-]?\d{4}[\s-]?\d{4}\b")
MASK = re.compile(r"([^A-Za-z0-9])\1*|[#$]\{.*|<.*>?|\$\(.*")


class Broken(Exception):
    """The redactor did not answer as one."""


@dataclass
class Span:
    """A part of a text, in characters, and what it is."""

    start: int
    end: int
    kind: str

    def touches(self, other):
        return self.start < other.end and other.start < self.end


@dataclass
class Tally:
    """What became of the labelled parts of one kind."""

    full: int = 0
    part: int = 0
    missed: int = 0
    lookalikes: int = 0
    false: int = 0
    rules: set = field(default_factory=set)

    @property
    def labelled(self):
        return self.full + self.part + self.missed

    def add(self, outcome):
        setattr(self, outcome, getattr(self, outcome) + 1)

    def row(self):
        return [self.labelled, self.full, self.part, self.missed, self.lookalikes, self.false]


def read(path):
    """The objects of a file of JSON lines."""
    opened = gzip.open(path, "rt") if str(path).endswith(".gz") else open(path, encoding="utf-8")
    with opened as lines:
        return [json.loads(line) for line in lines if line.strip()]


def redacted_parts(given, got):
    """The parts of `given` for which placeholders stand in `got`, or None where more changed."""
    pieces, kinds, at = [], [], 0
    for holder in HOLDER.finditer(got):
        # What was a placeholder before is text.
        if given.count(holder.group()) >= got.count(holder.group()):
            continue
        pieces.append(got[at : holder.start()])
        kinds.append(holder.group(1) or "key")
        at = holder.end()
    pieces.append(got[at:])
    for exact in (True, False):
        pattern = re.escape(pieces[0])
        for kind, piece in zip(kinds, pieces[1:]):
            made_of = MADE_OF.get(kind, ".+?") if exact else ".+?"
            pattern += f"({made_of}){re.escape(piece)}"
        found = re.fullmatch(pattern, given, re.S)
        if found:
            return [Span(*found.span(i + 1), kind) for i, kind in enumerate(kinds)]
    return None


def command(argv):
    """A redactor out of a command that filters JSON lines: texts to lists of spans."""

    def redact(texts):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        ran = subprocess.run(argv, input=lines.encode(), stdout=subprocess.PIPE)
        answers = ran.stdout.decode().splitlines()
        if ran.returncode != 0 or len(answers) != len(texts):
            raise Broken(f"exit code {ran.returncode}, {len(answers)} lines of {len(texts)}")
        spans = []
        for text, answer in zip(texts, answers):
            got = json.loads(answer)["text"]
            parts = redacted_parts(text, got)
            if parts is None:
                raise Broken(f"changed outside of placeholders:\n  {text!r}\n  {got!r}")
            spans.append(parts)
        return spans

    return redact


def outcome(text, wanted, spans):
    """Whether all, some or none of the letters and digits of a part went."""
    places = [i for i in range(wanted.start, wanted.end) if text[i].isalnum()]
    gone = sum(any(span.start <= i < span.end for span in spans) for i in places)
    return "missed" if gone == 0 else "full" if gone == len(places) else "part"


def score_pii(rows, redact):
    """Tallies by kind, and a list of what is worth a look."""
    tallies = {kind: Tally() for kind in [*PII.values(), "short card", "other"]}
    notes = []
    for row, spans in zip(rows, redact([row["text"] for row in rows])):
        text = row["text"]
        labelled = [Span(s["start"], s["end"], PII[s["kind"]]) for s in row["spans"] if s["kind"] in PII]
        for wanted in labelled:
            value, kind = text[wanted.start : wanted.end], wanted.kind
            if kind == "card" and sum(c.isdigit() for c in value) < CARD_DIGITS_MIN:
                kind = "short card"
            result = outcome(text, wanted, spans)
            tallies[kind].add(result)
            if result != "full":
                notes.append((result, kind, value))
        for span in spans:
            if not any(span.touches(wanted) for wanted in labelled):
                kind = span.kind if span.kind in tallies else "other"
                tallies[kind].add("false")
                notes.append(("false", span.kind, text[span.start : span.end]))
    return tallies, notes


def compiled(regex, known={}):
    """A row's regex; its flags go to the front, where Python wants them."""
    if regex not in known:
        flags = "".join(sorted(set("".join(re.findall(r"\(\?([aimsx]+)\)", regex)))))
        bare = re.sub(r"\(\?[aimsx]+\)", "", regex)
        known[regex] = re.compile(f"(?{flags})" + bare if flags else bare)
    return known[regex]


def secret_in(row):
    """The part of a row that is the secret: a group of its regex, without quotes around it."""
    text = row["text"]
    found = compiled(row["regex"]).search(text)
    if found is None:
        return Span(0, len(text), "")
    groups = [i for i in range(1, found.re.groups + 1) if found.group(i)]
    group = SECRET_GROUP.get(row["rule"]) or (groups[-1] if groups else 0)
    start, end = found.span(group)
    while start < end and text[start] in "\"'`\\ \n":
        start += 1
    while start < end and text[end - 1] in "\"'`\\ \n":
        end -= 1
    return Span(start, end, KIND_OF.get(row["rule"], ""))


def explained(row, span, regexes):
    """Whether what went from a look-alike is a secret of another form, or a card of the floor."""
    text = row["text"]
    if span.kind == "card" and FLOOR_CARD.search(text):
        return True
    return any(
        Span(*found.span(), "").touches(span)
        for rule, regex in regexes
        if rule != row["rule"] and rule not in IDENTIFIERS
        for found in compiled(regex).finditer(text)
    )


def score_secrets(rows, redact):
    """Tallies by kind, tallies of the rules that no kind claims, and what is worth a look."""
    claimed = {kind: Tally() for kind in RULES}
    unclaimed = collections.defaultdict(Tally)
    notes = []
    regexes = sorted({(row["rule"], row["regex"]) for row in rows if row["label"] == 1})
    for row, spans in zip(rows, redact([row["text"] for row in rows])):
        text, rule = row["text"], row["rule"]
        tally = claimed[KIND_OF[rule]] if rule in KIND_OF else unclaimed[rule]
        tally.rules.add(rule)
        if row["label"] == 1:
            wanted = secret_in(row)
            value = text[wanted.start : wanted.end]
            if MASK.fullmatch(value):
                notes.append(("no secret", rule, value))
                continue
            result = outcome(text, wanted, spans)
            tally.add(result)
            if result != "full" and rule in KIND_OF:
                notes.append((result, rule, text if len(text) < 120 else value))
        else:
            tally.lookalikes += 1
            wrong = [span for span in spans if not explained(row, span, regexes)]
            why = TRUE_LOOKALIKES.get(hashlib.sha256(text.encode()).hexdigest()[:12])
            if wrong and why:
                notes.append(("secret", rule, f"{wrong[0].kind}: {why}"))
                wrong = []
            tally.false += bool(wrong)
            if wrong and rule in KIND_OF:
                span = wrong[0]
                notes.append(("false", rule, f"{span.kind}: {text[span.start : span.end]}"))
            elif spans and rule in KIND_OF:
                notes.append(("explained", rule, text[spans[0].start : spans[0].end]))
    return claimed, dict(unclaimed), notes


def total(tallies):
    """The sum of some tallies."""
    whole = Tally()
    for tally in tallies:
        for name in ("full", "part", "missed", "lookalikes", "false"):
            setattr(whole, name, getattr(whole, name) + getattr(tally, name))
    return whole


def verdicts_pii(tallies):
    """(what, whether it holds) of each kind that the file has."""
    for kind in PII.values():
        tally = tallies[kind]
        if tally.labelled:
            share = tally.full / tally.labelled
            yield f"{kind}: {share:.1%} full, at least {PII_FULL_MIN:.1%}", share >= PII_FULL_MIN
            yield f"{kind}: {tally.part} in part, none", tally.part == 0


def verdicts_secrets(claimed):
    """(what, whether it holds) of the kinds together, secrets and look-alikes."""
    whole = total(claimed.values())
    if whole.labelled:
        share = whole.full / whole.labelled
        yield f"secrets: {share:.1%} full, at least {SECRET_FULL_MIN:.0%}", share >= SECRET_FULL_MIN
    if whole.lookalikes:
        share = whole.false / whole.lookalikes
        yield f"look-alikes: {share:.1%} redacted, at most {LOOKALIKES_MAX:.0%}", share <= LOOKALIKES_MAX


COLUMNS = ["labelled", "full", "part", "missed", "look-alikes", "false"]


def print_table(title, tallies, tail=lambda name: ""):
    print(f"\n{title}")
    print(f"  {'':<20}" + "".join(f"{column:>12}" for column in COLUMNS))
    for name, tally in tallies.items():
        print(f"  {name:<20}" + "".join(f"{n:>12}" for n in tally.row()) + tail(name))


def print_notes(notes, every):
    """What went wrong, at most some of each sort unless every one is asked for."""
    shown = collections.Counter()
    for sort, where, what in sorted(notes):
        shown[sort] += 1
        if every or shown[sort] <= 12 and sort != "explained" or sort == "secret":
            print(f"  {sort:<10} {where:<20} {what[:110]!r}")
    if not every and notes:
        print(f"  ({len(notes)} rows to look at in all; --rows shows each)")


def report_pii(path, rows, redact, options):
    tallies, notes = score_pii(rows, redact)
    if not options.json:
        print_table(f"{path}: {len(rows)} texts", tallies)
        print("  (short card: labelled a card with fewer than 13 digits, which no card has)")
        print_notes(notes, options.rows)
    return tallies, list(verdicts_pii(tallies)), {}


def report_secrets(path, rows, redact, options):
    claimed, unclaimed, notes = score_secrets(rows, redact)
    seen = {kind: tally for kind, tally in claimed.items() if tally.rules}
    if not options.json:
        print_table(
            f"{path}: {len(rows)} texts",
            {**seen, "all claimed": total(seen.values())},
            lambda kind: "  " + " ".join(sorted(seen[kind].rules)) if kind in seen else "",
        )
        print_table(
            "rules that no kind claims (no threshold)",
            dict(sorted(unclaimed.items())),
            lambda rule: "  " + (IDENTIFIERS.get(rule) or REASON_NOT_CLAIMED.get(rule, "unknown to this script")),
        )
        secrets = [t for rule, t in unclaimed.items() if rule not in IDENTIFIERS]
        whole = total([*seen.values(), *secrets])
        print(f"  every secret, claimed or not: {whole.full} of {whole.labelled} full")
        print_notes(notes, options.rows)
    return seen, list(verdicts_secrets(seen)), unclaimed


def arguments():
    parser = argparse.ArgumentParser(description="scores a redactor", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--rows", action="store_true", help="show every row worth a look")
    parser.add_argument("--pii", action="append", default=[], type=Path)
    parser.add_argument("--secrets", action="append", default=[], type=Path)
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main():
    options = arguments()
    redact, verdicts, whole = command(options.command), [], {}
    for paths, report in ((options.pii, report_pii), (options.secrets, report_secrets)):
        for path in paths:
            try:
                tallies, more, unclaimed = report(path, read(path), redact, options)
            except Broken as broken:
                print(f"score: the redactor is broken: {broken}", file=sys.stderr)
                sys.exit(2)
            verdicts += [(f"{path}: {what}", holds) for what, holds in more]
            rows = {name: dict(zip(COLUMNS, tally.row())) for name, tally in tallies.items()}
            for name, tally in unclaimed.items():
                rows[f"unclaimed {name}"] = dict(zip(COLUMNS, tally.row()))
            whole[str(path)] = rows
    if options.json:
        print(json.dumps({"files": whole, "verdicts": dict(verdicts)}, indent=1))
    else:
        print()
        for what, holds in verdicts:
            print(f"{'ok    ' if holds else 'MISSED'}  {what}")
    sys.exit(0 if all(holds for _, holds in verdicts) else 1)


if __name__ == "__main__":
    main()
