// Programs from npm that nobody here wrote, on the DHT network whose nodes it is given, driven by JSON lines:
// {id, op, ...} in, {id, result | error} out; bytes are hex. One process holds them all, each with a DHT node of its own
// and the packages' plain defaults. Its arguments are a folder for stores, and the ports of nodes.
'use strict'

const fs = require('fs')
const path = require('path')
const readline = require('readline')
const Autopass = require('autopass')
const BlindPairing = require('blind-pairing')
const BlindPeer = require('blind-peer')
const BlindPeering = require('blind-peering')
const BlobServer = require('hypercore-blob-server')
const Corestore = require('corestore')
const DHT = require('hyperdht')
const Hyperdrive = require('hyperdrive')
const Hyperswarm = require('hyperswarm')
const Localdrive = require('localdrive')
const MirrorDrive = require('mirror-drive')
const RPC = require('@hyperswarm/rpc')

console.log = console.error // the answers alone go to the output
const HOST = '127.0.0.1'
const [folder, ...ports] = process.argv.slice(2)
const bootstrap = ports.map((port) => ({ host: HOST, port: Number(port) }))
const POLL = 250 // milliseconds between two looks of blind-pairing into its mailboxes; 7 minutes by default
const things = new Map() // whatever the operations make, by its handle

const bytes = (hex) => Buffer.from(hex, 'hex')
const hex = (buffer) => buffer.toString('hex')
const storage = (name) => path.join(folder, name)
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve))

function swarm (store) {
  const swarm = new Hyperswarm({ dht: new DHT({ bootstrap, host: HOST }) })
  if (store) swarm.on('connection', (connection) => store.replicate(connection))
  return swarm
}

function blockCounts (base) {
  const writers = [...base.activeWriters].map(({ core }) => core)
  const cores = new Map([base.local, ...base.views(), ...writers].map((core) => [hex(core.key), core]))
  return Object.fromEntries([...cores].map(([key, core]) => [key, core.signedLength ?? core.length]))
}

async function until (emitter, event, condition) {
  while (!(await condition())) await once(emitter, event)
}

