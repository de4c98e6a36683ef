"""Markdown as HTML that is safe to show: what a model or a file wrote must not run, load or lead astray."""

from __future__ import annotations

import functools

from markdown_it import MarkdownIt


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    return parser.disable(["image", "link", "autolink", "reference", "html_inline", "html_block"])


def rendered(text: str) -> str:
    r"""The text as HTML: headings, lists, tables, code and emphasis; HTML, images and links stay as they are written.

    >>> rendered("**bold** <script>alert(1)</script>")
    '<p><strong>bold</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>\n'
    """
    return str(_parser().render(text))
