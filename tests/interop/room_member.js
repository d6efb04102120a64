// A member of a room with memory in JavaScript, on hypercore, corestore, hyperdrive and protomux as they are.
//
//   node room_member.js SECRET FOLDER NAME [PORT]
//
// It listens on 127.0.0.1 and prints its port, or dials PORT; then it prints its whole order after each change. Each line
// on its standard input is the JSON of a block to write, without `t` and `heads`.
'use strict'
const Protomux = require('protomux')
const Corestore = require('corestore')
const Hyperdrive = require('hyperdrive')
const SecretStream = require('@hyperswarm/secret-stream')
const crypto = require('hypercore-crypto')
const sodium = require('sodium-universal')
const c = require('compact-encoding')
const b4a = require('b4a')
const z32 = require('z32')

const [CHANNEL, INITIATOR, RESPONDER, ENCRYPTION, HELLO] = crypto.namespace('linkup-nb/room', 5)
const EARLIEST = 1.5e15; const AHEAD = 26 * 3600 * 1e6; const MAX_FEEDS = 512; const MAX_HEADS = 32
const keyed = (key, ...parts) => { const out = b4a.alloc(32); sodium.crypto_generichash_batch(out, parts, key); return out }
const opening = {
  preencode (s, m) { c.uint.preencode(s, m.version); c.uint.preencode(s, m.flags); c.fixed32.preencode(s, m.proof); c.uint.preencode(s, m.now) },
  encode (s, m) { c.uint.encode(s, m.version); c.uint.encode(s, m.flags); c.fixed32.encode(s, m.proof); c.uint.encode(s, m.now) },
  decode (s) { return { version: c.uint.decode(s), flags: c.uint.decode(s), proof: c.fixed32.decode(s), now: c.uint.decode(s) } }
}

class Room {
  constructor (store, secret, identity, device) {
    Object.assign(this, { store, secret, identity, device })
    this.topic = crypto.discoveryKey(secret)
    this.encryptionKey = crypto.hash([ENCRYPTION, secret])
    this.feeds = new Map() // id -> { core, next, t, hello }
    this.messages = [] // sorted by (t, feed key)
    this.tips = new Map() // id -> length: what no known block has named yet
    this.channels = new Set()
    this.top = 0
  }

  async open (name) {
    const ns = this.store.namespace('linkup-nb/room').namespace(b4a.toString(this.topic, 'hex'))
    this.mine = ns.get({ name: 'feed/0', encryption: { key: this.encryptionKey } })
    await this.mine.ready()
    this.drive = new Hyperdrive(ns.namespace('drive/0'), { encryptionKey: this.encryptionKey })
    await this.drive.ready()
    if (this.mine.length === 0) {
      const signable = b4a.concat([HELLO, this.topic, this.mine.key, this.drive.key, this.device.publicKey, this.identity.publicKey])
      const signed = (pair) => b4a.toString(crypto.sign(signable, pair.secretKey), 'base64')
      await this.write({ type: 'hello', name, identity: z32.encode(this.identity.publicKey), device: z32.encode(this.device.publicKey), drive: z32.encode(this.drive.key), signatures: [signed(this.identity), signed(this.device)] })
    }
    await this.follow(this.mine.key)
  }

  connect (stream) {
    const key = stream.handshakeHash; const role = (initiator) => keyed(key, initiator ? INITIATOR : RESPONDER, this.secret)
    const channel = Protomux.from(stream).createChannel({
      protocol: 'linkup-nb/room',
      id: keyed(key, CHANNEL, this.secret),
      handshake: opening,
      messages: [{ encoding: c.array(c.fixed32), onmessage: (keys) => { for (const k of keys) this.follow(k) } }],
      onopen: (theirs) => {
        if (!b4a.equals(theirs.proof, role(!stream.isInitiator))) return stream.destroy(new Error('does not know the room'))
        this.channels.add(channel)
        this.store.replicate(stream) // only now: a stranger learns of no feed
        channel.messages[0].send([this.mine.key, ...[...this.feeds.values()].filter((f) => f.hello).map((f) => f.core.key)])
      },
      onclose: () => this.channels.delete(channel)
    })
    channel.open({ version: 1, flags: 0, proof: role(stream.isInitiator), now: Date.now() })
  }

