// What page and kernel say to each other, as the page sees it; `notebook/bridge.py` and the tabs' requests are the kernel's side.

/** What anywidget hands to `render`. */
export interface Model {
  get(name: string): any;
  set(name: string, value: unknown): void;
  save_changes(): void;
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
  ReplyUpdate | ErrorUpdate | StateUpdate | Rows | ProgressUpdate | AvatarPicture | SwarmUpdate | TapUpdate | DrivesUpdate | LookUpdate
);

export interface ReplyUpdate {
  type: "reply";
  id: string;
  ok: boolean;
  error?: string;
  topic?: string;
  action?: "clear" | "none" | "pick_avatar";
  chunks?: number;
  size?: number;
  mime?: string;
  rows?: Row[];
  start?: boolean;
  end?: boolean;
  hits?: Hit[];
  more?: boolean;
  editions?: EditionEntry[];
  versions?: VersionEntry[];
  link?: string;
  svg?: string;
  text?: string;
  share_reads?: boolean;
  share_typing?: boolean;
  bootstrap?: string;
  relay?: string;
  in_use?: NetworkEntry[];
  blind_peers?: string;
  blind_peers_now?: BlindPeerEntry[];
  space?: SpaceEntry | null;
  limits?: string;
  drives?: DriveEntry[];
  drive?: string;
  files?: FileEntry[];
  left_out?: number;
  changed?: number;
  python?: string;
  marks?: Mark[];
  head?: number;
  kind?: "html" | "none" | "picture" | "sound";
  html?: string;
  note?: string;
  stored?: number;
  summary?: string;
  lines?: DiffLine[];
  columns?: string[];
  differing?: DiffRow[];
  pictures?: boolean;
  changes?: VersionOfFile[];
  found?: null | number;
  sentence?: string;
  version?: null | number;
}

export interface DriveEntry {
  id: string;
  name: string;
  group: string;
  version: number;
  writable: boolean;
  python: string;
  fetching: string;
  trouble: string;
}

export interface FileEntry {
  path: string;
  name: string;
  folder: boolean;
  size: number;
  version: number;
  change: "" | "+" | "-" | "~";
}

export interface Mark {
  first: number;
  last: number;
  changes: number;
  own: number;
}

export interface VersionOfFile {
  version: number;
  operation: "delete" | "link" | "put";
  before: null | number;
  after: null | number;
}

export interface DiffCell {
  text: string;
  was: null | string;
}

export interface DiffRow {
  sign: "+" | "-" | "~";
  cells: DiffCell[];
}

export interface DiffLine {
  sign: " " | "+" | "-" | "@";
  text: string;
}

export interface LookUpdate {
  type: "look";
  tab: "chat" | "drive" | "swarm";
  channel?: string;
  target?: string;
  drive?: string;
  version?: number;
}

export interface DrivesUpdate {
  type: "drives";
  drives: DriveEntry[];
}

export interface SpaceEntry {
  own: number;
  rooms: number;
  others: number;
}

export interface NetworkEntry {
  name: string;
  text: string;
}

export interface BlindPeerEntry {
  key: string;
  ok: boolean;
  text: string;
}

export interface ErrorUpdate {
  type: "error";
  text: string;
}

export interface Me {
  name: null | string;
  key: string;
  short: string;
  avatar: null | string;
}

export interface ChannelEntry {
  name: string;
  topic: string;
  unread: number;
  mentions: number;
  invite: boolean;
}

export interface RoomEntry {
  topic: string;
  name: string;
  linkup: boolean;
  unread: number;
  mentions: number;
  muted: boolean;
  waiting: null | string;
  channels: ChannelEntry[];
}

export interface PeerEntry {
  key: string;
  short: string;
  name: string;
  shared_name: boolean;
  status: "away" | "connecting" | "here";
  detail: null | string;
  avatar: null | string;
  role: string;
  since: null | number;
  faults: string[];
}

