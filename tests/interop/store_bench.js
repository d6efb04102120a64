// One JavaScript process of the store bench; tests/bench/store_peer.py says what it does.
'use strict'

const crypto = require('crypto')
const net = require('net')
const Corestore = require('corestore')
const Hyperdrive = require('hyperdrive')
const SecretStream = require('@hyperswarm/secret-stream')

const HOST = '127.0.0.1'
const BLOCKS = 100_000
const BLOCK = 200 // bytes
const SINGLE = 2000
const GETS = 20_000
const FILES = 10_000
const FILE = 1024 // bytes
const MEGABYTES = 256

const figures = {}
const name = (index) => `/dir${index % 100}/file-${index}.txt`
const memory = () => process.resourceUsage().maxRSS / 1024

async function rate (key, count, work) {
  const started = process.hrtime.bigint()
  await work()
  const passed = Number(process.hrtime.bigint() - started) / 1e9 // s
  figures[key] = count ? count / passed : passed * 1000
}

async function measureCore (store) {
  const one = store.get({ name: 'one' })
  const core = store.get({ name: 'batch' })
  await Promise.all([one.ready(), core.ready()])
  const block = crypto.randomBytes(BLOCK)
  await rate('append_one', SINGLE, async () => {
    for (let i = 0; i < SINGLE; i++) await one.append(block)
  })
  await rate('append_batch', BLOCKS, async () => {
    for (let i = 0; i < BLOCKS; i += 1000) await core.append(new Array(1000).fill(block))
  })
  await rate('get_random', GETS, async () => {
    for (let i = 0; i < GETS; i++) await core.get((i * 7919) % BLOCKS)
  })
  await rate('get_stream', BLOCKS, async () => {
    for await (const _ of core.createReadStream()) void _ // eslint-disable-line
  })
  return core
}

async function open (store, key) {
  const drive = new Hyperdrive(store, key)
  await drive.ready()
  return drive
}

async function measureFiles (store) {
  const single = await open(store.namespace('single'))
  const drive = await open(store.namespace('small'))
  const data = crypto.randomBytes(FILE)
  await rate('put_one', SINGLE, async () => {
    for (let i = 0; i < SINGLE; i++) await single.put(name(i), data)
  })
  await rate('put_batch', FILES, async () => {
    const batch = drive.batch()
    for (let i = 0; i < FILES; i++) await batch.put(name(i), data)
    await batch.flush()
  })
  await rate('get_files', FILES, async () => {
    for (let i = 0; i < FILES; i++) await drive.get(name(i))
  })
  await rate('get_files_64', FILES, async () => {
    let next = 0
    await Promise.all(Array.from({ length: 64 }, async () => {
      while (next < FILES) await drive.get(name(next++))
    }))
  })
  await rate('list', 0, async () => {
    for await (const _ of drive.list('/')) void _ // eslint-disable-line
  })
  await rate('readdir', 0, async () => {
    for await (const _ of drive.readdir('/')) void _ // eslint-disable-line
  })
  await rate('checkout', 1000, async () => {
    for (let i = 0; i < 1000; i++) {
      const version = 2 + (i * 7919) % SINGLE
      await single.checkout(version).get(name(version - 2))
    }
  })
  const before = drive.version
  const batch = drive.batch()
  for (let i = 0; i < 1000; i++) await batch.put(name(i * 7), Buffer.from('x'))
  await batch.flush()
  await rate('diff', 0, async () => {
    for await (const _ of drive.diff(before, '/')) void _ // eslint-disable-line
  })
  return drive
}

async function measureBig (store) {
  const drive = await open(store.namespace('big'))
  const piece = crypto.randomBytes(2 ** 20)
  await rate('put_big', MEGABYTES * 1.048576, async () => {
    const stream = drive.createWriteStream('/big')
    const closed = new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject))
    for (let i = 0; i < MEGABYTES; i++) {
      if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve))
    }
    stream.end()
    await closed
  })
  await rate('stream_big', MEGABYTES * 1.048576, async () => {
    for await (const _ of drive.createReadStream('/big')) void _ // eslint-disable-line
  })
  figures.memory = memory()
  await rate('get_big', MEGABYTES * 1.048576, () => drive.get('/big'))
  return drive
}

async function write (folder) {
  const store = new Corestore(folder)
  const core = await measureCore(store)
  const small = await measureFiles(store)
  const big = await measureBig(store)
  const server = net.createServer((socket) => replicate(store, false, socket))
  await new Promise((resolve) => server.listen(0, HOST, resolve))
  const key = (thing) => thing.key.toString('hex')
  const where = { port: server.address().port, core: key(core), small: key(small), big: key(big), version: small.version }
  console.log(JSON.stringify({ figures, where }))
  process.stdin.on('end', () => process.exit(0)).resume()
}

function replicate (store, initiator, socket) {
  socket.setNoDelay(true)
  const stream = new SecretStream(initiator, socket)
  stream.on('error', () => {})
  store.replicate(stream)
  return stream
}

async function joined (folder, port) {
  const store = new Corestore(folder)
  await store.ready()
  const stream = replicate(store, true, net.connect(port, HOST))
  await new Promise((resolve) => stream.once('open', resolve))
  return store
}

async function read (folder, where) {
  const store = await joined(folder + '/core', where.port)
  await rate('replicate_core', BLOCKS, async () => {
    const core = store.get({ key: Buffer.from(where.core, 'hex') })
    await core.ready()
    await core.update({ wait: true })
    await core.download({ start: 0, end: BLOCKS }).done()
  })
  for (const [kind, count] of [['big', MEGABYTES * 1.048576], ['small', FILES]]) {
    const store = await joined(folder + '/' + kind, where.port)
    await rate('replicate_' + kind, count, async () => {
      const drive = await open(store, Buffer.from(where[kind], 'hex'))
      const version = kind === 'small' ? where.version : 2
      while (drive.version < version) await drive.update({ wait: true })
      await drive.download('/').done()
    })
  }
  figures.memory = memory()
  console.log(JSON.stringify(figures))
  process.exit(0)
}

if (process.argv[2] === 'write') write(process.argv[3])
else read(process.argv[3], JSON.parse(process.argv[4]))
