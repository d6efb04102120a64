// A HyperDHT node that keeps nothing for others, in the network of the nodes named as host:port on the command line.
// It does what lines of JSON on stdin say, one after the other, and answers each with a line.
'use strict'

const readline = require('readline')
const DHT = require('hyperdht')

const bytes = (hex) => Buffer.from(hex, 'hex')

async function main () {
  const node = new DHT({ bootstrap: process.argv.slice(2), host: '127.0.0.1', ephemeral: true })
  await node.fullyBootstrapped()
  console.log(JSON.stringify({ ready: true }))
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { announce, lookup } = JSON.parse(line)
    if (announce) await node.announce(bytes(announce.topic), DHT.keyPair(bytes(announce.seed))).finished()
    const found = new Set()
    if (lookup) {
      for await (const { peers } of node.lookup(bytes(lookup))) {
        for (const { publicKey } of peers) found.add(publicKey.toString('hex'))
      }
    }
    console.log(JSON.stringify({ found: [...found] }))
  }
  process.exit()
}

main()
