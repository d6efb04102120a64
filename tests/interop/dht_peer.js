// A network of real HyperDHT nodes on loopback, driven by lines of JSON on stdin; answers go to stdout the same way.
'use strict'

const readline = require('readline')
const createTestnet = require('hyperdht/testnet')
const DHT = require('hyperdht')

const report = (event) => console.log(JSON.stringify(event))
const bytes = (hex) => Buffer.from(hex, 'hex')

async function main () {
  const testnet = await createTestnet(4, { host: '127.0.0.1', port: 0 })
  const node = testnet.nodes[testnet.nodes.length - 1]

  const commands = {
    async lookup (topic) {
      const found = {}
      for await (const { peers } of node.lookup(bytes(topic))) {
        for (const { publicKey, relayAddresses } of peers) found[publicKey.toString('hex')] = relayAddresses
      }
      report({ found })
    },
    async announce ({ topic, seed }) {
      await node.announce(bytes(topic), DHT.keyPair(bytes(seed))).finished()
      report({ announced: true })
    },
    async mutablePut ({ seed, value, seq }) {
      await node.mutablePut(DHT.keyPair(bytes(seed)), bytes(value), { seq })
      report({ put: true })
    },
    async mutableGet (publicKey) {
      const got = await node.mutableGet(bytes(publicKey))
      report({ got: got && { seq: got.seq, value: got.value.toString('hex') } })
    },
    async immutableGet (hash) {
      const got = await node.immutableGet(bytes(hash))
      report({ got: got && got.value.toString('hex') })
    }
  }

  readline
    .createInterface({ input: process.stdin })
    .on('line', (line) => {
      for (const [name, argument] of Object.entries(JSON.parse(line))) commands[name](argument)
    })
    .on('close', () => process.exit())

  // The first began alone: it has no id yet and stores nothing.
  report({ nodes: testnet.nodes.slice(1).map((node) => node.address()) })
}

main()
