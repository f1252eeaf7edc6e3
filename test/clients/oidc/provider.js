// An OpenID Connect provider with TLS on the loopback interface, whose signing keys change as standard input says:
//
//   node provider.js KEY.pem CERT.pem
//   < rotate     a new key signs; the keys before it stay published
//   < retire     only the newest key stays published
//   > ready https://127.0.0.1:PORT, and after each command: done KID
//
// A client of it gets an access token of acme's agent alice with the grant client_credentials.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file))
const resource = 'https://parley.example'
let keys = []
let serve = () => {}

function newKey() {
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  return { ...jwk, kid: randomUUID(), alg: 'ES256', use: 'sig' }
}

function configuration() {
  return {
    jwks: { keys },
    cookies: { keys: ['not used'] },
    clients: [{
      client_id: 'backend', client_secret: 'of-the-test', redirect_uris: [], response_types: [], grant_types: ['client_credentials'],
      id_token_signed_response_alg: 'ES256',
    }],
    ttl: { ClientCredentials: 2 * 60 * 60 },
    extraTokenClaims: () => ({ tenant_id: 'acme', agent_id: 'alice' }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({ scope: '', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
      },
    },
  }
}

const server = createServer({ key, cert }, (request, response) => serve(request, response))
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`
  const restart = () => { serve = new Provider(issuer, configuration()).callback() }
  const commands = {
    rotate: () => { keys = [newKey(), ...keys] },
    retire: () => { keys = keys.slice(0, 1) },
  }
  commands.rotate()
  restart()
  console.log(`ready ${issuer}`)
  createInterface({ input: process.stdin }).on('line', (command) => {
    commands[command]()
    restart()
    console.log(`done ${keys[0].kid}`)
  }).on('close', () => process.exit(0))
})
