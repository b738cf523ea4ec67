"""Counts words, "if", banned phrases and sentence lengths. `ci/prose.sh` describes the options."""

import os
import re
import signal
import statistics
import subprocess
import sys
from collections import defaultdict

# Limits of the whole project. Rates are per 10,000 words.
IF_MIN = 50
BANNED_MAX = 2
MEDIAN_MAX = 15
NINETIETH_MAX = 26
README_LINES_MAX = 200
# A sentence that `--list` prints, and that the column "long" counts.
SENTENCE_MAX = 25

# Comparatives are ordinary English after "is no": longer, more than, slower.
COMPARATIVE = r"(?!longer\b|more\b|less\b|fewer\b|better\b|worse\b|\w+er\b)"

# Phrases that a reader has to translate, and what to write instead.
BANNED = {
    "behind": (r"\bbehind\b", "after"),
    "stands": (r"\b(?:stands?|stood)\b(?!-)", "is, contains"),
    "lies": (r"\b(?:lies|lay|lain)\b", "is"),
    "tells of": (r"\b(?:tells?|told|telling|says?|said|saying) of\b", "reports, counts, says that"),
    "goes on with": (r"\b(?:go|goes|going|gone|went) on with\b", "continues"),
    "is no X": (
        rf"(?<!\bthere )\b(?:is|are|was|were|be) (?:no {COMPARATIVE}\w|none\b(?! of\b))",
        "is not a",
    ),
    "but for": (r"\bbut for\b", "except"),
    "for ever": (r"\bfor ever\b", "forever, without limit"),
    "by itself": (r"\bby (?:him|her|it|them)sel(?:f|ves)\b", "alone; name the actor"),
    "in case": (r"\bin case\b", "if"),
    "as ever": (r"\bas ever\b", "as before"),
    "in front of": (r"\bin front of\b", "before"),
}

# "where" is judged by what surrounds it. It is counted as "if" unless one of these holds:
#   - a noun of place is directly before it: "the folder where files are written";
#   - a verb or preposition that asks for a place is before it: "shows where", "from where";
#   - "to" and a verb, or a mark, are after it: "where to find what", "where?";
#   - it opens a sentence that contains no comma, so that no main clause can follow it;
#   - code and a comma are before it: "`src/writer/fs/mod.rs`, where tests inject faults".
WHERE = re.compile(r"\bwhere\b", re.I)
WHERE_PLACE_BEFORE = re.compile(
    r"(?:\b(?:address|area|block|boundary|bucket|byte|case|column|crate|directory|disk|document|end"
    r"|example|field|file|folder|here|home|index|layer|level|line|list|location|lock|loop|machine|member"
    r"|memory|module|name|object|offset|one|page|part|path|place|point|position|program|record|register"
    r"|room|row|section|side|site|slot|spot|start|state|step|system|table|text|there|thread|tree|value"
    r"|version|word|world)s?"
    r"|\b(?:about|and|asks?|at|choose|chooses|decides?|defines?|describes?|determines?|exactly|finds?"
    r"|for|found|from|how|is|knows?|known|learns?|looks?|marks?|names?|near|of|on|prints?|records?"
    r"|remembers?|reports?|says?|sees?|shows?|shown|that's|to|wonders?|what)"
    r"|\bCODE,)\s*$",
    re.I,
)
WHERE_PLACE_AFTER = re.compile(r"^\s*(?:to\b|$|[?,;.)])", re.I)

# How the first line of a file must not open: listed, without a limit.
QUESTION = re.compile(r"^\W*(?:what|where|how|who|whose|which|when|why)\b|\?$", re.I)
# Words after which a full stop does not end a sentence.
ABBREVIATIONS = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|no|St)\.$", re.I)
SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9_/@$-])")
WORD = re.compile(r"[^\s]*[^\W_][^\s]*")

RUST_TOKEN = re.compile(
    r"""
    (?P<line>//[^\n]*)
  | (?P<block>/\*.*?\*/)
  | b?r(?P<hashes>\#*)".*?"(?P=hashes)
  | b?"(?:\\.|[^"\\])*"
  | b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\\n])'
    """,
    re.X | re.S,
)
SKIPPED = ("CHANGELOG.md",)
SKIPPED_FOLDERS = ("testdata/",)


def files(paths):
    """Tracked and new files below `paths` that contain prose of ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    chosen = []
    for path in sorted(set(listed)):
        name = os.path.basename(path)
        if name in SKIPPED or path.startswith(SKIPPED_FOLDERS) or not os.path.isfile(path):
            continue
        of_ci = path.startswith((".ci/", "ci/")) and (name.endswith((".sh", ".py")) or "." not in name)
        if name.endswith((".md", ".rs")) or of_ci:
            chosen.append(path)
    return chosen


def passages(path):
    """Lists of (line number, text): each list is Markdown without gaps."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".md"):
        return [list(enumerate(text.splitlines(), 1))]
    if path.endswith(".rs"):
        return rust_comments(text)
    return hash_comments(text)


