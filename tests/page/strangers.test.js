// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_TEX, isDrawable } from "../../linkup_nb/notebook/static/math.js";
import { fileName, mediaType } from "../../linkup_nb/notebook/static/vetted.js";

for (const name of [".env", ".gitignore", "two  spaces.txt", " led.txt", "a.b.c", "наука.csv", "\\x.txt"]) {
  test(`the name ${JSON.stringify(name)} is kept`, () => assert.equal(fileName({ name }), name));
}

test("a name cannot turn its end around", () => {
  assert.equal(fileName({ name: "photo\u202egnp.exe" }), "photognp.exe");
  assert.equal(fileName({ name: "\u2066a\u2069\u200f\u061c.txt" }), "a.txt");
});

test("a media type is without its parameters", () => {
  assert.equal(mediaType({ mime: " Audio/WebM; codecs=opus " }), "audio/webm");
});

for (const tex of [
  "$x$",
  String.raw`\(a_1^2 + \sqrt[3]{b} \le \frac{1}{2}\)`,
  String.raw`$$\sum_{n=0}^\infty \frac{x^n}{n!} = e^x$$`,
  String.raw`\[\begin{pmatrix} a & b \\ c & d \end{pmatrix} \left( \mathbb{R}^n \right]\]`,
  String.raw`$\text{50\% of } \{x \mid x > 0\}\,\;\!$`,
]) {
  test(`${tex} is drawn`, () => assert.ok(isDrawable(tex)));
}

// Each defines, loads, links, names, styles or covers something, or makes the typesetter work without end.
for (const tex of [
  String.raw`\href{javascript:alert(1)}{x}`,
  String.raw`\url{https://a.example}`,
  String.raw`\require{html}`,
  String.raw`\def\x{\x\x}\x`,
  String.raw`\let\alpha\beta`,
  String.raw`\newcommand{\alpha}{\beta}`,
  String.raw`\newenvironment{matrix}{}{}`,
  String.raw`\DeclareMathOperator{\sin}{cos}`,
  String.raw`\class{jp-x}{x}`,
  String.raw`\cssId{x}{y}`,
  String.raw`\style{position:fixed}{x}`,
  String.raw`\bbox[background:url(x)]{y}`,
  String.raw`\htmlData{x=1}{y}`,
  String.raw`\unicode{x41}`,
  String.raw`\includegraphics{x}`,
  String.raw`\label{a}\tag{1}`,
  String.raw`\rule{1000em}{1000em}`,
  String.raw`\hspace{-100em}`,
  String.raw`\toggle{a}{b}\endtoggle`,
  String.raw`\mmlToken{mi}{x}`,
  String.raw`\begin{array}{*{10000}{c}}x\end{array}`,
  String.raw`\begin {CD}x\end{CD}`,
  String.raw`\begin`,
  String.raw`\csname href\endcsname`,
]) {
  test(`${tex} is not`, () => assert.ok(!isDrawable(tex)));
}

test("a formula is of a bounded length", () => {
  assert.ok(isDrawable("x".repeat(MAX_TEX)));
  assert.ok(!isDrawable("x".repeat(MAX_TEX + 1)));
});