export interface CommandEntry {
  name: string;
  usage: string;
  help: string;
}

export interface StatusLine {
  level: "alone" | "off" | "ok" | "waiting";
  text: string;
}

export interface Limits {
  file: number;
  text: number;
}

export interface Selection {
  id: string;
  expression: string;
}

export interface StateUpdate {
  type: "state";
  me: Me;
  needs_profile: boolean;
  rooms: RoomEntry[];
  room: null | string;
  channel: string;
  subject: string;
  invite: null | string;
  read_only: null | string;
  peers: PeerEntry[];
  typing: string[];
  status: StatusLine;
  commands: CommandEntry[];
  limits: Limits;
  node: string;
  selection: Selection | null;
  recording: boolean;
}

export interface Attachment {
  name: string;
  size: number;
  mime: string;
  inline: boolean;
  width?: number;
  height?: number;
  drive?: string;
  version?: number;
}

export interface Quote {
  id: string;
  name: string;
  text: string;
}

export interface Reaction {
  symbol: string;
  raw: string;
  count: number;
  own: boolean;
  names: string[];
}

export interface Row {
  id: string;
  place: string;
  kind: "audio" | "file" | "image" | "notice" | "output" | "text" | "unknown";
  time: number;
  name?: string;
  key?: string;
  avatar?: string;
  short?: string;
  own?: boolean;
  text?: string;
  html?: string;
  source?: string;
  file?: Attachment;
  unread?: boolean;
  mention?: boolean;
  received?: number;
  delivery?: string;
  reply?: Quote;
  reactions?: Reaction[];
  edited?: boolean;
  retracted?: boolean;
  hidden?: string;
  warning?: string;
  actions?: string[];
}

export interface Rows {
  type: "rows";
  room: null | string;
  channel: string;
  epoch: string;
  after: number;
  version: number;
  reset: boolean;
  rows: Row[];
  start: boolean;
  end: boolean;
  divider: null | string;
  unread: number;
}

export interface ProgressUpdate {
  type: "progress";
  room: string;
  target: string;
  received: number;
  size: number;
  senders: string[];
}

export interface AvatarPicture {
  type: "avatar";
  avatar: string;
  mime: string;
}

export interface Part {
  text: string;
  hit: boolean;
}

export interface Hit {
  id: string;
  channel: string;
  name: string;
  time: number;
  parts: Part[];
}

export interface EditionEntry {
  html: string;
  time: number;
}

export interface VersionEntry {
  version: number;
  size: number;
  time: null | number;
}

export interface SwarmPeerEntry {
  id: string;
  short: string;
  who: string;
  name: string;
  kind: "dialled" | "direct" | "failed" | "found" | "relayed";
  way: string;
  rtt: string;
  received: number;
  sent: number;
  receiving: number;
  sending: number;
  since: null | number;
  replicates: string[];
  tapped: boolean;
}

export interface CheckEntry {
  name: string;
  outcome: "failed" | "off" | "ok" | "warning";
  seen: string;
  advice: string;
}

export interface HopEntry {
  hop: number;
  address: string;
  exponent: number;
  rtt: string;
  failed: boolean;
}

export interface LookUp {
  about: string;
  target: string;
  command: string;
  asked: number;
  answered: number;
  hops: HopEntry[];
}

export interface DhtEntry {
  bits: number;
  nodes: number;
  buckets: number[];
  recent: number;
  stored: number;
  own_id: string;
  look_up: LookUp | null;
}

export interface Network {
  name: string;
  text: string;
}

export interface SwarmUpdate {
  type: "swarm";
  own: string;
  own_name: string;
  peers: SwarmPeerEntry[];
  dropped: number;
  networks: Network[];
  dht: DhtEntry | null;
  checks: CheckEntry[] | null;
  examining: boolean;
  selected: string;
  expression: string;
}

export interface FrameEntry {
  number: number;
  time: number;
  direction: "received" | "sent";
  channel: string;
  frame: string;
  size: number;
  decoded: string;
}

