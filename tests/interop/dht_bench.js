// The JavaScript side of the DHT bench; tests/bench/dht_peer.py says what it does.
'use strict'

const readline = require('readline')
const { randomBytes } = require('crypto')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const now = () => Number(process.hrtime.bigint()) / 1e6 // ms
const say = (fields) => console.log(JSON.stringify(fields))

async function timed (query) {
  const begun = now()
  await query.finished()
  return now() - begun
}

async function main () {
  const count = Number(process.argv[2])
  const keys = DHT.keyPair()
  const begun = now()
  const { nodes } = await createTestnet(count, { host: '127.0.0.1' })
  say({ ready: now() - begun })
  const node = nodes[count >> 1]
  for await (const order of readline.createInterface({ input: process.stdin })) {
    const announce = []
    const lookup = []
    for (let i = 0; i < Number(order); i++) announce.push(await timed(node.announce(randomBytes(32), keys, [])))
    for (let i = 0; i < Number(order); i++) lookup.push(await timed(node.lookup(randomBytes(32))))
    say({ announce, lookup })
  }
  process.exit()
}

main()
