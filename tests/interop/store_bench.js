// One JavaScript process of the store bench; tests/bench/store_peer.py says what it does.
'use strict'

const crypto = require('crypto')
const net = require('net')
const readline = require('readline')
const Corestore = require('corestore')
const Hyperdrive = require('hyperdrive')
const SecretStream = require('@hyperswarm/secret-stream')

const HOST = '127.0.0.1'
const BLOCKS = 100_000
const BLOCK = 200 // bytes
const SINGLE = 2000
const AT_ONCE = 50
const SECRET = 20_000
const GETS = 20_000
const FILES = 10_000
const FILE = 1024 // bytes
const MEGABYTES = 256

let largest = 0
const name = (index) => `/dir${index % 100}/file-${index}.txt`
const memory = () => process.resourceUsage().maxRSS / 1024

const turns = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (what) => console.log(JSON.stringify(what))

async function rate (key, count, work) {
  await turns.next()
  const started = process.hrtime.bigint()
  await work()
  const passed = Number(process.hrtime.bigint() - started) / 1e9 // s
  say({ [key]: count ? count / passed : passed * 1000 })
}

async function measureCore (store) {
  const one = store.get({ name: 'one' })
  const core = store.get({ name: 'batch' })
  await Promise.all([one.ready(), core.ready()])
  const block = crypto.randomBytes(BLOCK)
  await rate('append_one', SINGLE, async () => {
    for (let i = 0; i < SINGLE; i++) await one.append(block)
  })
  const unsynced = store.get({ name: 'unsynced' })
  await unsynced.ready()
  await rate('append_unsynced', SINGLE, async () => {
    for (let i = 0; i < SINGLE; i++) await unsynced.append(block)
  })
  await rate('append_many', SINGLE, async () => {
    for (let i = 0; i + AT_ONCE <= SINGLE; i += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => one.append(block)))
    }
  })
  const secret = store.get({ name: 'secret', encryptionKey: crypto.randomBytes(32) })
  await secret.ready()
  await rate('append_encrypted', SECRET, async () => {
    for (let i = 0; i < SECRET; i += 1000) await secret.append(new Array(1000).fill(block))
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

async function ended () {
  while (!(await turns.next()).done) continue
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

async function putBig (drive) {
  const piece = crypto.randomBytes(2 ** 20)
  const stream = drive.createWriteStream('/big')
  const closed = new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject))
  for (let i = 0; i < MEGABYTES; i++) {
    if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve))
  }
  stream.end()
  await closed
}

async function measureBig (store) {
  const drive = await open(store.namespace('big'))
  await rate('put_big', MEGABYTES * 1.048576, () => putBig(drive))
  await rate('stream_big', MEGABYTES * 1.048576, async () => {
    for await (const _ of drive.createReadStream('/big')) void _ // eslint-disable-line
  })
  largest = memory()
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
  say({ memory: largest, where })
  await ended()
  process.exit(0)
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
  say({ memory: memory() })
  await ended()
  process.exit(0)
}

// One thing with a file of 256 MB, for the memory that takes.

async function put (folder) {
  const drive = await open(new Corestore(folder))
  await putBig(drive)
  await drive.close()
}

async function stream (folder) {
  const drive = await open(new Corestore(folder))
  for await (const _ of drive.createReadStream('/big')) void _ // eslint-disable-line
}

async function share (folder) {
  const store = new Corestore(folder)
  const drive = await open(store)
  const server = net.createServer((socket) => replicate(store, false, socket))
  await new Promise((resolve) => server.listen(0, HOST, resolve))
  say({ port: server.address().port, big: drive.key.toString('hex') })
  await ended()
}

async function copy (folder, where) {
  const drive = await open(await joined(folder, where.port), Buffer.from(where.big, 'hex'))
  while (drive.version < 2) await drive.update({ wait: true })
  await drive.download('/').done()
}

async function main (task, folder, where) {
  if (task === 'write') return write(folder)
  if (task === 'read') return read(folder, where)
  await { put, stream, share, copy }[task](folder, where)
  say({ ['memory_' + task]: memory() })
  process.exit(0)
}

main(process.argv[2], process.argv[3], JSON.parse(process.argv[4] || '{}'))
