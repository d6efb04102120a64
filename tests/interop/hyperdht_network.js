// Real HyperDHT nodes and Hyperswarms in a network whose bootstrap nodes are named on stdin; lines of JSON both ways.
'use strict'

const readline = require('readline')
const DHT = require('hyperdht')
const Hyperswarm = require('hyperswarm')

const HOST = '127.0.0.1'

const report = (event) => console.log(JSON.stringify(event))
const bytes = (hex) => Buffer.from(hex, 'hex')
const sequence = []
let node = null // the one that asks

function hear (swarm, hello) {
  return new Promise((resolve, reject) => {
    swarm.on('connection', (connection) => {
      connection.on('error', reject)
      connection.once('data', (data) => resolve(data.toString()))
      connection.write(hello)
    })
  })
}

const commands = {
  // Nodes that keep things for others; without bootstrap nodes, the first is theirs.
  async nodes ({ count, bootstrap }) {
    const nodes = []
    for (let i = 0; i < count; i++) {
      const made = new DHT({ bootstrap, host: HOST, port: 0, ephemeral: false, firewalled: false })
      await made.fullyBootstrapped()
      nodes.push(made.address())
      if (bootstrap.length === 0) bootstrap = [made.address()]
    }
    report({ nodes })
  },
  async requester ({ bootstrap }) {
    node = new DHT({ bootstrap, host: HOST, port: 0 })
    await node.fullyBootstrapped()
    report({ requester: { firewalled: node.firewalled, host: node.host, port: node.port } })
  },
  async lookup (topic) {
    const found = {}
    for await (const { peers } of node.lookup(bytes(topic))) {
      for (const { publicKey, relayAddresses } of peers) found[publicKey.toString('hex')] = relayAddresses
    }
    report({ found })
  },
  // The topics on which nobody is found within `patience` seconds.
  async missing ({ topics, patience }) {
    const find = async (topic) => {
      for await (const { peers } of node.lookup(bytes(topic))) if (peers.length > 0) return true
      return false
    }
    const late = new Promise((resolve) => setTimeout(resolve, patience * 1000, false))
    const found = await Promise.all(topics.map((topic) => Promise.race([find(topic), late])))
    report({ missing: topics.filter((topic, i) => !found[i]) })
  },
  async findPeer (publicKey) {
    const relays = []
    for await (const { from } of node.findPeer(bytes(publicKey))) relays.push(from.port)
    report({ relays })
  },
  async bumps (topic) {
    const bumps = new Set()
    for await (const { bump } of node.lookup(bytes(topic))) bumps.add(bump)
    report({ bumps: [...bumps] })
  },
  async announce ({ topic, seed, relays, bump }) {
    const query = node.announce(bytes(topic), DHT.keyPair(bytes(seed)), relays, { bump })
    await query.finished()
    report({ announced: query.closestNodes.length })
  },
  async unannounce ({ topic, seed }) {
    await node.unannounce(bytes(topic), DHT.keyPair(bytes(seed)))
    report({ unannounced: true })
  },
  async mutablePut ({ seed, value, seq }) {
    const { closestNodes } = await node.mutablePut(DHT.keyPair(bytes(seed)), bytes(value), { seq })
    report({ put: closestNodes.length })
  },
  async mutableGet (publicKey) {
    const got = await node.mutableGet(bytes(publicKey))
    report({ got: got && { seq: got.seq, value: got.value.toString('hex') } })
  },
  async immutablePut (value) {
    const { hash } = await node.immutablePut(bytes(value))
    report({ put: hash.toString('hex') })
  },
  async immutableGet (hash) {
    const got = await node.immutableGet(bytes(hash))
    report({ got: got && got.value.toString('hex') })
  },
  // Two Hyperswarms on one topic, on hosts of their own lest they connect as on a LAN; each tells what it hears.
  async meet ({ bootstrap, firewalled, topic }) {
    const swarms = firewalled.map((behind, i) => {
      const options = behind ? { quickFirewall: false } : { firewalled: false }
      return new Hyperswarm({ dht: new DHT({ bootstrap, host: `127.0.0.${i + 2}`, port: 0, ...options }) })
    })
    const hellos = swarms.map((swarm, i) => hear(swarm, `hello from ${i}`))
    for (const swarm of swarms) await swarm.join(bytes(topic)).flushed() // theirs sometimes fails if both join at once
    const replies = await Promise.all(hellos)
    await Promise.all(swarms.map((swarm) => swarm.destroy()))
    report({ met: replies })
  }
}

async function perform (line) {
  for (const [name, argument] of Object.entries(JSON.parse(line))) await commands[name](argument)
}

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => sequence.push(line) === 1 && next())
  .on('close', () => process.exit())

async function next () {
  while (sequence.length > 0) {
    await perform(sequence[0])
    sequence.shift()
  }
}
