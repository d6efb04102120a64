// @ts-check
// Where everything stands.

import { NATIVE_MENU, parse } from "./dom.js";

export const FRAME = parse(`
  <div class="lu-chat" data-lu="root" data-lm-suppress-shortcuts="true" tabindex="-1">
    <div class="lu-frame">
      <header class="lu-bar">
        <button type="button" class="lu-icon lu-i-rooms lu-toggle" data-lu="show-rooms" aria-label="Rooms" aria-expanded="false"></button>
        <strong data-lu="brand">LinkUp</strong>
        <span class="lu-status" data-lu="status" role="status" data-level="waiting"></span>
        <button type="button" class="lu-icon lu-i-peers lu-toggle" data-lu="show-peers" aria-label="People" aria-expanded="false"></button>
      </header>
      <p class="lu-banner" data-lu="banner" role="alert" hidden></p>
      <nav class="lu-side lu-left" aria-label="Rooms">
        <h2>Rooms</h2>
        <ul class="lu-list" data-lu="rooms"></ul>
        <button type="button" class="lu-add" data-lu="create-or-join" aria-expanded="false">+ Create or join</button>
        <div data-lu="room-form-place"></div>
        <button type="button" class="lu-me" data-lu="me" title="Change your name or picture">
          <span class="lu-avatar lu-small" aria-hidden="true"></span><bdi></bdi>
        </button>
      </nav>
      <section class="lu-middle" aria-label="Room">
        <header class="lu-head">
          <bdi class="lu-room-name" data-lu="room-name"></bdi>
          <code class="lu-topic" data-lu="topic"></code>
          <span class="lu-as-of" data-lu="as-of" hidden></span>
          <button type="button" class="lu-icon lu-i-copy" data-lu="copy-topic" aria-label="Copy the topic" title="Copy the topic"></button>
          <button type="button" class="lu-link" data-lu="leave">Leave</button>
        </header>
        <p class="lu-leaving" data-lu="leaving" hidden>
          Leave this room? Its messages go; only its topic brings you back.
          <button type="button" class="lu-button" data-lu="leave-confirm">Leave</button>
          <button type="button" class="lu-button lu-plain" data-lu="leave-cancel">Stay</button>
        </p>
        <div class="lu-log-frame">
          <div class="lu-log" data-lu="log" role="log" tabindex="0" aria-label="Messages"><div class="lu-rows"></div></div>
          <p class="lu-alone" data-lu="alone" hidden></p>
          <button type="button" class="lu-pill" data-lu="new-pill" hidden></button>
        </div>
        <div class="lu-composer">
          <p class="lu-error" data-lu="error" role="alert" hidden></p>
          <p class="lu-notice" data-lu="notice" role="status" hidden></p>
          <div data-lu="strips"></div>
          <ul class="lu-completion" data-lu="completion" role="listbox" aria-label="Commands" hidden></ul>
          <div class="lu-box">
            <ul class="lu-tray" data-lu="tray" aria-label="Not sent yet" hidden></ul>
            <button type="button" class="lu-icon lu-i-attach" data-lu="attach" aria-label="Attach a file"></button>
            <div class="lu-grow"><textarea data-lu="composer" rows="1" dir="auto" aria-autocomplete="list" ${NATIVE_MENU}></textarea></div>
            <button type="button" class="lu-icon lu-i-record" data-lu="record" aria-label="Record audio" title="Record audio" aria-pressed="false"></button>
            <button type="button" class="lu-icon lu-i-send" data-lu="send" aria-label="Send" title="Send"></button>
          </div>
          <input type="file" data-lu="file-input" multiple hidden>
        </div>
        <div class="lu-centre" data-lu="centre"></div>
      </section>
      <aside class="lu-side lu-right" aria-label="People" data-lu="people"></aside>
      <footer class="lu-expression">
        <code data-lu="expression"></code>
        <button type="button" class="lu-link" data-lu="copy-expression">copy</button>
      </footer>
    </div>
  </div>`);
