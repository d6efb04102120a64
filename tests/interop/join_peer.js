// The JavaScript side of the join bench. `testnet` runs a private DHT on loopback and prints its nodes;
// `peer HOST:PORT…` is one Hyperswarm on it: tests/bench/join_peer.py says what it does.
'use strict'

const readline = require('readline')
const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const HOST = '127.0.0.1'
const NODES = 4

const now = () => Number(process.hrtime.bigint()) / 1e6 // ms
const say = (fields) => process.stdout.write(JSON.stringify(fields) + '\n')
const orders = readline.createInterface({ input: process.stdin })
orders.on('close', () => process.exit())

async function testnet () {
  const { bootstrap } = await createTestnet(NODES, { host: HOST })
  say({ bootstrap: bootstrap.map(({ host, port }) => `${host}:${port}`) })
}

async function peer (bootstrap) {
  const swarm = new Hyperswarm({ dht: new DHT({ bootstrap, host: HOST }) })
  let begun = 0
  swarm.on('connection', (connection) => {
    connection.on('error', () => {})
    say({ connection: now() - begun })
  })
  await swarm.dht.fullyBootstrapped()
  orders.on('line', (topic) => {
    begun = now()
    const discovery = swarm.join(Buffer.from(topic, 'hex'), { server: true, client: true })
    discovery.flushed().then(() => say({ flushed: now() - begun }))
  })
  say({ ready: true })
}

const [role, ...nodes] = process.argv.slice(2)
if (role === 'testnet') testnet()
else peer(nodes)
