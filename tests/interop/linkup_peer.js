// A peer that talks as the LinkUp desktop app does: JSON over the real secret stream, its icon first and without a topic.
// It prints its public key and port, then what it receives; every line on its standard input is written to its peer.
'use strict'

const net = require('net')
const readline = require('readline')
const SecretStream = require('@hyperswarm/secret-stream')

const [name, avatar] = process.argv.slice(2)
const keyPair = SecretStream.keyPair()

const server = net.createServer((socket) => {
  const stream = new SecretStream(false, socket, { keyPair })
  stream.on('error', () => {})
  stream.on('data', (message) => console.log(message.toString()))
  stream.write(JSON.stringify({ type: 'icon', username: name, avatar, timestamp: Date.now() }))
  readline.createInterface({ input: process.stdin }).on('line', (line) => stream.write(line))
})

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ key: keyPair.publicKey.toString('hex'), port: server.address().port }))
})
process.stdin.on('end', () => process.exit())
