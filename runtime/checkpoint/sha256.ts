/** SHA-256 of bytes that come in pieces. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** Hexadecimal; ends the sum. */
  digest(): string;
}

/** Node's own where there is Node; in a browser, whose own takes all bytes at once only, a package's. */
export async function startSha256(): Promise<Sha256> {
  if (typeof process !== "undefined" && process.versions?.node !== undefined) {
    const { createHash } = await import("node:crypto");
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
  }
  const { sha256 } = await import("@noble/hashes/sha2.js");
  const { bytesToHex } = await import("@noble/hashes/utils.js");
  const hash = sha256.create();
  return { update: (bytes) => void hash.update(bytes), digest: () => bytesToHex(hash.digest()) };
}
