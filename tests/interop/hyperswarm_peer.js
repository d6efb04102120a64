// Real Hyperswarm peers on loopback, driven by lines of JSON on stdin; what happens goes to stdout the same way.
// One process holds as many swarms as are made, by their number, each with the defaults of the packages, since a user's
// has them too. Like LinkUp, a swarm writes its greeting first of all on each connection, then each message on all of
// them, one JSON object a write.
'use strict'

const { createHash } = require('crypto')
const readline = require('readline')
const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const HOST = '127.0.0.1'
const LONG = 1000 // characters of a field above which only their hash is told
const peers = new Map() // by number, what their swarms are made with
const swarms = new Map() // by number
const report = (event) => process.stdout.write(JSON.stringify(event) + '\n')
const bytes = (hex) => Buffer.from(hex, 'hex')

function shorten (message) {
  const hash = (text) => createHash('sha256').update(text).digest('hex')
  const entries = Object.entries(message)
  return Object.fromEntries(entries.map(([key, value]) => [key, value.length > LONG ? hash(value) : value]))
}

function use (connection, number, greeting) {
  const key = connection.remotePublicKey.toString('hex')
  const hash = connection.handshakeHash.toString('hex')
  const reachable = connection.rawStream.socket === swarms.get(number).dht.io.serverSocket
  report({ event: 'connection', number, key, hash, initiator: connection.isInitiator, reachable })
  connection.on('error', () => {})
  connection.on('data', (data) => report({ event: 'received', number, key, message: shorten(JSON.parse(data)) }))
  connection.on('close', () => report({ event: 'close', number, key, hash }))
  if (greeting) connection.write(JSON.stringify(greeting))
}

function swarmOf (number) {
  if (swarms.has(number)) return swarms.get(number)
  const { greeting, ...options } = peers.get(number)
  const swarm = new Hyperswarm(options)
  swarm.on('connection', (connection) => use(connection, number, greeting))
  swarms.set(number, swarm)
  return swarm
}

const commands = {
  async testnet ({ size }) {
    const testnet = await createTestnet(size, { host: HOST })
    report({ event: 'testnet', ports: testnet.bootstrap.map(({ port }) => port) })
  },
  // A swarm is made when it joins its first topic, as programs do it: it then announces itself from the one of its two
  // sockets, and once it knows that its other one can be reached it speaks from that.
  swarm ({ number, bootstrap, seed, greeting }) {
    const keyPair = DHT.keyPair(seed && bytes(seed))
    peers.set(number, { keyPair, bootstrap: bootstrap.map((port) => ({ host: HOST, port })), greeting })
    report({ event: 'ready', number, key: keyPair.publicKey.toString('hex') })
  },
  async join ({ number, topic, ...options }) {
    await swarmOf(number).join(bytes(topic), options).flushed()
    report({ event: 'flushed', number })
  },
  async leave ({ number, topic }) {
    await swarms.get(number).leave(bytes(topic))
    report({ event: 'left', number })
  },
  write ({ number, message }) {
    for (const connection of swarms.get(number).connections) connection.write(JSON.stringify(message))
  },
  async destroy ({ number }) {
    await swarms.get(number).destroy()
    report({ event: 'destroyed', number })
  }
}

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { command, ...options } = JSON.parse(line)
    commands[command](options)
  })
  .on('close', () => process.exit())
