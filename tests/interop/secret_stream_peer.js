// One real secret stream over TCP, driven by lines of JSON on stdin; what happens to it goes to stdout the same way.
// Usage: node secret_stream_peer.js listen | node secret_stream_peer.js connect PORT
'use strict'

const { createHash } = require('crypto')
const net = require('net')
const readline = require('readline')
const SecretStream = require('@hyperswarm/secret-stream')

const HOST = '127.0.0.1'
const [role, port] = process.argv.slice(2)
let stream = null

const report = (event) => console.log(JSON.stringify(event))
const hex = (bytes) => Buffer.from(bytes).toString('hex')

function use (initiator, socket) {
  stream = new SecretStream(initiator, socket)
  stream.on('open', () => {
    report({
      open: {
        publicKey: hex(stream.publicKey),
        remotePublicKey: hex(stream.remotePublicKey),
        handshakeHash: hex(stream.handshakeHash)
      }
    })
  })
  stream.on('data', (data) => report({ message: { size: data.byteLength, hash: hash(data) } }))
  stream.on('end', () => stream.end())
  stream.on('error', (error) => report({ error: error.message }))
  stream.on('close', () => report({ close: true }))
}

const hash = (data) => createHash('sha256').update(data).digest('hex')

const commands = {
  send: ({ size, fill }) => stream.write(Buffer.alloc(size, fill)),
  keepAlive: (milliseconds) => stream.setKeepAlive(milliseconds),
  pause: () => stream.pause(),
  resume: () => stream.resume(),
  end: () => stream.end()
}

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    for (const [name, argument] of Object.entries(JSON.parse(line))) commands[name](argument)
  })
  .on('close', () => process.exit())

if (role === 'connect') {
  use(true, net.connect(Number(port), HOST))
} else {
  const server = net.createServer((socket) => use(false, socket))
  server.listen(0, HOST, () => report({ listening: server.address().port }))
}
