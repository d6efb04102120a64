// A Hyperswarm on a host of tests/nat: says and does what `peer` of tests/nat/people.py does.
'use strict'

const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')

const [role, relay] = process.argv.slice(2)
const relayThrough = relay ? () => Buffer.from(relay, 'hex') : null
const say = (line) => process.stdout.write(line + '\n')
const swarm = new Hyperswarm({ dht: new DHT({ bootstrap: ['20.0.0.1:49737'] }), relayThrough })
swarm.on('connection', (connection) => {
  connection.on('error', () => {})
  connection.on('data', (message) => say(`connected ${connection.rawStream.remoteHost}: ${message}`))
  connection.write('through the wall')
})
const topic = swarm.join(Buffer.alloc(32), { server: role === 'server', client: role === 'client' })
topic.flushed().then(() => say('flushed'))
