// An Autobase with the plain defaults, driven by JSON lines: {id, op, ...} in, {id, result | error} out; bytes are hex.
'use strict'

const net = require('net')
const readline = require('readline')
const Autobase = require('autobase')
const Corestore = require('corestore')
const SecretStream = require('@hyperswarm/secret-stream')

console.log = console.error // the answers alone go to the output
const store = new Corestore(process.argv[2])
let base = null

async function apply (nodes, view, host) {
  for (const { value } of nodes) {
    if (value.add) await host.addWriter(Buffer.from(value.add, 'hex'), { indexer: true })
    else await view.append(value)
  }
}

const ops = {
  async open ({ key, encryptionKey }) {
    base = new Autobase(store.namespace('base'), key && Buffer.from(key, 'hex'), {
      open: (viewStore) => viewStore.get('view', { valueEncoding: 'json' }),
      apply,
      valueEncoding: 'json',
      encryptionKey: encryptionKey && Buffer.from(encryptionKey, 'hex')
    })
    await base.ready()
    return { key: base.key.toString('hex'), local: base.local.key.toString('hex') }
  },
  async connect ({ port }) {
    const socket = net.connect(port, '127.0.0.1')
    await new Promise((resolve, reject) => socket.on('connect', resolve).on('error', reject))
    const stream = new SecretStream(true, socket)
    stream.on('error', () => {})
    base.replicate(stream)
  },
  async append ({ value }) {
    await base.append(value)
  },
  async keys () {
    const keys = []
    for await (const discoveryKey of store.list()) keys.push((await store.getAuth(discoveryKey)).key.toString('hex'))
    return keys
  },
  async until ({ length }) {
    while (base.view.length < length) {
      await base.update()
      if (base.view.length < length) await new Promise((resolve) => base.once('update', resolve))
    }
    const values = []
    for (let i = 0; i < base.view.length; i++) values.push(await base.view.get(i))
    return values
  },
  async signed ({ length }) {
    while (base.view.signedLength < length) {
      await base.ack()
      if (base.view.signedLength < length) await new Promise((resolve) => base.once('update', resolve))
    }
    return base.view.signedLength
  },
  async prologue () {
    const { manifest } = base.view.core
    return manifest && manifest.prologue && manifest.prologue.length
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