const ops = {
  // autopass
  async autopass ({ handle }) {
    const pass = new Autopass(new Corestore(storage(handle)), { bootstrap })
    await pass.ready()
    things.set(handle, pass)
    return hex(pass.discoveryKey)
  },
  async invite ({ handle }) {
    return things.get(handle).createInvite()
  },
  async pair ({ handle, invite }) {
    const pass = await Autopass.pair(new Corestore(storage(handle)), invite, { bootstrap }).finished()
    await pass.ready()
    things.set(handle, pass)
  },
  async addNote ({ handle, key, value }) {
    await things.get(handle).add(key, value)
  },
  async note ({ handle, key }) {
    const pass = things.get(handle)
    await until(pass, 'update', () => pass.get(key))
    return (await pass.get(key)).value
  },
  async blocks ({ handle }) {
    return blockCounts(things.get(handle).base)
  },
  async close ({ handle }) {
    await things.get(handle).close()
  },

  // blind-pairing
  async invitation ({ key }) {
    const { invite, publicKey, discoveryKey } = BlindPairing.createInvite(bytes(key))
    return { invite: hex(invite), publicKey: hex(publicKey), discoveryKey: hex(discoveryKey) }
  },
  async member ({ handle, key, publicKey, discoveryKey }) {
    const pairing = new BlindPairing(swarm(), { poll: POLL })
    const added = new Promise((resolve) => {
      const onadd = async (candidate) => {
        candidate.open(bytes(publicKey))
        candidate.confirm({ key: bytes(key) })
        resolve(hex(candidate.userData))
      }
      things.set(handle, { pairing, member: pairing.addMember({ discoveryKey: bytes(discoveryKey), onadd }) })
    })
    things.get(handle).added = added
    await things.get(handle).member.flushed()
  },
  async added ({ handle }) {
    return things.get(handle).added
  },
  async candidate ({ handle, invite, userData }) {
    const pairing = new BlindPairing(swarm(), { poll: POLL })
    const candidate = pairing.addCandidate({ invite: bytes(invite), userData: bytes(userData) })
    things.set(handle, { pairing, candidate })
  },
  async posted ({ handle }) {
    await once(things.get(handle).candidate, 'announce')
  },
  async paired ({ handle }) {
    return hex((await things.get(handle).candidate.pairing).key)
  },
  async goAway ({ handle }) {
    const { pairing } = things.get(handle)
    await pairing.close()
    await pairing.swarm.destroy()
  },

  // @hyperswarm/rpc
  async rpcServer ({ handle }) {
    const rpc = new RPC({ bootstrap })
    const server = rpc.createServer()
    server.respond('reverse', (request) => Buffer.from(request).reverse())
    server.respond('fail', () => {
      throw new Error('not today')
    })
    await server.listen()
    things.set(handle, rpc)
    return hex(server.publicKey)
  },
  async rpcRequest ({ handle, key, method, value }) {
    if (!things.has(handle)) things.set(handle, new RPC({ bootstrap }))
    return hex(await things.get(handle).request(bytes(key), method, bytes(value)))
  },

  // A store over a swarm, which the rest uses
  async store ({ handle }) {
    const store = new Corestore(storage(handle))
    things.set(handle, { store, swarm: swarm(store) })
  },
  async join ({ handle, topic }) {
    await things.get(handle).swarm.join(bytes(topic)).flushed()
  },
  async write ({ store, blocks }) {
    const core = things.get(store).store.get({ name: 'written' })
    await core.append(blocks.map(bytes))
    return { key: hex(core.key), discoveryKey: hex(core.discoveryKey) }
  },
  async read ({ store, key, count }) {
    const core = things.get(store).store.get({ key: bytes(key) })
    return Promise.all(Array.from({ length: count }, async (_, index) => hex(await core.get(index))))
  },
  async drive ({ handle, store, key, version }) {
    const drive = new Hyperdrive(things.get(store).store, key && bytes(key))
    await drive.ready()
    things.set(handle, drive)
    if (version) await until(drive.core, 'append', () => drive.update({ wait: true }).then(() => drive.version >= version))
    return { key: hex(drive.key), discoveryKey: hex(drive.discoveryKey), version: drive.version }
  },
  async destroy ({ handle }) {
    const { store, swarm } = things.get(handle)
    await swarm.destroy()
    await store.close()
  },

  // hypercore-blob-server
  async blobServer ({ handle, store }) {
    const server = new BlobServer(things.get(store).store, { port: 0 })
    await server.listen()
    things.set(handle, server)
  },
  async link ({ handle, key, ...options }) {
    return things.get(handle).getLink(bytes(key), options)
  },

  // mirror-drive with localdrive
  async localdrive ({ handle, root }) {
    things.set(handle, new Localdrive(root))
  },
  async mirror ({ from, to }) {
    const mirror = new MirrorDrive(things.get(from), things.get(to))
    await mirror.done()
    return { ...mirror.count, version: things.get(to).version }
  },

  // blind-peer with blind-peering
  async blindPeer ({ handle, trusted }) {
    const dht = new DHT({ bootstrap, host: HOST })
    const peer = new BlindPeer(storage(handle), { swarm: new Hyperswarm({ dht }), trustedPubKeys: trusted.map(bytes) })
    await peer.listen()
    things.set(handle, peer)
  },
  async identity ({ handle }) {
    const dht = new DHT({ bootstrap, host: HOST })
    things.set(handle, dht)
    return hex(dht.defaultKeyPair.publicKey)
  },
  // Asks a blind peer to keep the core with this key, and to announce it
  async keep ({ handle, store, blind, key }) {
    const dht = things.get(handle)
    const peer = things.get(blind)
    dht.peering ??= new BlindPeering(dht, things.get(store).store, { keys: [peer.publicKey] })
    const added = once(peer, 'add-cores-done')
    await dht.peering.addCore(things.get(store).store.get({ key: bytes(key) }), { announce: true })
    await added
  },
  async kept ({ handle, key, length }) {
    const core = things.get(handle).store.get({ key: bytes(key) })
    await core.ready()
    while (core.contiguousLength < length) await new Promise((resolve) => setTimeout(resolve, 20)) // no event says so
    await core.close()
  }
}

fs.mkdirSync(folder, { recursive: true })
readline
  .createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, op, ...rest } = JSON.parse(line)
    let answer
    try {
      answer = { id, result: (await ops[op](rest)) ?? null }
    } catch (error) {
      answer = { id, error: error.stack }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  })
  .on('close', () => process.exit())
