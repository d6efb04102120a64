// Real Hyperswarm peers on loopback, driven by lines of JSON on stdin; what happens goes to stdout the same way.
// Messages go as LinkUp sends them: to every connection, one JSON object a write.
'use strict'

const readline = require('readline')
const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const HOST = '127.0.0.1'
const LONG = 1000 // bytes of a field above which only its size is told
const tell = (event) => console.log(JSON.stringify(event))
const bytes = (hex) => Buffer.from(hex, 'hex')

let swarm = null
let greeting = null

function shorten (message) {
  const entries = Object.entries(message)
  return Object.fromEntries(entries.map(([key, value]) => [key, value.length > LONG ? value.length : value]))
}

function use (connection) {
  const key = connection.remotePublicKey.toString('hex')
  tell({ connection: { key, initiator: connection.isInitiator } })
  connection.on('error', () => {})
  connection.on('data', (data) => tell({ heard: { key, message: shorten(JSON.parse(data)) } }))
  connection.on('close', () => tell({ close: key }))
  if (greeting) connection.write(JSON.stringify(greeting))
}

const commands = {
  async testnet (count) {
    const testnet = await createTestnet(count, { host: HOST })
    tell({ nodes: testnet.nodes.map((node) => node.address().port) })
  },
  // `greet` is what is written to each connection first; the others are options of the DHT node.
  async swarm ({ bootstrap, seed, greet, ...options }) {
    greeting = greet
    const dht = new DHT({ bootstrap: bootstrap.map((port) => ({ host: HOST, port })), host: HOST, ...options })
    swarm = new Hyperswarm({ dht, seed: seed && bytes(seed) })
    swarm.on('connection', use)
    await dht.fullyBootstrapped()
    tell({ ready: swarm.keyPair.publicKey.toString('hex') })
  },
  async join ({ topic, ...options }) {
    await swarm.join(bytes(topic), options).flushed()
    tell({ flushed: true })
  },
  async leave (topic) {
    await swarm.leave(bytes(topic))
    tell({ left: true })
  },
  write (message) {
    for (const connection of swarm.connections) connection.write(JSON.stringify(message))
  },
  async destroy () {
    await swarm.destroy()
    tell({ destroyed: true })
  }
}

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    for (const [name, argument] of Object.entries(JSON.parse(line))) commands[name](argument)
  })
  .on('close', () => process.exit())
