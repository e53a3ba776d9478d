export { Decrypter } from "age-encryption";
export { sha256 } from "@noble/hashes/sha2.js";