def rust_comments(text):
    """Runs of comments of one kind on consecutive lines. Strings are skipped."""
    runs, last = [], None
    for token in RUST_TOKEN.finditer(text):
        if token["block"]:
            first = text.count("\n", 0, token.start()) + 1
            body = token["block"].strip("/").strip("*").splitlines()
            runs.append([(first + n, line.strip().lstrip("*")) for n, line in enumerate(body)])
            last = None
        elif token["line"]:
            number = text.count("\n", 0, token.start()) + 1
            marker = re.match(r"//[/!]?", token["line"]).group()
            begin = text.rfind("\n", 0, token.start()) + 1
            alone = not text[begin:token.start()].strip()
            entry = (number, token["line"][len(marker):])
            if alone and last == (number - 1, marker):
                runs[-1].append(entry)
            else:
                runs.append([entry])
            last = (number, marker) if alone else None
    return runs


def hash_comments(text):
    """Runs of lines that begin with `#`."""
    runs, last = [], None
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*#(?!!)(.*)", line)
        if found:
            if last != number - 1:
                runs.append([])
            runs[-1].append((number, found.group(1)))
            last = number
    return runs


def blocks(passage):
    """Splits Markdown into paragraphs, list items, table cells and headings: (kind, lines)."""
    current, fence, indent = [], None, None

    def flush():
        nonlocal current
        done, current = current, []
        return [("text", done)] if done else []

    hidden = False
    for number, line in passage:
        bare = line.strip()
        mark = re.match(r"(```+|~~~+)", bare)
        if fence:
            if mark and bare.startswith(fence) and not bare.strip(fence[0]):
                fence = None
            continue
        if mark:
            fence = mark.group(1)
            yield from flush()
            continue
        if hidden or bare.startswith("<!--"):
            hidden = "-->" not in bare
            yield from flush()
            continue
        if not bare or re.search(r"[\u2500-\u259f]|-->|^\[[^\]]+\]: ", bare):
            yield from flush()
        elif bare.startswith("#"):
            yield from flush()
            yield "heading", [(number, bare.lstrip("# "))]
        elif bare.startswith("|"):
            yield from flush()
            if not re.fullmatch(r"[|\s:-]+", bare):
                for cell in re.split(r"(?<!\\)\|", bare.strip("|")):
                    yield "text", [(number, cell.strip())]
        else:
            item = re.match(r"(?:[-*+]|\d+[.)])\s+", bare)
            if item:
                yield from flush()
                bare = bare[item.end():]
            current.append((number, bare.lstrip("> ")))
    yield from flush()


def plain(text):
    """Markdown to words: code becomes the word CODE, a link its text."""
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "CODE", text, flags=re.S)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]+)\]\[[^\]]*\]", r"\1", text)
    text = re.sub(r"\[(CODE)\]", r"\1", text)
    text = re.sub(r"<?https?://\S+", "URL", text)
    text = re.sub(r"</?[a-z][^>]*>", "", text)
    return re.sub(r"\*\*|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)", "", text)


def sentences(text):
    """(offset, sentence) for each sentence of a paragraph."""
    begin = 0
    for end in SENTENCE_END.finditer(text):
        if ABBREVIATIONS.search(text[begin:end.start() + 1]):
            continue
        yield begin, text[begin:end.end()].strip()
        begin = end.end()
    if text[begin:].strip():
        yield begin, text[begin:].strip()


def conditions(sentence):
    """Each "where" of a sentence that means "if"."""
    for found in WHERE.finditer(sentence):
        before, after = sentence[:found.start()], sentence[found.end():]
        if not re.search(r"\w", before):
            if "," in after:
                yield found
        elif not WHERE_PLACE_BEFORE.search(before) and not WHERE_PLACE_AFTER.match(after):
            yield found


class Counts:
    """What is counted of one folder, or of everything."""

    def __init__(self):
        self.words = self.ifs = 0
        self.banned = defaultdict(int)
        self.lengths = []

    def rate(self, count):
        return 10_000 * count / self.words if self.words else 0.0

    def median(self):
        return statistics.median(self.lengths) if self.lengths else 0

    def ninetieth(self):
        ordered = sorted(self.lengths)
        return ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))] if ordered else 0

    def long(self):
        return sum(length > SENTENCE_MAX for length in self.lengths)


