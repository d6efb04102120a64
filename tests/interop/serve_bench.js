// The JavaScript server of the serve bench; tests/bench/serve_peer.py says what it does.
'use strict'

const crypto = require('crypto')
const Corestore = require('corestore')
const Hyperdrive = require('hyperdrive')
const ServeDrive = require('serve-drive')

const HOST = '127.0.0.1'
const FILES = 1000
const FILE = 1024 // bytes
const MEGABYTES = 256

async function main (folder) {
  const drive = new Hyperdrive(new Corestore(folder))
  await drive.ready()
  const batch = drive.batch()
  for (let i = 0; i < FILES; i++) await batch.put(`/small/${i}.txt`, crypto.randomBytes(FILE))
  await batch.flush()
  const piece = crypto.randomBytes(2 ** 20)
  const stream = drive.createWriteStream('/big')
  const closed = new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject))
  for (let i = 0; i < MEGABYTES; i++) {
    if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve))
  }
  stream.end()
  await closed
  const server = new ServeDrive({ host: HOST, port: 0, token: false, get: () => drive })
  await server.ready()
  console.log(JSON.stringify({ port: server.address().port }))
  process.stdin.on('end', () => {
    console.log(JSON.stringify({ memory: process.resourceUsage().maxRSS / 1024 }))
    process.exit(0)
  }).resume()
}

main(process.argv[2])
