// What page and kernel say to each other, as the page sees it; `notebook/bridge.py` and the tabs' requests are the kernel's side.

/** What anywidget hands to `render`. */
export interface Model {
  send(content: object, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(event: string, callback: (content: any, buffers: any) => void): void;
  off(event: string, callback: (content: any, buffers: any) => void): void;
  widget_manager?: { context?: { sessionContext?: SessionContext }; rendermime?: { latexTypesetter?: Typesetter | null } };
}

/** Draws the formulas within an element, which it finds by their `$…$`, `\(…\)`, `$$…$$` and `\[…\]`: JupyterLab's `ILatexTypesetter`. */
export interface Typesetter {
  typeset(node: HTMLElement): void | Promise<void>;
}

/** JupyterLab's `ISessionContext`, as far as the page looks at it. */
export interface SessionContext {
  session: { kernel: { id: string; status: string; connectionStatus: string } | null } | null;
  statusChanged: Signal;
  connectionStatusChanged: Signal;
  kernelChanged: Signal;
}

export interface Signal {
  connect(slot: () => void): void;
  disconnect(slot: () => void): void;
}

/** Everything that the kernel sends. Without `view` it is for all views. */
export type FromKernel = { view?: string | null } & (
  ReplyUpdate | StateUpdate | Rows | RowUpdate | AvatarPicture | ErrorUpdate
);

export interface ReplyUpdate {
  type: "reply";
  id: string;
  ok: boolean;
  error?: string;
  topic?: string;
  action?: "none" | "clear" | "pick_avatar";
  chunks?: number;
  size?: number;
}

export interface StateUpdate {
  type: "state";
  me: Me;
  needs_profile: boolean;
  rooms: RoomEntry[];
  room: string | null;
  peers: PeerEntry[];
  status: StatusLine;
  commands: CommandEntry[];
  limits: Limits;
  selection: Selection | null;
  recording: boolean;
}

export interface StatusLine {
  level: "ok" | "waiting" | "alone" | "off";
  text: string;
}

export interface Limits {
  file: number;
}

export interface Selection {
  seq: number;
  expression: string;
}

export interface Me {
  name: string | null;
  key: string;
  short: string;
  avatar: string | null;
}

export interface RoomEntry {
  topic: string;
  name: string;
  unread: number;
}

export interface PeerEntry {
  key: string;
  short: string;
  name: string;
  shared_name: boolean;
  status: "here" | "connecting" | "away";
  detail: string | null;
  avatar: string | null;
}

export interface CommandEntry {
  name: string;
  usage: string;
  help: string;
}

export interface Rows {
  type: "rows";
  room: string | null;
  epoch: string;
  reset: boolean;
  rows: Row[];
  oldest: number;
  last_seq: number;
  seen?: number | null;
}

export interface Row {
  seq: number;
  kind: "text" | "image" | "audio" | "file" | "notice" | "unknown";
  time: number;
  name?: string;
  key?: string;
  avatar?: string | null;
  short?: string;
  own?: boolean;
  recipients?: number | null;
  text?: string;
  html?: string;
  file?: Attachment;
}

export interface Attachment {
  name: string;
  size: number;
  mime: string;
  inline: boolean;
  width?: number;
  height?: number;
}

export interface RowUpdate {
  type: "row_update";
  room: string | null;
  rows: DeliveryEntry[];
}

export interface DeliveryEntry {
  seq: number;
  recipients: number;
}

export interface AvatarPicture {
  type: "avatar";
  avatar: string;
  mime: string;
}

export interface ErrorUpdate {
  type: "error";
  text: string;
}

/** Everything that the page asks for, besides `id` and `view`. */
export interface Requests {
  hello: { epoch: string | null; last_seq: number | null };
  bye: {};
  profile: { name: string; avatar: string | null };
  create: { name: string };
  join: { topic: string };
  leave: { topic: string };
  show: { topic: string };
  send: { topic: string | null; text: string };
  select: { topic: string | null; seq: number };
  seen: { topic: string; seq: number };
  upload_begin: {
    upload: string;
    purpose: "file" | "audio" | "avatar";
    topic: string | null;
    name: string;
    size: number;
    chunks: number;
  };
  upload_chunk: { upload: string; index: number };
  upload_end: { upload: string };
  upload_cancel: { upload: string };
  fetch: { topic: string | null; seq: number; index: number };
  record: { on: boolean };
}
