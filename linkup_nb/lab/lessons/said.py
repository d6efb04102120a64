"""What a lesson says, as the value of a cell."""

import re
from dataclasses import dataclass
from html import escape

MAX_SHOWN = 300  # characters of an answer that is shown back

_CODE = re.compile("`([^`]*)`")
_RIGHT, _WRONG, _PLAIN = "#009E73", "#E69F00", "#0072B2"


def shown(value: object) -> str:
    """An answer as it is shown back."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # whatever an object of the learner's own does
        text = f"<{type(value).__name__}>"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _html(words: str) -> str:
    """Words, in which what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(words))


class _Card:
    """Lines of text, of which those in code are shown as such."""

    colour = _PLAIN

    def lines(self) -> list[tuple[str, str]]:
        """Words, and code that belongs to them, if any."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n".join(f"{words} {code}".strip() for words, code in self.lines())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<div>{_html(words)}{f' <code>{escape(code)}</code>' if code else ''}</div>"
            for words, code in self.lines()
        )
        return f'<div style="border-left:4px solid {self.colour};padding:4px 12px;margin:4px 0">{rows}</div>'


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(_Card):
    """What a check has found: `text` is what to notice, or the `hint` of that name; `look` shows more."""

    name: str
    right: bool
    text: str
    hint: str | None = None
    look: str = ""
    offer: bool = False
    """Whether the way is offered, after some tries."""

    @property
    def colour(self) -> str:  # type: ignore[override]
        """Green or orange; the words say the same."""
        return _RIGHT if self.right else _WRONG

    def lines(self) -> list[tuple[str, str]]:
        """The sentence, where to look, and the way."""
        if self.right:
            return [(f"✓ Right. Notice: {self.text}", "")]
        found = [(f"Not yet. {self.text}", "")]
        if self.look:
            found.append(("Look at", self.look))
        if self.offer:
            found.append(("Or see one way:", f"lesson.show({self.name!r})"))
        return found


@dataclass(frozen=True, slots=True, repr=False)
class Kept(_Card):
    """A prediction that is kept."""

    question: str
    answer: object

    def lines(self) -> list[tuple[str, str]]:
        """What was said, or what to do."""
        if self.answer is ...:
            return [
                (f"{self.question} Put your guess in place of the three dots; it is kept, and nobody judges it.", "")
            ]
        return [("Kept:", shown(self.answer)), ("Now run the next cell, and compare.", "")]


@dataclass(frozen=True, slots=True, repr=False)
class Outcome(_Card):
    """What came out, beside what was predicted; `belief` says what somebody thinks who predicts that."""

    predicted: object
    value: object
    belief: str

    def lines(self) -> list[tuple[str, str]]:
        """Both, and a sentence."""
        found = [("It is", shown(self.value))]
        if self.predicted is not ...:
            found.insert(0, ("You said", shown(self.predicted)))
        return [*found, (self.belief, "")] if self.belief else found


@dataclass(frozen=True, slots=True, repr=False)
class Explained(_Card):
    """The learner's own words beside ours."""

    words: object
    model: str

    def lines(self) -> list[tuple[str, str]]:
        """Both, or what to do."""
        if self.words is ... or not str(self.words).strip():
            return [("Say it in your own words, in place of the three dots; then ours are shown.", "")]
        return [(f"You: {str(self.words)[:MAX_SHOWN]}", ""), (f"One way to say it: {self.model}", "")]


@dataclass(frozen=True, slots=True, repr=False)
class Way:
    """The source of a cell that answers a check."""

    source: str

    def __repr__(self) -> str:
        return self.source

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.source}\n```"
