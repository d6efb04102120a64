// One JavaScript process of the swarm bench; tests/bench/swarm_peer.py says what it does.
'use strict'

const crypto = require('crypto')
const Corestore = require('corestore')
const DHT = require('hyperdht')
const Hyperdrive = require('hyperdrive')
const Hyperswarm = require('hyperswarm')

const HOST = '127.0.0.1'
const MEGABYTES = 256
const PEERS = 50

const say = (what) => console.log(JSON.stringify(what))

function swarmOn (nodes, use) {
  const swarm = new Hyperswarm({ dht: new DHT({ bootstrap: nodes, host: HOST }) })
  swarm.on('connection', (connection) => {
    connection.on('error', () => {})
    use(connection, swarm)
  })
  return swarm
}

async function share (folder, ...nodes) {
  const store = new Corestore(folder)
  const drive = new Hyperdrive(store)
  await drive.ready()
  const piece = crypto.randomBytes(2 ** 20)
  const stream = drive.createWriteStream('/big')
  const closed = new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject))
  for (let i = 0; i < MEGABYTES; i++) {
    if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve))
  }
  stream.end()
  await closed
  const swarm = swarmOn(nodes, (connection) => store.replicate(connection))
  await swarm.join(drive.discoveryKey, { server: true, client: false }).flushed()
  say({ key: drive.key.toString('hex') })
}

async function copy (folder, key, ...nodes) {
  const store = new Corestore(folder)
  const drive = new Hyperdrive(store, Buffer.from(key, 'hex'))
  await drive.ready()
  const swarm = swarmOn(nodes, (connection) => store.replicate(connection))
  const started = process.hrtime.bigint()
  swarm.join(drive.discoveryKey, { server: false, client: true })
  while (drive.version < 2) await new Promise((resolve) => drive.core.once('append', resolve))
  await drive.download('/').done()
  say({ drive: MEGABYTES * 1.048576 / (Number(process.hrtime.bigint() - started) / 1e9) })
}

async function host (...nodes) {
  const topic = crypto.randomBytes(32)
  const swarm = swarmOn(nodes, (_, swarm) => {
    if (swarm.connections.size === PEERS) say({ memory: process.memoryUsage().rss / 2 ** 20 })
  })
  await swarm.join(topic, { server: true, client: false }).flushed()
  say({ topic: topic.toString('hex') })
}

async function crowd (topic, ...nodes) {
  for (let i = 0; i < PEERS; i++) {
    swarmOn(nodes, () => {}).join(Buffer.from(topic, 'hex'), { server: false, client: true })
  }
}

process.stdin.resume().on('close', () => process.exit())
const [task, ...rest] = process.argv.slice(2)
void { share, copy, host, crowd }[task](...rest)
