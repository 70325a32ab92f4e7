"""Report pages as a reader takes them: strictly parsed, their texts, tables and addresses."""

import itertools
import re

import html5lib


def parsed(content):
    """Parse a page; anything that is not valid HTML raises."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(content.decode())


def text_of(element):
    """Return the words below an element, without its style and script."""
    return " ".join(" ".join(_texts(element)).split())


def _texts(element):
    if element.tag not in {"style", "script"}:
        yield element.text or ""
        for child in element:
            yield from _texts(child)
            yield child.tail or ""


def tags_of(tree):
    return [element.tag for element in tree.iter() if isinstance(element.tag, str)]


def table_of(tree, caption):
    """Return the rows of the table whose caption begins so, as lists of texts."""
    (found,) = [t for t in tree.iter("table") if text_of(t.find("caption")).startswith(caption)]
    return [[text_of(cell) for cell in row] for row in found.find("tbody").iter("tr")]


def assert_opens_from_disk(tree):
    """Nothing in a page asks for anything outside it."""
    for element in tree.iter():
        assert element.tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name, value in element.items():
            if name in {"src", "href", "srcset", "action"}:
                assert re.match(r"data:image/|#|\.\./cohort\.html$|sessions/[0-9a-f-]{36}\.html$", value), value[:80]
    for style in tree.iter("style"):
        assert not re.search(r"@import|url\(|//", style.text)
    (policy,) = [meta for meta in tree.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.get("content").startswith("default-src 'none'; img-src data:;")


def assert_accessible(tree):
    headings = [int(tag[1]) for tag in tags_of(tree) if re.fullmatch("h[1-6]", tag)]
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
    assert all(len(image.get("alt", "")) > 10 for image in tree.iter("img"))
    assert all(text_of(table.find("caption")) for table in tree.iter("table"))
    assert all(cell.get("scope") in {"row", "col"} for cell in tree.iter("th"))
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    targets = {link.get("href")[1:] for link in tree.iter("a") if link.get("href", "").startswith("#")}
    assert targets <= set(ids)
    assert tree.get("lang") == "en"
