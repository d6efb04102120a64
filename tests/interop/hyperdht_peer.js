// Real HyperDHT nodes on loopback, driven by lines of JSON on stdin; what happens goes to stdout the same way.
'use strict'

const readline = require('readline')
const createTestnet = require('hyperdht/testnet')
const DHT = require('hyperdht')
const { Server: RelayServer } = require('blind-relay')

const HOST = '127.0.0.1'
const report = (event) => console.log(JSON.stringify(event))
const bytes = (hex) => Buffer.from(hex, 'hex')

// How to connect or be connected to: through the relay of this key, and with `punch: false` in no other way.
const ways = ({ relay = null, punch = true, ...options }) => ({
  ...options,
  ...(relay && { relayThrough: bytes(relay) }),
  ...(punch || { holepunch: () => false })
})

let node = null
let server = null
let socket = null

function use (connection) {
  socket = connection
  connection.on('error', () => {})
  connection.on('open', () => report({ open: {
    publicKey: connection.publicKey.toString('hex'),
    remotePublicKey: connection.remotePublicKey.toString('hex'),
    handshakeHash: connection.handshakeHash.toString('hex')
  } }))
  connection.on('data', (data) => {
    const text = data.byteLength > 100 ? null : data.toString()
    report({ data: { size: data.byteLength, text } })
  })
  connection.on('end', () => { report({ end: true }); connection.end() })
  connection.on('close', () => report({ close: true }))
}

const commands = {
  async testnet (count) {
    const testnet = await createTestnet(count, { host: HOST })
    report({ nodes: testnet.nodes.map((node) => node.address().port) })
  },
  // A node of its own. `firewalled: false` says that everyone reaches it; else it believes that a firewall is before it.
  async node ({ bootstrap, ...options }) {
    node = new DHT({ bootstrap: bootstrap.map((port) => ({ host: HOST, port })), host: HOST, ...options })
    await node.fullyBootstrapped()
    report({ node: node.address().port })
  },
  async listen ({ refuse, ...options }) {
    server = node.createServer({ ...ways(options), firewall: (key) => !!refuse && key.toString('hex') === refuse })
    server.on('connection', use)
    await server.listen()
    report({ listening: server.publicKey.toString('hex') })
  },
  async relay () {
    const relay = new RelayServer({ createStream: (options) => node.createRawStream({ ...options, framed: true }) })
    const relayServer = node.createServer((connection) => {
      connection.on('error', () => {})
      relay.accept(connection, { id: connection.remotePublicKey }).on('error', () => {})
    })
    await relayServer.listen()
    report({ relaying: relayServer.publicKey.toString('hex') })
  },
  connect ({ key, ...options }) {
    const connection = node.connect(bytes(key), ways(options))
    connection.on('error', (error) => report({ error: error.code }))
    use(connection)
  },
  write ({ text, size }) {
    socket.write(text ? Buffer.from(text) : Buffer.alloc(size))
  },
  where () {
    report({ port: socket.rawStream.remotePort })
  },
  end () {
    socket.end()
  },
  async announce (topic) {
    await node.announce(bytes(topic), server._keyPair, server.relayAddresses).finished()
    report({ announced: true })
  },
  async lookup (topic) {
    const found = new Set()
    for await (const { peers } of node.lookup(bytes(topic))) {
      for (const { publicKey } of peers) found.add(publicKey.toString('hex'))
    }
    report({ found: [...found] })
  }
}

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    for (const [name, argument] of Object.entries(JSON.parse(line))) commands[name](argument)
  })
  .on('close', () => process.exit())
