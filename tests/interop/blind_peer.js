// A blind peer, and programs that use one through `blind-peering`, on the DHT network whose nodes it is given; driven by
// JSON lines: {id, op, ...} in, {id, result | error} out; bytes are hex. Its arguments are a folder for stores, and the
// ports of nodes.
'use strict'

const path = require('path')
const readline = require('readline')
const BlindPeer = require('blind-peer')
const BlindPeering = require('blind-peering')
const Corestore = require('corestore')
const DHT = require('hyperdht')
const Hyperswarm = require('hyperswarm')
const Wakeup = require('protomux-wakeup')

console.log = console.error // the answers alone go to the output
const HOST = '127.0.0.1'
const [folder, ...ports] = process.argv.slice(2)
const bootstrap = ports.map((port) => ({ host: HOST, port: Number(port) }))
const things = new Map() // whatever the operations make, by its handle

const bytes = (hex) => Buffer.from(hex, 'hex')
const hex = (buffer) => buffer.toString('hex')
const node = () => new DHT({ bootstrap, host: HOST })

const ops = {
  // A blind peer whose key follows from its handle
  async blindPeer ({ handle, maxBytes }) {
    const swarm = new Hyperswarm({ dht: node(), seed: Buffer.alloc(32, handle) })
    const peer = new BlindPeer(path.join(folder, handle), { swarm, maxBytes })
    await peer.listen()
    things.set(handle, peer)
    return hex(peer.publicKey)
  },
  async stopBlindPeer ({ handle }) {
    const peer = things.get(handle)
    await peer.close()
    await peer.swarm.destroy()
  },
  // What it holds of the cores with these keys, as it stores it: encrypted blocks
  async stored ({ handle, keys }) {
    const found = {}
    for (const key of keys) {
      const core = things.get(handle).store.get({ key: bytes(key) })
      await core.ready()
      found[key] = []
      for (let i = 0; i < core.length; i++) if (await core.has(i)) found[key].push(hex(await core.get(i)))
      await core.close()
    }
    return found
  },

  // A program with a store, whose cores the blind peer with the key is asked to hold
  async program ({ handle, blind }) {
    const dht = node()
    const wakeup = new Wakeup()
    const store = new Corestore(path.join(folder, handle))
    const peering = new BlindPeering(dht, store, { keys: [bytes(blind)], wakeup })
    things.set(handle, { dht, store, peering, wakeup })
  },
  async write ({ handle, name, blocks, referrer }) {
    const { store, peering } = things.get(handle)
    const core = store.get({ name })
    await core.ready()
    if (blocks.length) await core.append(blocks.map(bytes))
    await peering.addCore(core, { referrer: referrer ? bytes(referrer) : null })
    return hex(core.key)
  },
  async read ({ handle, key, count }) {
    const { store, peering } = things.get(handle)
    const core = store.get({ key: bytes(key) })
    await peering.addCore(core)
    return Promise.all(Array.from({ length: count }, async (_, index) => hex(await core.get(index))))
  },
  // The keys of the cores that are named to who knows the referrer, once there are so many
  async named ({ handle, referrer, count }) {
    const { store, peering, wakeup } = things.get(handle)
    const named = new Set()
    await new Promise((resolve) => {
      wakeup.session(bytes(referrer), {
        onannounce: (cores) => {
          for (const { key } of cores) named.add(hex(key))
          if (named.size >= count) resolve()
        }
      })
      peering.addCore(store.get({ name: 'anything' })).catch(console.error) // connects
    })
    return [...named].sort()
  },
  async uploaded ({ handle, name }) {
    const core = things.get(handle).store.get({ name })
    await core.ready()
    while (core.remoteContiguousLength < core.length) await new Promise((resolve) => setTimeout(resolve, 20)) // no event
  },
  async end ({ handle }) {
    const { dht, store, peering } = things.get(handle)
    await peering.close()
    await dht.destroy()
    await store.close()
  }
}

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
