// A JavaScript peer with a Corestore, driven by JSON lines: {id, op, ...} in, {id, result | error} out; bytes are hex.
// It meets others over TCP (`listen`, `connect`), or on topics of a DHT network whose nodes it is told (`swarm`, `join`).
'use strict'

const net = require('net')
const readline = require('readline')
const path = require('path')
const crypto = require('hypercore-crypto')
const Hypercore = require('hypercore')
const Verifier = require('hypercore/lib/verifier')
const Corestore = require('corestore')
const Hyperdrive = require('hyperdrive')
const ServeDrive = require('serve-drive')
const SecretStream = require('@hyperswarm/secret-stream')
const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')

console.log = console.error // the answers alone go to the output
const HOST = '127.0.0.1'
const store = new Corestore(process.argv[2], { primaryKey: Buffer.alloc(32, 9), unsafe: true })
const cores = new Map()
const drives = new Map()
const streams = new Set()
const loose = new Set() // cores that no Corestore makes
let swarm = null

const bytes = (hex) => (hex ? Buffer.from(hex, 'hex') : null)

function replicate (initiator, socket) {
  socket.setNoDelay(true)
  const stream = new SecretStream(initiator, socket)
  stream.on('error', () => {})
  stream.on('close', () => streams.delete(stream))
  streams.add(stream)
  store.replicate(stream)
  for (const core of loose) core.replicate(stream)
}

function describe (core) {
  return {
    key: core.key.toString('hex'),
    length: core.length,
    byteLength: core.byteLength,
    contiguousLength: core.contiguousLength,
    fork: core.fork,
    peers: core.peers.length
  }
}

