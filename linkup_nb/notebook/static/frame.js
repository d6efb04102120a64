// @ts-check
// Where everything stands.

import { NATIVE_MENU, parse } from "./dom.js";

export const FRAME = parse(`
  <div class="lu-chat" data-lu="root" data-lm-suppress-shortcuts="true" tabindex="-1">
    <div class="lu-frame">
      <header class="lu-bar">
        <button type="button" class="lu-icon lu-i-rooms lu-toggle" data-lu="show-rooms" aria-label="Rooms" aria-expanded="false"></button>
        <strong data-lu="brand">LinkUp</strong>
        <div class="lu-tabs" role="tablist" aria-label="Views" data-lu="tabs">
          <button type="button" role="tab" data-tab="chat" aria-selected="true">Chat</button>
          <button type="button" role="tab" data-tab="drive" aria-selected="false" tabindex="-1">Drive</button>
          <button type="button" role="tab" data-tab="swarm" aria-selected="false" tabindex="-1">Swarm</button>
          <button type="button" role="tab" data-tab="settings" aria-selected="false" tabindex="-1">Settings</button>
        </div>
        <span class="lu-status" data-lu="status" role="status" data-level="waiting"></span>
      </header>
      <p class="lu-banner" data-lu="banner" role="alert" hidden></p>
      <nav class="lu-side lu-left" aria-label="Rooms" data-lu="left">
        <h2>Rooms <kbd class="lu-key-hint" data-lu="switch-hint"></kbd></h2>
        <ul class="lu-list" data-lu="rooms"></ul>
        <h2 data-lu="linkup-title" hidden>LinkUp rooms <span class="lu-faint">no history</span></h2>
        <ul class="lu-list" data-lu="linkup-rooms"></ul>
        <button type="button" class="lu-add" data-lu="create-or-join" aria-expanded="false">+ Create or join</button>
        <div data-lu="room-form-place"></div>
        <button type="button" class="lu-me" data-lu="me" title="Change your name or picture">
          <span class="lu-avatar lu-small" aria-hidden="true"></span><bdi></bdi>
        </button>
      </nav>
      <section class="lu-middle" aria-label="Room">
        <header class="lu-head">
          <bdi class="lu-room-name" data-lu="room-name"></bdi>
          <bdi class="lu-channel-name" data-lu="channel-name" hidden></bdi>
          <span class="lu-as-of" data-lu="as-of" hidden></span>
          <button type="button" class="lu-subject" data-lu="subject" hidden></button>
          <span class="lu-key" data-lu="key" hidden>
            <code class="lu-topic" data-lu="topic"></code>
            <button type="button" class="lu-icon lu-i-copy" data-lu="copy-topic"></button>
            <button type="button" class="lu-icon lu-i-qr" data-lu="show-qr" aria-label="Show the invite as a QR code" title="Show the invite as a QR code"></button>
          </span>
          <input type="search" class="lu-search" data-lu="search" autocomplete="off" hidden ${NATIVE_MENU}>
          <button type="button" class="lu-icon lu-i-search" data-lu="show-search" aria-label="Search" title="Search" hidden></button>
          <button type="button" class="lu-icon lu-i-peers" data-lu="show-peers" aria-label="People" title="People" aria-expanded="true"></button>
          <button type="button" class="lu-icon lu-i-more" data-lu="more" aria-label="More" title="More"></button>
        </header>
        <p class="lu-leaving" data-lu="leaving" hidden>
          <span data-lu="leaving-words"></span>
          <button type="button" class="lu-button" data-lu="leave-confirm">Leave</button>
          <button type="button" class="lu-button lu-plain" data-lu="leave-forget">Leave and delete it here</button>
          <button type="button" class="lu-button lu-plain" data-lu="leave-cancel">Stay</button>
        </p>
        <div class="lu-hits" data-lu="hits" hidden></div>
        <div class="lu-log-frame">
          <div class="lu-log" data-lu="log" role="log" aria-live="off" tabindex="0" aria-label="Messages"><div class="lu-rows"></div></div>
          <div class="lu-alone" data-lu="alone" hidden></div>
          <button type="button" class="lu-pill lu-earlier" data-lu="earlier-pill" hidden></button>
          <button type="button" class="lu-pill" data-lu="new-pill" hidden></button>
        </div>
        <p class="lu-typing" data-lu="typing" aria-hidden="true"></p>
        <div class="lu-composer">
          <p class="lu-error" data-lu="error" role="alert" hidden></p>
          <p class="lu-notice" data-lu="notice" role="status" hidden></p>
          <div data-lu="strips"></div>
          <ul class="lu-completion" data-lu="completion" role="listbox" aria-label="Commands" hidden></ul>
          <div class="lu-box">
            <p class="lu-context" data-lu="context" hidden>
              <span data-lu="context-words"></span>
              <button type="button" class="lu-icon lu-i-cross" data-lu="context-cancel" aria-label="Cancel" title="Cancel (Esc)"></button>
            </p>
            <ul class="lu-tray" data-lu="tray" aria-label="Not sent yet" hidden></ul>
            <button type="button" class="lu-icon lu-i-attach" data-lu="attach" aria-label="Attach a file"></button>
            <div class="lu-grow"><textarea data-lu="composer" rows="1" dir="auto" aria-autocomplete="list" ${NATIVE_MENU}></textarea></div>
            <button type="button" class="lu-icon lu-i-react" data-lu="emoji" aria-label="Insert a symbol" title="Insert a symbol"></button>
            <button type="button" class="lu-icon lu-i-record" data-lu="record" aria-label="Record audio" title="Record audio" aria-pressed="false"></button>
            <button type="button" class="lu-icon lu-i-send" data-lu="send" aria-label="Send" title="Send"></button>
          </div>
          <input type="file" data-lu="file-input" multiple hidden>
        </div>
        <div class="lu-centre" data-lu="centre"></div>
      </section>
      <aside class="lu-side lu-right" aria-label="People" data-lu="people"></aside>
      <div class="lu-edge" data-lu="edge-left" role="separator" tabindex="0" aria-orientation="vertical" aria-label="Width of the rooms" aria-valuemin="160" aria-valuemax="320" aria-valuenow="196"></div>
      <div class="lu-edge" data-lu="edge-right" role="separator" tabindex="0" aria-orientation="vertical" aria-label="Width of the people" aria-valuemin="160" aria-valuemax="320" aria-valuenow="184"></div>
      <div class="lu-unheard" data-lu="voice" aria-live="polite"></div>
      <section class="lu-tab" role="tabpanel" aria-label="Drive" data-lu="drive" hidden></section>
      <section class="lu-tab" role="tabpanel" aria-label="Swarm" data-lu="swarm" hidden></section>
      <section class="lu-tab" role="tabpanel" aria-label="Settings" data-lu="settings" hidden></section>
      <p class="lu-tab-error lu-error" data-lu="tab-error" role="alert" hidden></p>
      <footer class="lu-expression" data-lu="footer" hidden>
        <code data-lu="expression"></code>
        <button type="button" class="lu-link" data-lu="copy-expression">copy</button>
      </footer>
    </div>
  </div>`);