  async follow (key) {
    const id = z32.encode(key).slice(0, 13)
    if (this.feeds.has(id) || this.feeds.size >= MAX_FEEDS) return
    const core = this.store.get({ key, encryption: { key: this.encryptionKey } })
    const feed = { id, core, next: 0, t: 0, hello: null, busy: false }
    this.feeds.set(id, feed)
    await core.ready()
    core.download({ start: 0, end: -1 })
    core.on('append', () => this.read(feed)).on('download', () => this.read(feed)).on('truncate', () => { feed.disputed = true })
    await this.read(feed)
  }

  async read (feed) {
    if (feed.busy) { feed.again = true; return }
    feed.busy = true
    do {
      feed.again = false
      while (!feed.disputed && feed.core.fork === 0 && feed.next < feed.core.contiguousLength) {
        if (!this.take(feed, feed.next, await feed.core.get(feed.next))) break
        feed.next++
      }
    } while (feed.again)
    feed.busy = false
  }

  take (feed, seq, block) {
    let m = null
    try { m = JSON.parse(b4a.toString(block)) } catch {}
    if (!m || typeof m.type !== 'string' || !(m.t > feed.t && m.t > EARLIEST)) return true // refused, for good
    if (m.t > Date.now() * 1000 + AHEAD) return false // waits for its time, and the rest of its feed with it
    if (seq === 0 && !this.checkHello(feed, m)) return false
    feed.t = m.t; this.top = Math.max(this.top, m.t)
    for (const [id, length] of Object.entries(m.heads || {})) if ((this.tips.get(id) || 0) <= length) this.tips.delete(id)
    this.tips.set(feed.id, seq + 1)
    let at = this.messages.length
    while (at > 0 && (this.messages[at - 1].t - m.t || b4a.compare(this.messages[at - 1].feed.core.key, feed.core.key)) > 0) at--
    this.messages.splice(at, 0, { ...m, feed, seq, id: feed.id + '/' + seq, late: at < this.messages.length - 1 })
    this.onchange()
    return true
  }

  checkHello (feed, m) {
    if (m.type !== 'hello') return false
    const keys = [m.drive, m.device, m.identity].map((text) => z32.decode(text))
    const signable = b4a.concat([HELLO, this.topic, feed.core.key, ...keys])
    if (![keys[2], keys[1]].every((key, i) => crypto.verify(signable, b4a.from(m.signatures[i], 'base64'), key))) return false
    feed.hello = m
    for (const channel of this.channels) channel.messages[0].send([feed.core.key])
    return true
  }

  async write (fields) {
    const own = this.mine.id && z32.encode(this.mine.key).slice(0, 13)
    const heads = Object.fromEntries([...this.tips].filter(([id]) => id !== own).slice(0, MAX_HEADS))
    const t = Math.max(Date.now() * 1000, this.top + 1)
    this.top = t
    await this.mine.append(b4a.from(JSON.stringify({ ...fields, t, ...(Object.keys(heads).length && { heads }) })))
  }
}

const [secret, folder, name, port] = process.argv.slice(2)
const net = require('net')
const readline = require('readline')
const device = SecretStream.keyPair()
const room = new Room(new Corestore(folder), b4a.from(secret, 'hex'), crypto.keyPair(), device)
const row = (m) => ({ id: m.id, t: m.t, type: m.type, message: m.message, heads: m.heads || {} })
room.onchange = () => console.log(JSON.stringify({ order: room.messages.map(row) }))

function connect (isInitiator, socket) {
  const stream = new SecretStream(isInitiator, socket, { keyPair: device })
  stream.on('error', (error) => console.log(JSON.stringify({ error: error.message })))
  stream.on('open', () => room.connect(stream))
}

room.open(name).then(() => {
  readline.createInterface({ input: process.stdin }).on('line', (line) => room.write(JSON.parse(line)))
  if (port) return connect(true, net.connect(+port, '127.0.0.1'))
  const server = net.createServer((socket) => connect(false, socket))
  server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })))
})
process.stdin.on('end', () => process.exit())
