// A second implementation, in another language: it verifies the vectors of a file with nothing but
// Node's own crypto, by the loops of RFC 9162 (sections 2.1.3.2 and 2.1.4.2) and the text of C2SP's
// signed-note. Prints {section: [[name, verdict], ...]} as JSON; a test compares it.
'use strict';

const crypto = require('crypto');
const fs = require('fs');

const sha256 = (...parts) => {
  const hash = crypto.createHash('sha256');
  parts.forEach((part) => hash.update(part));
  return hash.digest();
};
const node = (left, right) => sha256(Buffer.from([1]), left, right);
const hex = (text) => Buffer.from(text, 'hex');
const LIMIT = 1n << 63n;
const odd = (n) => (n & 1n) === 1n;

function inclusion(index, size, leaf, proof, root) {
  if (index < 0n || index >= size || size >= LIMIT) return false;
  if ([leaf, root, ...proof].some((one) => one.length !== 32)) return false;
  let fn = index;
  let sn = size - 1n;
  let r = leaf;
  for (const p of proof) {
    if (sn === 0n) return false;
    if (odd(fn) || fn === sn) {
      r = node(p, r);
      while (!odd(fn) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      r = node(r, p);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && r.equals(root);
}

function consistency(first, second, proof, firstHash, secondHash) {
  if (first === second && first === 0n) {
    const empty = sha256();
    return proof.length === 0 && firstHash.equals(empty) && secondHash.equals(empty);
  }
  if (first <= 0n || first > second || second >= LIMIT) return false;
  if (first === second) return proof.length === 0 && firstHash.equals(secondHash);
  if ([firstHash, secondHash, ...proof].some((one) => one.length !== 32)) return false;
  if (proof.length === 0 || proof.length > 63) return false;
  const path = (first & (first - 1n)) === 0n ? [firstHash, ...proof] : proof.slice();
  let fn = first - 1n;
  let sn = second - 1n;
  while (odd(fn)) { fn >>= 1n; sn >>= 1n; }
  let fr = path[0];
  let sr = path[0];
  for (const c of path.slice(1)) {
    if (sn === 0n) return false;
    if (odd(fn) || fn === sn) {
      fr = node(c, fr);
      sr = node(c, sr);
      while (!odd(fn) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      sr = node(sr, c);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && fr.equals(firstHash) && sr.equals(secondHash);
}

function strict64(text) {
  const raw = Buffer.from(text, 'base64');
  return raw.toString('base64') === text ? raw : null;
}

function publicKey(vkey) {
  const at = vkey.indexOf('+');
  const second = vkey.indexOf('+', at + 1);
  const name = vkey.slice(0, at);
  const raw = strict64(vkey.slice(second + 1));
  if (at < 1 || second < 0 || raw === null || raw.length !== 33 || ![1, 4].includes(raw[0])) return null;
  const id = sha256(name, '\n', raw).subarray(0, 4);
  if (id.toString('hex') !== vkey.slice(at + 1, second)) return null;
  const der = Buffer.concat([hex('302a300506032b6570032100'), raw.subarray(1)]);
  return { name, id, kind: raw[0], key: crypto.createPublicKey({ key: der, format: 'der', type: 'spki' }) };
}

function opens(content, vkeys) {
  const keys = vkeys.map(publicKey);
  if (keys.some((key) => key === null)) return false;
  let whole;
  try {
    whole = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (error) {
    return false;
  }
  if (/[\u0000-\u0009\u000b-\u001f]/.test(whole)) return false;
  const at = whole.lastIndexOf('\n\n');
  if (at < 0 || !whole.endsWith('\n')) return false;
  const text = whole.slice(0, at + 1);
  const lines = whole.slice(at + 2, -1).split('\n');
  let good = 0;
  for (const line of lines) {
    const match = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/=]+)$/.exec(line);
    const raw = match && strict64(match[2]);
    if (!raw || raw.length < 5) return false;
    for (const known of keys) {
      if (known.name !== match[1] || !known.id.equals(raw.subarray(0, 4))) continue;
      let message = Buffer.from(text);
      let signature = raw.subarray(4);
      if (known.kind === 4) {
        if (signature.length !== 72) return false;
        const seconds = signature.readBigUInt64BE(0);
        message = Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);
        signature = signature.subarray(8);
      }
      if (signature.length !== 64 || !crypto.verify(null, message, known.key, signature)) return false;
      good += 1;
    }
  }
  return good > 0;
}

// Sizes beyond 2**53 have to stay exact, which JSON.parse does not keep.
const exact = fs.readFileSync(process.argv[2], 'utf8')
  .replace(/("(?:leafIdx|treeSize|size1|size2)": ?)(-?\d+)/g, '$1"$2"');
const vectors = JSON.parse(exact);
const proofOf = (vector) => (vector.proof || []).map(hex);
const verdicts = {
  inclusion: (v) => inclusion(BigInt(v.leafIdx), BigInt(v.treeSize), hex(v.leafHash), proofOf(v), hex(v.root)),
  consistency: (v) => consistency(BigInt(v.size1), BigInt(v.size2), proofOf(v), hex(v.root1), hex(v.root2)),
  notes: (v) => opens(Buffer.from(v.note_b64, 'base64'), v.vkeys),
};
const answer = {};
for (const [section, verdict] of Object.entries(verdicts)) {
  if (section in vectors) answer[section] = vectors[section].map((v) => [v.name || v.id, verdict(v)]);
}
process.stdout.write(JSON.stringify(answer));
