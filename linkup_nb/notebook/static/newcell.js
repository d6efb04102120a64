// @ts-check
// Code of a message, put into a new cell of the notebook. Nothing runs it but the reader.

/** @typedef {{cell_type: "code", source: string}} NewCell */
/** @typedef {{node: HTMLElement, isVisible: boolean, content?: {widgets?: {node: HTMLElement}[], activeCellIndex: number, model?: {sharedModel: {insertCell(at: number, cell: NewCell): unknown}}}}} Tab */

const NOTED_FOR = 2_000; // ms that the button says what it has done

/**
 * Puts code below the cell that shows the panel, or else below the active one; whether this page's program allows it.
 * JupyterLab and Notebook 7 do where they are started with `--LabApp.expose_app_in_browser=True`, as `linkup-nb` does.
 * @param {string} source
 * @param {HTMLElement} from a part of the panel
 */
export function putIntoCell(source, from) {
  const { jupyterapp } = /** @type {{jupyterapp?: {shell: {widgets(area: string): Iterable<Tab>}}}} */ (/** @type {unknown} */ (window));
  const notebooks = [...(jupyterapp?.shell.widgets("main") ?? [])].filter((tab) => tab.content?.widgets && tab.content.model);
  const notebook = notebooks.find((tab) => tab.node.contains(from)) ?? notebooks.find((tab) => tab.isVisible);
  if (!notebook?.content?.widgets || !notebook.content.model) return false;
  const own = notebook.content.widgets.findIndex((cell) => cell.node.contains(from));
  const at = (own < 0 ? notebook.content.activeCellIndex : own) + 1;
  notebook.content.model.sharedModel.insertCell(at, { cell_type: "code", source: source.trimEnd() });
  notebook.content.activeCellIndex = at;
  from.dataset.note = "Below, to be run by you";
  setTimeout(() => delete from.dataset.note, NOTED_FOR);
  return true;
}
