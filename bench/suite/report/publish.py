"""Puts the tables between the markers of README.md and docs/PERFORMANCE.md."""
from . import markdown


BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def replace(path, text, begin=BEGIN, end=END):
    """Whatever stands between the markers becomes `text`; True when that changed the file."""
    before = path.read_text()
    if before.count(begin) != 1 or before.count(end) != 1 or \
            before.index(begin) > before.index(end):
        raise ValueError(f"{path}: needs one {begin} and, after it, one {end}")
    head, rest = before.split(begin)
    after = f"{head}{begin}\n\n{text.strip()}\n\n{end}{rest.split(end)[1]}"
    if after != before:
        path.write_text(after)
    return after != before


def publish(results, root):
    """The files that changed."""
    picture = "bench/results/latest.svg"
    readme = f"![Veld beside its peers]({picture})\n\n{markdown.readme(results)}"
    performance = f"![Veld beside its peers](../{picture})\n\n{markdown.whole(results)}"
    return [path for path, text in ((root / "README.md", readme),
                                    (root / "docs/PERFORMANCE.md", performance))
            if replace(path, text)]
