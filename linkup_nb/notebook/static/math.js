// @ts-check
// Formulas, drawn by the typesetter that the page has: JupyterLab's has one, and where there is none they stay as typed.
//
// The typesetter is the notebook's own, and what it is told to define it defines for the notebook too. A stranger's formula is
// handed to it only if every command in it is known to draw, and to do nothing else.

/** @import { Typesetter } from "./protocol.js" */

export const MAX_TEX = 2_000; // characters of one formula
export const MAX_FORMULAS = 100; // of one message

const COMMANDS = new Set(
  `alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa varkappa lambda mu nu xi omicron pi varpi rho varrho
  sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
  frac dfrac tfrac cfrac binom dbinom tbinom sqrt root of over choose atop sum prod coprod int iint iiint oint bigcup bigcap bigsqcup
  bigvee bigwedge bigoplus bigotimes bigodot biguplus limits nolimits lim limsup liminf sup inf max min arg argmax argmin det dim exp gcd
  hom ker lg ln log Pr deg sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan mod bmod pmod operatorname
  cdot cdots ldots dots dotsb dotsc dotsi vdots ddots times div pm mp ast star circ bullet oplus ominus otimes oslash odot dagger ddagger
  wedge vee land lor neg lnot cap cup setminus sqcap sqcup uplus amalg wr
  le leq leqslant ge geq geqslant ne neq lt gt ll gg equiv sim simeq approx cong propto doteq asymp prec succ preceq succeq
  in notin ni subset supset subseteq supseteq subsetneq supsetneq sqsubseteq sqsupseteq vdash dashv models perp parallel mid nmid
  not forall exists nexists emptyset varnothing infty partial nabla hbar hslash ell Re Im wp aleph beth imath jmath angle triangle
  square Box Diamond top bot flat natural sharp prime backprime therefore because surd degree
  to gets mapsto longmapsto rightarrow leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow longrightarrow longleftarrow
  longleftrightarrow Longrightarrow Longleftarrow Longleftrightarrow implies impliedby iff uparrow downarrow updownarrow Uparrow Downarrow
  nearrow searrow swarrow nwarrow hookrightarrow hookleftarrow rightharpoonup rightleftharpoons xrightarrow xleftarrow leadsto
  left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr langle rangle lvert rvert lVert rVert vert Vert
  lfloor rfloor lceil rceil lbrace rbrace lbrack rbrack backslash
  hat widehat check tilde widetilde acute grave dot ddot dddot breve bar vec overline underline overbrace underbrace
  overrightarrow overleftarrow overset underset stackrel substack sideset boxed cancel bcancel xcancel
  mathrm mathbf mathit mathsf mathtt mathcal mathbb mathfrak mathscr boldsymbol bm pmb rm bf it cal text textrm textbf textit texttt mbox
  displaystyle textstyle scriptstyle scriptscriptstyle quad qquad thinspace begin end nonumber notag
  bra ket braket Bra Ket Braket`.split(/\s+/),
);
const ENVIRONMENTS = new Set(
  "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix cases rcases aligned alignedat gathered split align align* equation equation* gather gather*".split(" "),
);
const CONTROL = /\\(?:([a-zA-Z]+)|[^a-zA-Z])/g;
const ENVIRONMENT = /\\(?:begin|end)\s*(?:\{([^{}]*)\})?/g;
const STRANGE = "mjx-merror, a, img, script, style, iframe, object, embed, input, form, [href], [src], [id], [onclick]";

/**
 * Whether all that a formula may do is to be drawn.
 * @param {string} tex
 */
export function isDrawable(tex) {
  const commands = [...tex.matchAll(CONTROL)].map(([, name]) => name);
  const environments = [...tex.matchAll(ENVIRONMENT)].map(([, name]) => name);
  return (
    tex.length <= MAX_TEX &&
    commands.every((name) => !name || COMMANDS.has(name)) &&
    environments.every((name) => ENVIRONMENTS.has(name))
  );
}

/**
 * Draws the formulas of one message.
 * @param {HTMLElement} body
 * @param {Typesetter | null | undefined} typesetter
 */
export async function draw(body, typesetter) {
  if (!typesetter) return;
  const formulas = [...body.querySelectorAll(".lu-math")].slice(0, MAX_FORMULAS);
  for (const node of /** @type {HTMLElement[]} */ (formulas)) {
    const tex = node.textContent;
    if (!isDrawable(tex)) continue;
    try {
      await typesetter.typeset(node);
    } catch {
      node.replaceChildren(); // whatever it began
    }
    if (!node.hasChildNodes() || node.querySelector(STRANGE)) node.textContent = tex;
    else node.classList.toggle("lu-wide", node.scrollWidth > node.clientWidth);
  }
}