export interface TapUpdate {
  type: "tap";
  tap: number;
  peer: string;
  name: string;
  open: boolean;
  first: number;
  seen: number;
  frames: FrameEntry[];
}

/** The fields of each request besides its id and its view. */
export interface Requests {
  hello: { epoch?: null | string; version?: null | number };
  bye: {};
  profile: { name: string; avatar?: null | string };
  create: { name: string; linkup?: boolean };
  join: { word: string };
  leave: { topic: string; forget?: boolean };
  show: { topic: string; channel?: string };
  send: { topic: null | string; channel?: string; text: string; to?: null | string };
  select: { topic?: null | string; target: string };
  seen: { topic: string; channel?: string; targets: string[]; since?: null | string; until?: null | string };
  page: { topic: null | string; channel?: string; before?: null | string; after?: null | string; around?: null | string; count: number };
  edit: { topic: string; target: string; text: string };
  react: { topic: string; target: string; symbol: string; remove?: boolean };
  act: { topic: string; target: string; action: "block" | "hide" | "mute" | "remove" | "retract" | "verify" };
  typing: { topic: string; channel?: string };
  away: { away: boolean };
  search: { topic: string; channel?: null | string; text: string; before?: null | string };
  editions: { topic: string; target: string };
  whole: { topic: string; target: string };
  versions: { topic: string; target: string };
  invite: { topic: string };
  change_room: { topic: string; name?: null | string; subject?: null | string; muted?: boolean | null };
  channel: { topic: string; name: string };
  load: { topic: string; target: string; version?: null | number };
  load_cancel: { topic: string; target: string };
  upload_begin: { upload: string; purpose: "audio" | "avatar" | "file"; topic?: null | string; channel?: string; name?: string; size: number; chunks: number };
  upload_chunk: { upload: string; index: number };
  upload_end: { upload: string };
  upload_cancel: { upload: string };
  fetch: { topic?: null | string; target: string; version?: null | number; index: number; inline?: boolean };
  record: { on: boolean };
  swarm_open: {};
  swarm_close: {};
  swarm_select: { peer?: null | string; frame?: null | number };
  examine: {};
  tap: { peer?: null | string };
  tap_clear: {};
  settings: {};
  blind_peers: {};
  set: { share_reads?: boolean | null; share_typing?: boolean | null; bootstrap?: null | string; relay?: null | string; blind_peers?: null | string };
  clear_copies: {};
  export_profile: {};
  drives: {};
  drives_close: {};
  mount: { key?: string; name?: string };
  forget_drive: { drive: string };
  folder: { drive: string; version: number; folder: string; since?: null | number };
  marks: { drive: string; path?: string; most: number };
  preview: { drive: string; version: number; path: string; beside?: boolean };
  compare: { drive: string; path: string; a: number; b: number };
  file_history: { drive: string; path: string };
  find: { drive: string; path: string; text: string };
  restore: { drive: string; path: string; version: number };
  read: { drive: string; version: number; path: string; index: number };
  put: { drive: string; path: string; upload: string; index: number; chunks: number };
  serve: { drive: string; version: number; path: string };
  download_drive: { drive: string };
  mirror: { drive: string; version: number; folder: string; local: string; back?: boolean; dry?: boolean };
  clear_drive: { drive: string };
}

/** A network of the lab, as `lab/drawing.py` places it: the trait `picture` of a `NetView`. */
export interface NetPicture {
  peers: NetPeerEntry[];
  edges: NetEdgeEntry[];
  radius: number;
  words: string[];
}

export interface NetPeerEntry {
  n: number;
  x: number;
  y: number;
  label: string;
  state: "alive" | "dead" | "liar" | "sybil";
  keeps: boolean;
  about: string;
}

export interface NetEdgeEntry {
  a: number;
  b: number;
  kind: "connected" | "cut" | "knows" | "slow";
  about: string;
}
