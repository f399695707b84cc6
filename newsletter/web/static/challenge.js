// Under high load, the browser solves a proof of work (ALTCHA) before a form is accepted.

const words = (hex) => hex.match(/.{8}/g).map((word) => parseInt(word, 16));

// The round constants and initial state of SHA-256 (FIPS 180-4, 4.2.2 and 5.3.3): roots of the first primes.
const [ROUNDS, INITIAL] = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  return [primes.map((prime) => fraction(Math.cbrt(prime))), primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)))];
})();

// The digest of a message that fits one block (55 bytes), given as that block in 16 words. Plain arithmetic, since
// crypto.subtle is slower for one block at a time, and is not there without TLS.
const W = new Int32Array(64);
const sha256 = (block) => {
  W.set(block);
  for (let i = 16; i < 64; i++) {
    const a = W[i - 15], b = W[i - 2];
    const s0 = ((a >>> 7) | (a << 25)) ^ ((a >>> 18) | (a << 14)) ^ (a >>> 3);
    const s1 = ((b >>> 17) | (b << 15)) ^ ((b >>> 19) | (b << 13)) ^ (b >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = INITIAL;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  return [a, b, c, d, e, f, g, h].map((word, i) => (word + INITIAL[i]) | 0);
};
const hex = (digest) => digest.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");

const solve = async ({ parameters }) => {
  // Salt, nonce and counter are 36 bytes; the end of a message and its length in bits fill the block (5.1.1).
  const block = [...words(parameters.salt), ...words(parameters.nonce), 0, 0x80000000 | 0, 0, 0, 0, 0, 0, 288];
  const first = parseInt(parameters.keyPrefix.slice(0, 8), 16) | 0;
  for (let counter = 0; counter < 2 ** 32; ) {
    for (const pause = performance.now() + 30; performance.now() < pause; ) {
      for (let i = 0; i < 200; i++, counter++) {
        block[8] = counter;
        const digest = sha256(block);
        if (digest[0] !== first) continue;
        const derivedKey = hex(digest);
        if (derivedKey.startsWith(parameters.keyPrefix)) return { counter, derivedKey };
      }
    }
    await new Promise((resume) => setTimeout(resume));
  }
  throw new Error("no solution");
};

for (const note of document.querySelectorAll("[data-challenge]")) {
  const form = note.closest("form");
  const status = note.querySelector("[role=status]");
  const challenge = JSON.parse(note.dataset.challenge);
  status.textContent = "Checking that you are not a robot …";
  solve(challenge)
    .then((solution) => {
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: "altcha" });
      field.value = btoa(JSON.stringify({ challenge, solution }));
      form.append(field);
      status.textContent = "Done. Sending your request …";
      form.requestSubmit();
    })
    .catch(() => (status.textContent = "This did not work. Please try again later."));
}
