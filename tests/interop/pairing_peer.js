// Both sides of blind-pairing-core, one step a process: node pairing_peer.js STEP ARGUMENTS (hex), prints JSON.
const { CandidateRequest, MemberRequest, createInvite } = require('blind-pairing-core')
const b4a = require('b4a')

const [step, ...rest] = process.argv.slice(2)
const [a, b, c] = rest.map((text) => b4a.from(text, 'hex'))
const hex = (buffer) => buffer && b4a.toString(buffer, 'hex')

const steps = {
  // secret, user data -> an invite and the request that it makes
  make () {
    const made = createInvite(a, { expires: 1900000000000 })
    const request = new CandidateRequest(made.invite, b)
    return { invite: hex(made.invite), seed: hex(made.seed), key: hex(made.publicKey), id: hex(made.id), request: hex(request.encode()) }
  },
  // request, the invite's public key, secret -> what the candidate said, and the answer
  admit () {
    const request = MemberRequest.from(a)
    const said = request.open(b)
    request.confirm({ key: c })
    return { said: hex(said), response: hex(request.response) }
  },
  // request, the invite's public key, status
  deny () {
    const request = MemberRequest.from(a)
    request.open(b)
    request.deny({ status: c[0] })
    return { response: hex(request.response) }
  },
  // invite, user data, response -> the secret, or why not
  enter () {
    const request = new CandidateRequest(a, b)
    let code = null
    request.on('rejected', (error) => { code = error.code })
    const paired = request.handleResponse(c)
    return { key: hex(paired && paired.key), code }
  }
}

console.log(JSON.stringify(steps[step]()))
