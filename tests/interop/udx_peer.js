// One real UDX stream, driven by lines of JSON on stdin; what happens to it goes to stdout the same way.
'use strict'

const { createHash } = require('crypto')
const readline = require('readline')
const UDX = require('udx-native')

const HOST = '127.0.0.1'
const udx = new UDX()
const socket = udx.createSocket()
const stream = udx.createStream(Math.floor(Math.random() * 2 ** 32))
const received = createHash('sha256')
let size = 0
let started = 0

const report = (event) => console.log(JSON.stringify(event))

const commands = {
  connect: ({ port, id }) => stream.connect(socket, id, port, HOST),
  change: ({ port, id }) => stream.changeRemote(socket, id, port, HOST),
  write: ({ size, fill, times }) => {
    const block = Buffer.alloc(size, fill)
    for (let i = 0; i < times; i++) stream.write(block)
  },
  send: (text) => stream.send(Buffer.from(text)),
  end: () => stream.end(),
  destroy: () => stream.destroy(),
  cpu: () => report({ cpu: (process.cpuUsage().user + process.cpuUsage().system) / 1e6 })
}

stream.on('data', (data) => {
  if (!size) started = performance.now()
  size += data.byteLength
  received.update(data)
})
stream.on('end', () => {
  const seconds = (performance.now() - started) / 1000
  report({ end: { size, hash: received.digest('hex'), seconds } })
})
stream.on('message', (message) => report({ message: message.toString() }))
stream.on('error', (error) => report({ error: error.code || error.message }))
stream.on('close', () => report({ close: true }))

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    for (const [name, argument] of Object.entries(JSON.parse(line))) commands[name](argument)
  })
  .on('close', () => process.exit())

socket.bind(0, HOST)
report({ listening: { port: socket.address().port, id: stream.id } })