const ops = {
  async listen () {
    const server = net.createServer((socket) => replicate(false, socket))
    await new Promise((resolve) => server.listen(0, HOST, resolve))
    return server.address().port
  },
  async connect ({ port }) {
    const socket = net.connect(port, HOST)
    await new Promise((resolve, reject) => socket.on('connect', resolve).on('error', reject))
    replicate(true, socket)
  },
  async swarm ({ ports, seed }) {
    const dht = new DHT({ bootstrap: ports.map((port) => ({ host: HOST, port })), host: HOST })
    swarm = new Hyperswarm({ dht, seed: bytes(seed) })
    swarm.on('connection', (connection) => {
      connection.on('error', () => {})
      store.replicate(connection)
    })
    await dht.fullyBootstrapped()
  },
  async join ({ topic }) {
    await swarm.join(bytes(topic)).flushed()
  },
  async disconnect () {
    for (const stream of streams) stream.destroy()
  },
  async streams () {
    return streams.size
  },
  async core ({ handle, name, key, namespace, encryptionKey }) {
    const from = namespace ? store.namespace(namespace) : store
    const core = from.get({ name, key: bytes(key) || undefined, encryptionKey: bytes(encryptionKey) || undefined })
    await core.ready()
    core.on('conflict', () => {})
    cores.set(handle, core)
    return describe(core)
  },
  async openMany ({ count }) {
    for (let i = 0; i < count; i++) await store.get({ name: 'many ' + i }).ready()
  },
  async loose ({ handle, key, seed, manifest, compat, encryptionKey }) {
    const core = new Hypercore(path.join(process.argv[2], 'loose-' + handle), bytes(key), {
      manifest: manifest ? Verifier.decodeManifest(bytes(manifest)) : undefined,
      keyPair: seed ? crypto.keyPair(bytes(seed)) : undefined,
      encryptionKey: bytes(encryptionKey) || undefined,
      compat
    })
    await core.ready()
    cores.set(handle, core)
    loose.add(core)
    return describe(core)
  },
  async appendSigned ({ handle, blocks, signature }) {
    await cores.get(handle).append(blocks.map((hex) => Buffer.from(hex, 'hex')), { signature: bytes(signature) })
    return describe(cores.get(handle))
  },
  async frozen ({ handle }) {
    const core = cores.get(handle)
    while (!core.core.header.frozen) await new Promise((resolve) => setTimeout(resolve, 20))
    return true
  },
  async close ({ handle }) {
    cores.get(handle).core.replicator._notDownloadingLinger = 0 // otherwise it says so after 20 to 40 seconds
    await cores.get(handle).close()
  },
  async info ({ handle }) {
    return describe(cores.get(handle))
  },
  async append ({ handle, blocks }) {
    await cores.get(handle).append(blocks.map((hex) => Buffer.from(hex, 'hex')))
    return describe(cores.get(handle))
  },
  async appendMany ({ handle, count, size }) {
    const core = cores.get(handle)
    for (let from = 0; from < count; from += 1000) {
      const batch = []
      for (let i = from; i < Math.min(count, from + 1000); i++) batch.push(Buffer.alloc(size, 'block ' + i + ' '))
      await core.append(batch)
    }
    return describe(core)
  },
  async get ({ handle, index }) {
    const block = await cores.get(handle).get(index, { timeout: 20000 })
    return block && block.toString('hex')
  },
  async update ({ handle }) {
    await cores.get(handle).update({ wait: true })
    return describe(cores.get(handle))
  },
  async download ({ handle, start, end }) {
    await cores.get(handle).download({ start, end }).done()
    return describe(cores.get(handle))
  },
  async truncate ({ handle, length }) {
    await cores.get(handle).truncate(length)
    return describe(cores.get(handle))
  },
  async clear ({ handle, start, end }) {
    await cores.get(handle).clear(start, end)
    return describe(cores.get(handle))
  },
  async seek ({ handle, offset }) {
    return cores.get(handle).seek(offset)
  },
  async drive ({ handle, key }) {
    const drive = new Hyperdrive(store, bytes(key) || undefined)
    await drive.ready()
    drives.set(handle, drive)
    return { key: drive.key.toString('hex'), version: drive.version }
  },
  async waitVersion ({ handle, version }) {
    const drive = drives.get(handle)
    await drive.update({ wait: true })
    while (drive.version < version) await new Promise((resolve) => drive.core.once('append', resolve))
    return drive.version
  },
  async fetched ({ handle, count }) {
    const { core } = await drives.get(handle).getBlobs()
    while (core.contiguousLength < count) await new Promise((resolve) => core.once('download', resolve))
    return core.contiguousLength
  },
  async put ({ handle, path, data, size, options }) {
    await drives.get(handle).put(path, size === undefined ? Buffer.from(data, 'hex') : Buffer.alloc(size, path), options)
  },
  async batch ({ handle, changes }) {
    const batch = drives.get(handle).batch()
    for (const [path, data] of changes) {
      if (data === null) await batch.del(path)
      else await batch.put(path, Buffer.from(data, 'hex'))
    }
    await batch.flush()
    return drives.get(handle).version
  },
  async symlink ({ handle, path, target }) {
    await drives.get(handle).symlink(path, target)
  },
  async del ({ handle, path }) {
    await drives.get(handle).del(path)
  },
  async write ({ handle, path, pieces, options }) {
    const stream = drives.get(handle).createWriteStream(path, options)
    for (const piece of pieces) stream.write(Buffer.from(piece, 'hex'))
    stream.end()
    await new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject))
  },
  async edit ({ handle, changes }) {
    const drive = drives.get(handle)
    for (const [path, data] of changes) await (data === null ? drive.del(path) : drive.put(path, Buffer.from(data, 'hex')))
    return drive.version
  },
  async read ({ handle, path, version }) {
    const drive = drives.get(handle)
    const data = await (version === undefined ? drive : drive.checkout(version)).get(path)
    return data && data.toString('hex')
  },
  async digest ({ handle, path }) {
    const hash = require('crypto').createHash('sha256')
    for await (const data of drives.get(handle).createReadStream(path)) hash.update(data)
    return hash.digest('hex')
  },
  async list ({ handle, folder, version }) {
    const drive = drives.get(handle)
    const found = []
    for await (const { key, value } of (version === undefined ? drive : drive.checkout(version)).list(folder)) {
      found.push([key, value.executable, value.linkname, value.blob && value.blob.byteLength, value.metadata])
    }
    return found
  },
  async readdir ({ handle, folder }) {
    const names = []
    for await (const name of drives.get(handle).readdir(folder)) names.push(name)
    return names
  },
  async diff ({ handle, version, folder, newer }) {
    const drive = drives.get(handle)
    const found = []
    for await (const { left, right } of (newer === undefined ? drive : drive.checkout(newer)).diff(version, folder)) {
      found.push([(left || right).key, right && right.value.blob && right.value.blob.byteOffset, left && left.value.blob && left.value.blob.byteOffset])
    }
    return found.sort()
  },
  async serve ({ handle, token, links }) {
    const server = new ServeDrive({ host: HOST, port: 0, token: Buffer.from(token, 'hex'), get: () => drives.get(handle) })
    await server.ready()
    return links.map(([path, options]) => server.getLink(path, options))
  },
  async waitLength ({ handle, length, fork }) {
    const core = cores.get(handle)
    while (core.length !== length || (fork !== undefined && core.fork !== fork)) {
      await new Promise((resolve) => {
        core.once('append', resolve)
        core.once('truncate', resolve)
      })
    }
    return describe(core)
  }
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, op, ...rest } = JSON.parse(line)
  let answer
  try {
    answer = { id, result: (await ops[op](rest)) ?? null }
  } catch (error) {
    answer = { id, error: error.stack }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}).on('close', () => process.exit(0))
