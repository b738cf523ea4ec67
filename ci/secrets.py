#!/usr/bin/env python3
"""Hides random secrets behind sensitive names and counts those that survive a redactor.

usage: secrets.py [--seed N] [--count N] [--show N] [--carrier NAME]... COMMAND [ARG ...]

COMMAND reads lines on stdin and writes one redacted line for each. Every carrier gets COUNT secrets of
each alphabet. A secret survives if eight characters of it in a row are in the output. Prints the
survivors of each carrier, by alphabet. Exit code 1 if a carrier keeps 0.1 % of its secrets or more, 2 if
COMMAND fails.
"""
import argparse
import base64
import json
import random
import shlex
import string
import subprocess
import sys
from urllib.parse import quote
from xml.sax.saxutils import escape

SURVIVORS_MAX = 0.001
# So many characters in a row are a part of the secret and not a coincidence.
WINDOW = 8
LETTERS = string.ascii_letters + string.digits
PUNCTUATION = "!@#$%^&*"


def drawn(alphabet, shortest, longest):
    return lambda rng: "".join(rng.choices(alphabet, k=rng.randint(shortest, longest)))


def encoded(encode):
    return lambda rng: encode(rng.randbytes(rng.randint(15, 30))).decode()


ALPHABETS = {
    "letters": drawn(LETTERS, 16, 40),
    "punctuation": drawn(LETTERS + PUNCTUATION, 16, 40),
    "base64": encoded(base64.b64encode),
    "base64url": encoded(base64.urlsafe_b64encode),
    "hex": lambda rng: rng.randbytes(rng.randint(10, 20)).hex(),
}


def percent(secret):
    return quote(secret, safe="")


def json_text(secret):
    return json.dumps(secret)[1:-1]


def twice_json_text(secret):
    return json_text(json_text(secret))


def yaml_value(secret):
    # A plain scalar does not begin with an indicator.
    return json.dumps(secret) if secret[0] in "!@#%&*-=" else secret


# Stands for the secret in a form.
PLACE = "§"
# A carrier: its form, and how it spells a secret.
CARRIERS = {
    ".env": ("DB_PASSWORD=§", str),
    ".env, quoted": ('STRIPE_API_KEY="§"', str),
    "export": ("export CLIENT_SECRET='§'", str),
    "yaml": ("  password: §", yaml_value),
    "yaml, aligned": ("api_key:                 §", yaml_value),
    "toml": ('auth_token = "§"', str),
    "ini": ("password = §", str),
    "properties": ("spring.datasource.password=§", str),
    "json": ('{"user":"app","clientSecret":"§","n":1}', json_text),
    "json in json": ('{"arguments":"{\\"api_key\\":\\"§\\",\\"n\\":1}"}', twice_json_text),
    "json pair": ('{"env":[{"name":"SESSION_SECRET","value":"§"}]}', json_text),
    "json arguments": ('{"command":"serve","args":["--token","§","--port","80"]}', json_text),
    "kwargs": ('connect(user="app", password="§", port=5432)', str),
    "python dict": ("{'user': 'app', 'secret_key': '§'}", str),
    "declaration": ('let api_key: &str = "§";', str),
    "default": ("const token = process.env.AUTH_TOKEN || '§';", str),
    "url": ("postgres://app:§@db.example.com:5432/main", percent),
    "url, raw": ("postgres://app:§@db.example.com:5432/main", str),
    "query": ("GET https://api.example.com/v1/items?api_key=§&page=2", percent),
    "authorization": ("Authorization: Bearer §", str),
    "header": ("X-Api-Key: §", str),
    "curl": ("curl -H 'X-Auth-Token: §' https://api.example.com/v1", str),
    "option": ("serve --token § --port 80", shlex.quote),
    "connection": ("Server=db.example.com;User Id=app;Password=§;Encrypt=True;", str),
    "xml": ("<user>app</user><password>§</password>", escape),
}


def redacted(command, lines):
    text = "".join(line + "\n" for line in lines)
    done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out = done.stdout.decode().split("\n")
    if done.returncode != 0 or len(out) != len(lines) + 1:
        print(done.stderr.decode("utf-8", "replace")[-2000:], file=sys.stderr)
        print(f"secrets.py: exit code {done.returncode}, {len(lines)} lines in, {len(out) - 1} out", file=sys.stderr)
        sys.exit(2)
    return out[:-1]


def survives(secret, spelled, out):
    """Whether a part of the secret is left, as it is or as the carrier spells it."""
    return any(text[at : at + WINDOW] in out for text in {secret, spelled} for at in range(len(text) - WINDOW + 1))


def arguments():
    parser = argparse.ArgumentParser(description="counts random secrets that survive", allow_abbrev=False)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20000, help="secrets of each alphabet in each carrier")
    parser.add_argument("--show", type=int, default=2, help="survivors that are shown for each carrier")
    parser.add_argument("--carrier", action="append", choices=CARRIERS, help="only this carrier")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def main():
    options = arguments()
    rng = random.Random(options.seed)
    width = max(map(len, CARRIERS))
    print(f"{'survivors':{width}}  " + "  ".join(f"{name:>11}" for name in ALPHABETS) + "          all")
    failed, shown = [], []
    for carrier in options.carrier or CARRIERS:
        form, spell = CARRIERS[carrier]
        counts, examples = [], []
        for draw in ALPHABETS.values():
            secrets = [draw(rng) for _ in range(options.count)]
            spelled = [spell(secret) for secret in secrets]
            lines = [form.replace(PLACE, text) for text in spelled]
            outs = redacted(options.command, lines)
            left = [at for at, out in enumerate(outs) if survives(secrets[at], spelled[at], out)]
            counts.append(len(left))
            examples += [(carrier, lines[at], outs[at]) for at in left]
        shown += examples[: options.show]
        share = sum(counts) / (options.count * len(ALPHABETS))
        if share >= SURVIVORS_MAX:
            failed.append(carrier)
        print(f"{carrier:{width}}  " + "  ".join(f"{count:11}" for count in counts) + f"  {share:11.3%}")
    for carrier, line, out in shown:
        print(f"\n{carrier}\n  in  {line}\n  out {out}")
    if failed:
        print(f"secrets.py: at least {SURVIVORS_MAX:.1%} survive in: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
