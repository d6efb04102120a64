// How fast npm's hypercore copies a feed of a room, block by block: node rooms_bench.js BLOCKS, both ends in this process.

const Corestore = require('corestore')
const NoiseSecretStream = require('@hyperswarm/secret-stream')
const fs = require('fs')
const os = require('os')
const path = require('path')

async function main (blocks) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rooms-bench-'))
  const encryption = { key: Buffer.alloc(32, 1) }
  const [ann, bob] = ['ann', 'bob'].map((name) => new Corestore(path.join(folder, name)))
  const theirs = ann.get({ name: 'feed', encryption })
  await theirs.ready()
  for (let start = 0; start < blocks; start += 1000) {
    const count = Math.min(1000, blocks - start)
    await theirs.append(Array.from({ length: count }, (_, i) => Buffer.from(JSON.stringify({ type: 'message', t: 1.7e15 + start + i, message: 'x'.repeat(80) }))))
  }
  const [one, other] = [new NoiseSecretStream(true), new NoiseSecretStream(false)]
  one.rawStream.pipe(other.rawStream).pipe(one.rawStream)
  ann.replicate(one)
  bob.replicate(other)
  const began = process.hrtime.bigint()
  const core = bob.get({ key: theirs.key, encryption })
  await core.ready()
  await core.update({ wait: true })
  await core.download({ start: 0, end: blocks }).done()
  process.stdout.write(`${blocks / (Number(process.hrtime.bigint() - began) / 1e9)}\n`)
  fs.rmSync(folder, { recursive: true, force: true })
  process.exit(0)
}

main(Number(process.argv[2]))
