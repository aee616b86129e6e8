// What the shop's owner asks for now and then: each answer loads what it needs when it is first wanted.
'use strict';

const path = require('path');

const answers = {
  gzip: async () => {
    const zlib = require('zlib');
    return zlib.gunzipSync(zlib.gzipSync('goods')).toString();
  },
  brotli: async () => {
    const zlib = require('zlib');
    return zlib.brotliDecompressSync(zlib.brotliCompressSync('goods')).toString();
  },
  scrypt: async () => require('crypto').scryptSync('secret', 'salt', 4).toString('hex'),
  cipher: async () => {
    const crypto = require('crypto');
    const key = Buffer.alloc(32);
    const cipher = crypto.createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
    return cipher.update('goods', 'utf8', 'hex') + cipher.final('hex');
  },
  signature: async () => {
    const crypto = require('crypto');
    const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return crypto.verify('sha256', 'goods', publicKey, crypto.sign('sha256', 'goods', privateKey));
  },
  oldDigest: async () => require('crypto').createHash('rmd160').update('goods').digest('hex').slice(0, 6),
  authorities: async () => require('tls').rootCertificates.length > 100,
  secure: async () => {
    // A connection without certificates, from the process to itself.
    const tls = require('tls');
    const options = { ciphers: 'PSK', maxVersion: 'TLSv1.2', pskCallback: () => ({ psk: Buffer.alloc(16, 1), identity: 'shop' }) };
    const server = tls.createServer({ ...options, pskCallback: () => Buffer.alloc(16, 1) }, (socket) => socket.end('over TLS'));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = tls.connect({ ...options, port: server.address().port, host: '127.0.0.1', checkServerIdentity: () => undefined });
    let text = '';
    for await (const part of client) text += part;
    server.close();
    return text;
  },
  http2: async () => {
    const http2 = require('http2');
    const server = http2.createServer((request, response) => response.end('two'));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = http2.connect(`http://127.0.0.1:${server.address().port}`);
    let text = '';
    for await (const part of client.request({ ':path': '/' })) text += part;
    client.close();
    server.close();
    return text;
  },
  system: async () => require('child_process').execFileSync('uname', ['-s'], { encoding: 'utf8' }).trim(),
  shell: async () => require('child_process').execSync('echo $((6 * 7))', { encoding: 'utf8' }).trim(),
  child: async () => new Promise((resolve, reject) => {
    const child = require('child_process').fork(path.join(__dirname, 'child.js'));
    child.once('message', resolve);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the child ended with ${code}`)));
  }),
  german: async () => new Intl.NumberFormat('de-DE', { style: 'currency', currency: 'EUR' }).format(1234.5).replace(/\s/, ' '),
  thai: async () => new Intl.DateTimeFormat('th-TH', { timeZone: 'Asia/Bangkok', dateStyle: 'long' }).format(0),
  zone: async () => new Date(0).toLocaleString('en-GB', { timeZone: 'Asia/Kathmandu' }),
  words: async () => [...new Intl.Segmenter('ja', { granularity: 'word' }).segment('日本語を話す')].length,
  domain: async () => require('url').domainToASCII('bücher.example'),
  page: async () => (await import('./page.mjs')).default('goods'),
  readFile: async () => require('fs').promises.readFile(path.join(__dirname, '..', 'notes.txt'), 'utf8').then((text) => text.trim()),
  listing: async () => require('fs').readdirSync(path.join(__dirname, '..', 'public')).join(' '),
  written: async () => {
    const fs = require('fs');
    const directory = fs.mkdtempSync(path.join(require('os').tmpdir(), 'shop-'));
    fs.writeFileSync(path.join(directory, 'a'), 'kept');
    const text = fs.readFileSync(path.join(directory, 'a'), 'utf8');
    fs.rmSync(directory, { recursive: true });
    return text;
  },
  watched: async () => new Promise((resolve, reject) => {
    const fs = require('fs');
    const directory = fs.mkdtempSync(path.join(require('os').tmpdir(), 'shop-'));
    const watcher = fs.watch(directory, (event, name) => {
      watcher.close();
      fs.rmSync(directory, { recursive: true });
      resolve(name);
    });
    watcher.once('error', reject);
    fs.writeFileSync(path.join(directory, 'new'), '');
  }),
  servers: async () => require('dns').getServers().length > 0,
  user: async () => require('os').userInfo().username,
  sandbox: async () => require('vm').runInNewContext('6 * 7'),
  wasm: async () => {
    const bytes = Uint8Array.from(Buffer.from('0061736d010000000105016000017f03020100070501016600000a06010400412a0b', 'hex'));
    return (await WebAssembly.instantiate(bytes)).instance.exports.f();
  },
  streams: async () => {
    const { Readable } = require('stream');
    let text = '';
    for await (const part of Readable.from(['a', 'b'])) text += part;
    return text;
  },
  asserted: async () => {
    try {
      require('assert').strictEqual(1, 2);
    } catch (error) {
      return error.code;
    }
  },
};

module.exports = async (name) => {
  if (!answers[name]) return undefined;
  return String(await answers[name]());
};
