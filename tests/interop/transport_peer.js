// One JavaScript peer of the transport bench; tests/bench/transport_peer.py says what it does. The kinds are tcp and udx.
'use strict'

const net = require('net')
const SecretStream = require('@hyperswarm/secret-stream')
const DHT = require('hyperdht')

const HOST = '127.0.0.1'
const CHUNK = 64 * 1024 // bytes
const TOPIC = 'f'.repeat(64)

const now = () => Number(process.hrtime.bigint()) / 1e6 // ms

function chatMessage (number) {
  return JSON.stringify({
    type: 'message',
    name: 'alice',
    message: `hello number ${number}`,
    topic: TOPIC,
    timestamp: 1700000000000 + number
  })
}

function percentile (values, percent) {
  const ranked = values.sort((a, b) => a - b)
  return ranked[Math.min(ranked.length - 1, Math.floor((ranked.length * percent) / 100))]
}

function secretStream (initiator, socket) {
  socket.setNoDelay(true)
  return polite(new SecretStream(initiator, socket))
}

function polite (stream) {
  stream.on('error', () => {})
  stream.on('end', () => stream.end())
  return stream
}

function take (stream) {
  stream.once('data', (first) => answer(stream, JSON.parse(first)))
}

async function serve () {
  process.stdin.on('end', () => process.exit()).resume()
  if (kind === 'udx') {
    const node = new DHT({ bootstrap: [], host: HOST, port: 0, ephemeral: false, firewalled: false })
    const server = node.createServer((stream) => take(polite(stream)))
    await server.listen()
    console.log(`${node.address().port}:${server.publicKey.toString('hex')}`)
    return
  }
  const server = net.createServer((socket) => take(secretStream(false, socket)))
  server.listen(0, HOST, () => console.log(server.address().port))
}

function answer (stream, { job, count }) {
  let received = 0
  stream.on('data', (message) => {
    if (job === 'echo') {
      JSON.parse(message.toString())
      stream.write(message)
      return
    }
    if (job === 'messages') {
      JSON.parse(message.toString())
      received++
    } else {
      received += message.byteLength
    }
    if (received >= count) stream.write('done')
  })
}

async function drive (port, handshakes, pings, messages, megabytes) {
  const results = {
    handshake: await timeHandshakes(port, handshakes),
    ...(await timePings(port, pings)),
    messages: (messages * 1000) / (await timeMessages(port, messages)),
    megabytes: (megabytes * 1000) / (await timeBytes(port, megabytes * 1e6))
  }
  console.log(JSON.stringify(results))
  process.exit()
}

let caller = null

async function dial (where) {
  if (kind === 'tcp') return secretStream(true, net.connect(where, HOST))
  const [port, key] = where.split(':')
  const relayAddresses = [{ host: HOST, port: Number(port) }]
  if (caller === null) {
    caller = new DHT({ bootstrap: relayAddresses, host: HOST, port: 0 })
    await caller.fullyBootstrapped()
  }
  return polite(caller.connect(Buffer.from(key, 'hex'), { relayAddresses }))
}

async function open (port) {
  const stream = await dial(port)
  await new Promise((resolve) => stream.once('open', resolve))
  return stream
}

async function start (port, job) {
  const stream = await open(port)
  stream.write(JSON.stringify(job))
  return stream
}

const data = (stream) => new Promise((resolve) => stream.once('data', resolve))
const drained = (stream) => new Promise((resolve) => stream.once('drain', resolve))

async function timeHandshakes (port, count) {
  const times = []
  for (let i = 0; i < count; i++) {
    const begin = now()
    const stream = await open(port)
    times.push(now() - begin)
    stream.destroy()
  }
  return percentile(times, 50)
}

async function timePings (port, count) {
  const stream = await start(port, { job: 'echo' })
  const times = []
  for (let i = 0; i < count * 1.1; i++) {
    const begin = now()
    const answered = data(stream)
    stream.write(chatMessage(i))
    JSON.parse((await answered).toString())
    times.push(now() - begin)
  }
  stream.destroy()
  const warm = times.slice(count / 10)
  return { rtt_p50: percentile(warm, 50), rtt_p99: percentile(warm, 99) }
}

async function timeMessages (port, count) {
  const stream = await start(port, { job: 'messages', count })
  const done = data(stream)
  const begin = now()
  for (let i = 0; i < count; i++) if (!stream.write(chatMessage(i))) await drained(stream)
  await done
  stream.destroy()
  return now() - begin
}

async function timeBytes (port, count) {
  const stream = await start(port, { job: 'bytes', count })
  const done = data(stream)
  const chunk = Buffer.alloc(CHUNK, 'chunk')
  const begin = now()
  for (let i = 0; i < Math.ceil(count / CHUNK); i++) if (!stream.write(chunk)) await drained(stream)
  await done
  stream.destroy()
  return now() - begin
}

const [kind, role, where, ...numbers] = process.argv.slice(2)
if (role === 'serve') serve()
else drive(where, ...numbers.map(Number))
