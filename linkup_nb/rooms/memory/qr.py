"""An invite as a QR code: for a phone, or for somebody across the table."""

import io

import segno


class QrCode:
    """The QR code of a word. `print(code)` shows it in a terminal or a cell, `code.svg` is a picture for a page.

    It opens the room like the word itself, so evaluating it shows nothing: a notebook keeps what its cells show.
    """

    def __init__(self, word: str) -> None:
        self._code = segno.make(word, error="m", micro=False)

    def __repr__(self) -> str:
        return "<QrCode of an invite: print it, or show its svg, to let somebody in>"

    def __str__(self) -> str:
        out = io.StringIO()
        self._code.terminal(out, compact=True)
        return out.getvalue()

    @property
    def svg(self) -> str:
        """An `<svg>` element, black on white, 4 px a module."""
        return self._code.svg_inline(scale=4, light="white")
