// Reads tests/vectors/ours.json, which Python made, with the real packages: node ours.js FILE FOLDER
// Prints how much was checked; the first difference ends it with an error.
'use strict'

const assert = require('assert')
const fs = require('fs')
const path = require('path')
const c = require('compact-encoding')
const crypto = require('hypercore-crypto')
const Corestore = require('corestore')
const Hypercore = require('hypercore')
const Hyperbee = require('hyperbee')
const Hyperdrive = require('hyperdrive')
const { wire } = require('hypercore/lib/messages')

const [file, folder] = process.argv.slice(2)
const ours = JSON.parse(fs.readFileSync(file))
const store = new Corestore(path.join(folder, 'copies')) // has nothing but what is put into it
const checked = {}

const bytes = (hex) => (hex === null ? null : Buffer.from(hex, 'hex'))
const count = (what) => { checked[what] = (checked[what] || 0) + 1 }

function equal (what, actual, expected) {
  assert.deepStrictEqual(actual, expected, what)
  count(what)
}

async function fill (told, encryptionKey) {
  const core = store.get({ key: bytes(told.key), encryptionKey: encryptionKey ? bytes(encryptionKey) : undefined })
  await core.ready()
  for (const message of told.messages) {
    const data = c.decode(wire.data, bytes(message))
    equal('messages', c.encode(wire.data, data).toString('hex'), message)
    if (data.fork === core.fork) assert(await core.core.verify(data), 'verify')
    else assert(await core.core.reorg(await core.core.verifyReorg(data)), 'reorg')
    count('proofs')
  }
  equal('lengths', core.length, told.length)
  if (!encryptionKey) equal('byte lengths', core.byteLength, told.byteLength)
  equal('forks', core.fork, told.fork)
  equal('discovery keys', core.discoveryKey.toString('hex'), told.discoveryKey)
  if (told.length) {
    equal('manifests', Hypercore.key(Hypercore.parseManifest(bytes(told.manifest), core.key)).toString('hex'), told.key)
    equal('signatures', core.core.state.signature.toString('hex'), told.signature)
  }
  checkNodes(told)
  return core
}

// Every node again: leaves out of the blocks in the messages, parents out of their children.
function checkNodes (told) {
  const blocks = new Map()
  for (const message of told.messages) {
    const { block } = c.decode(wire.data, bytes(message))
    if (block) blocks.set(block.index, block.value)
  }
  const nodes = new Map(told.nodes.map(([index, size, hash]) => [index, { index, size, hash: bytes(hash) }]))
  equal('whole logs', blocks.size, told.length)
  for (const { index, size, hash } of nodes.values()) {
    if (index & 1) {
      let half = 1
      while ((index / (2 * half)) & 1) half *= 2
      const [left, right] = [nodes.get(index - half), nodes.get(index + half)]
      equal('parents', [left.size + right.size, crypto.parent(left, right).toString('hex')], [size, hash.toString('hex')])
    } else {
      const block = blocks.get(index / 2)
      equal('leaves', [block.byteLength, crypto.data(block).toString('hex')], [size, hash.toString('hex')])
    }
  }
}

async function cores () {
  for (const told of ours.cores) {
    const core = await fill(told, told.encryptionKey)
    for (let i = 0; i < told.blocks.length; i++) equal('blocks', (await core.get(i)).toString('hex'), told.blocks[i])
  }
}

async function names () {
  const named = new Corestore(path.join(folder, 'names'), { primaryKey: bytes(ours.primaryKey), unsafe: true })
  for (const { namespace, name, key } of ours.names) {
    const core = (namespace === null ? named : named.namespace(namespace)).get({ name })
    await core.ready()
    equal('names', core.key.toString('hex'), key)
  }
}

async function bee () {
  const bee = new Hyperbee(await fill(ours.bee.core))
  await bee.ready()
  for (const [version, expected] of Object.entries(ours.bee.versions)) {
    const found = []
    for await (const { key, value, seq } of bee.checkout(Number(version)).createReadStream()) {
      found.push([key.toString('hex'), (value || Buffer.alloc(0)).toString('hex'), seq])
    }
    equal('versions of the bee', found, expected)
  }
  const history = []
  for await (const { key, value, type } of bee.createHistoryStream()) {
    history.push([key.toString('hex'), type === 'del' ? null : (value || Buffer.alloc(0)).toString('hex')])
  }
  equal('histories', history, ours.bee.history)
}

async function drive ({ encryptionKey, cores: [db, contents], versions, diffs }) {
  await fill(db, encryptionKey)
  await fill(contents, encryptionKey)
  const drive = new Hyperdrive(store, bytes(db.key), encryptionKey ? { encryptionKey: bytes(encryptionKey) } : {})
  await drive.ready()
  equal('contents', (await drive.getBlobs()).core.key.toString('hex'), contents.key)
  for (const [version, expected] of Object.entries(versions)) {
    const past = drive.checkout(Number(version))
    const found = []
    for await (const { key, value } of past.list('/')) {
      const content = await past.get(key, { follow: true })
      const digest = content && require('crypto').createHash('sha256').update(content).digest('hex')
      found.push([key, value.executable, value.linkname, value.metadata, digest])
    }
    equal('versions of drives', found, expected)
  }
  for (const [a, b, expected] of diffs) {
    const found = []
    for await (const { left, right } of drive.checkout(b).diff(a, '/')) found.push((left || right).key)
    equal('differences', found.sort(), expected.sort())
  }
}

async function main () {
  await names()
  await cores()
  await bee()
  await drive(ours.drive)
  await drive(ours.encryptedDrive)
  console.log(JSON.stringify(checked))
  process.exit(0)
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