def count(path, tallies, complain):
    """Adds one file to every tally, and gives each offending sentence to `complain`."""
    for passage in passages(path):
        for kind, lines in blocks(passage):
            text = plain("\n".join(line for _, line in lines))
            first = lines[0][0]
            for offset, sentence in sentences(text):
                line = first + text.count("\n", 0, offset)
                sentence = re.sub(r"\s+", " ", sentence)
                if path.endswith(".rs") and line == 1 and offset == 0 and QUESTION.search(sentence):
                    complain(path, line, "open with a noun phrase or a verb", sentence)
                measure(sentence, kind, tallies, lambda why: complain(path, line, why, sentence))


def measure(sentence, kind, tallies, complain):
    length = len(WORD.findall(sentence))
    ifs = len(re.findall(r"\bif\b", sentence, re.I))
    hits = {name: len(re.findall(pattern, sentence, re.I)) for name, (pattern, _) in BANNED.items()}
    hits["where"] = len(list(conditions(sentence)))
    for tally in tallies:
        tally.words += length
        tally.ifs += ifs
        for name, times in hits.items():
            tally.banned[name] += times
        # Headings and scraps of one or two words are not sentences.
        if kind == "text" and length > 2:
            tally.lengths.append(length)
    for name, times in hits.items():
        if times:
            instead = BANNED[name][1] if name in BANNED else "if, when, unless"
            complain(f"{name}: write {instead}")
    if kind == "text" and length > SENTENCE_MAX:
        complain(f"{length} words")
    if kind == "text" and sentence.rstrip(":").count(": ") > 1:
        complain("two colons")


def folder(path):
    """The row of the table that a file belongs to: at most three folders deep below a crate's `src`."""
    parts = os.path.dirname(path).split("/")
    depth = 4 if parts[0] == "crates" else 2
    return "/".join(parts[:depth]) or "."


def judge(total, readme_lines):
    """(name, figure, limit, met) of each limit."""
    verdicts = [('"if" per 10,000 words', total.rate(total.ifs), f"at least {IF_MIN}", total.rate(total.ifs) >= IF_MIN)]
    for name in [*BANNED, "where"]:
        rate = total.rate(total.banned[name])
        label = f'"{name}" for if' if name == "where" else f'"{name}"'
        verdicts.append((f"{label} per 10,000 words", rate, f"at most {BANNED_MAX}", rate <= BANNED_MAX))
    verdicts.append(("median sentence, words", total.median(), f"at most {MEDIAN_MAX}", total.median() <= MEDIAN_MAX))
    ninetieth = total.ninetieth()
    verdicts.append(("90th percentile, words", ninetieth, f"at most {NINETIETH_MAX}", ninetieth <= NINETIETH_MAX))
    if readme_lines is not None:
        verdicts.append(("lines of README.md", readme_lines, f"at most {README_LINES_MAX}", readme_lines <= README_LINES_MAX))
    return verdicts


def main(arguments):
    listed = "--list" in arguments
    paths = [argument for argument in arguments if argument != "--list"]
    wrong = [argument for argument in paths if argument.startswith("-")]
    if wrong:
        sys.exit(f"prose: unknown option {wrong[0]}; accepted: --list")
    chosen = files(paths)
    if not chosen:
        sys.exit(f"prose: no prose in {' '.join(paths) or 'the project'}")

    def complain(path, line, why, sentence):
        if listed:
            print(f"{path}:{line}: {why}\n    {sentence}")

    total, rows = Counts(), defaultdict(Counts)
    for path in chosen:
        count(path, (total, rows[folder(path)]), complain)

    width = max(len(name) for name in [*rows, "folder"])
    print(f"{'folder':<{width}}   words  if/10k  banned  banned/10k  median  90th  long")
    for name, row in [*sorted(rows.items()), ("total", total)]:
        banned = sum(row.banned.values())
        print(
            f"{name:<{width}} {row.words:7} {row.rate(row.ifs):7.0f} {banned:7} {row.rate(banned):11.1f}"
            f" {row.median():7.0f} {row.ninetieth():5} {row.long():5}"
        )
    readme = None
    if not paths or "README.md" in paths:
        with open("README.md", encoding="utf-8") as file:
            readme = len(file.readlines())
    print()
    verdicts = judge(total, readme)
    for name, figure, limit, met in verdicts:
        print(f"{name:<36} {figure:7.1f}   {limit:<12} {'ok' if met else 'MISSED'}")
    missed = sum(not met for *_, met in verdicts)
    print(f"prose: {'ok' if not missed else f'{missed} limits missed'}")
    return 1 if missed and not paths else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
