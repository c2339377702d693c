//! Keystores: the private key of an account, encrypted with a password (Web3 Secret Storage, version 3).
//!
//! The key is derived with scrypt or PBKDF2, checked by a Keccak MAC and decrypted with AES-128 in counter mode. Whatever
//! is secret is overwritten when it is dropped, and nothing here prints it.

use std::{
    fmt, fs,
    io::{Read as _, Write as _},
    path::Path,
};

use aes::{
    Aes128,
    cipher::{KeyIvInit as _, StreamCipher as _},
};
use alloy_primitives::{Address, keccak256};
use ctr::Ctr128BE;
use market::id::Guid;
use serde::Deserialize;
use sha2::Sha256;
use wire::signature::SecretKey;
use zeroize::Zeroizing;

/// Longest keystore that is read, in bytes.
const FILE_LIMIT: u64 = 64 << 10;
/// Most memory that a keystore may ask scrypt for, in bytes: four times what geth's standard parameters take.
const SCRYPT_MEMORY_LIMIT: u64 = 1 << 30;
/// geth's standard for new keystores: 2^18 rounds of 1 KiB take about a second and 256 MiB.
const STANDARD_LOG_N: u8 = 18;
const SCRYPT_R: u32 = 8;
/// Greatest parallelism of scrypt, and most iterations of PBKDF2: beyond, opening would take minutes.
const SCRYPT_PARALLELISM_LIMIT: u32 = 16;
const PBKDF2_ITERATIONS_LIMIT: u32 = 100_000_000;

/// An opened keystore. Debug output and logs show the address alone.
#[derive(Clone)]
pub struct Wallet {
    key: SecretKey,
    address: Address,
}

/// Why a keystore cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The file cannot be read.
    #[error("cannot read the keyfile {path}: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    /// The file is no keystore.
    #[error("{path} is not an Ethereum keystore (version 3): {cause}")]
    Malformed { path: String, cause: String },
    /// A keystore made by other means than the usual ones.
    #[error("the keystore's {what} is `{found}`; only {known} is known")]
    Unsupported { what: &'static str, found: String, known: &'static str },
    /// Parameters that would take too much memory or time, or that mean nothing.
    #[error("the keystore's parameters of {kdf} are out of range")]
    OutOfRange { kdf: &'static str },
    /// The file cannot be written, or exists already.
    #[error("cannot write the keyfile {path}: {cause}")]
    Unwritable { path: String, cause: std::io::Error },
    /// Most likely a typing error.
    #[error("the password does not open the keystore (its MAC does not match)")]
    WrongPassword,
    /// The password is right, but the content is not.
    #[error("the keystore holds no usable key: {0}")]
    Key(#[from] wire::signature::MalformedKey),
    /// The file says that it belongs to somebody else.
    #[error("the keystore says it is of {said}, but its key is of {found}")]
    AnotherAccount { said: Address, found: Address },
}

#[derive(Deserialize)]
struct Keystore {
    version: u32,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default)]
    address: Option<String>,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParams {
    dklen: usize,
    salt: String,
    #[serde(default)]
    n: u64,
    #[serde(default)]
    r: u32,
    #[serde(default)]
    p: u32,
    #[serde(default)]
    c: u32,
    #[serde(default)]
    prf: String,
}

impl Wallet {
    /// Opens the keystore in a file. Standard scrypt parameters take about a second and 256 MiB.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no keystore, or the password is wrong.
    pub fn open(path: &Path, password: &str) -> Result<Wallet, WalletError> {
        let name = path.display().to_string();
        let mut text = String::new();
        let read = fs::File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text));
        read.map_err(|cause| WalletError::Unreadable { path: name.clone(), cause })?;
        Wallet::decrypt(&text, password, &name)
    }

    /// Opens the keystore in a text; `name` is for error messages.
    ///
    /// # Errors
    ///
    /// If it is no keystore, or the password is wrong.
    pub fn decrypt(text: &str, password: &str, name: &str) -> Result<Wallet, WalletError> {
        let malformed = |cause: String| WalletError::Malformed { path: name.to_owned(), cause };
        let bytes = |what: &str, text: &str| hex::decode(text).map_err(|cause| malformed(format!("`{what}` is not hex: {cause}")));
        let Keystore { version, crypto, address } = serde_json::from_str(text).map_err(|cause| malformed(cause.to_string()))?;
        let expect = |what, found: &str, known| {
            if found == known { Ok(()) } else { Err(WalletError::Unsupported { what, found: found.chars().take(40).collect(), known }) }
        };
        expect("version", &version.to_string(), "3")?;
        expect("cipher", &crypto.cipher, "aes-128-ctr")?;

        let salt = bytes("salt", &crypto.kdfparams.salt)?;
        let derived = derive(&crypto.kdf, &crypto.kdfparams, &salt, password)?;
        let mut content = Zeroizing::new(bytes("ciphertext", &crypto.ciphertext)?);
        let mac = keccak256(Zeroizing::new([&derived[16..32], content.as_slice()].concat()).as_slice());
        if !same(mac.as_slice(), &bytes("mac", &crypto.mac)?) {
            return Err(WalletError::WrongPassword);
        }
        let iv = bytes("iv", &crypto.cipherparams.iv)?;
        let iv: &[u8; 16] = iv.as_slice().try_into().map_err(|_| malformed("`iv` has not 16 bytes".to_owned()))?;
        let (key, _) = derived.split_first_chunk::<16>().expect("32 bytes were derived");
        Ctr128BE::<Aes128>::new(key.into(), iv.into()).apply_keystream(&mut content);
        let content: &[u8; 32] = content.as_slice().try_into().map_err(|_| wire::signature::MalformedKey)?;
        let wallet = Wallet::of(SecretKey::from_bytes(content)?);
        match address.as_deref().map(wire::address::parse) {
            Some(Ok(said)) if said != wallet.address => Err(WalletError::AnotherAccount { said, found: wallet.address }),
            Some(Err(cause)) => Err(malformed(cause.to_string())),
            _ => Ok(wallet),
        }
    }

    /// Makes a new key and keeps it, encrypted with `password`, in a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// If the file exists, or cannot be written.
    ///
    /// # Panics
    ///
    /// If the operating system has no randomness.
    pub fn create(path: &Path, password: &str) -> Result<Wallet, WalletError> {
        let wallet = loop {
            let key = Zeroizing::new(random::<32>());
            // Numbers beyond the curve's order are no keys, and hardly ever drawn.
            if let Ok(secret) = SecretKey::from_bytes(&key) {
                let text = encrypt(&key, secret.address(), password, STANDARD_LOG_N);
                write_new(path, &text).map_err(|cause| WalletError::Unwritable { path: path.display().to_string(), cause })?;
                break Wallet::of(secret);
            }
        };
        Ok(wallet)
    }

    /// The wallet of a key.
    pub fn of(key: SecretKey) -> Wallet {
        let address = key.address();
        Wallet { key, address }
    }

    /// Whose it is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// What signs.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet of {}", self.address)
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// The keystore of a key, as geth writes it.
fn encrypt(key: &[u8; 32], address: Address, password: &str, log_n: u8) -> String {
    let (salt, iv, id) = (random::<32>(), random::<16>(), random::<16>());
    let mut derived = Zeroizing::new([0; 32]);
    let parameters = scrypt::Params::new(log_n, SCRYPT_R, 1).expect("standard parameters");
    scrypt::scrypt(password.as_bytes(), &salt, &parameters, &mut *derived).expect("32 bytes can be derived");
    let (cipher_key, _) = derived.split_first_chunk::<16>().expect("32 bytes were derived");
    let mut content = *key;
    Ctr128BE::<Aes128>::new(cipher_key.into(), (&iv).into()).apply_keystream(&mut content);
    let mac = keccak256(Zeroizing::new([&derived[16..32], content.as_slice()].concat()).as_slice());
    let keystore = serde_json::json!({
        "version": 3,
        "id": Guid::random(u128::from_be_bytes(id)).to_string(),
        "address": hex::encode(address),
        "crypto": {
            "cipher": "aes-128-ctr",
            "ciphertext": hex::encode(content),
            "cipherparams": { "iv": hex::encode(iv) },
            "kdf": "scrypt",
            "kdfparams": { "dklen": 32, "n": 1u64 << log_n, "r": SCRYPT_R, "p": 1, "salt": hex::encode(salt) },
            "mac": hex::encode(mac),
        },
    });
    format!("{keystore}\n")
}

/// Writes a file that did not exist, for its owner alone.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// 32 bytes from a password: 16 to decrypt with, 16 to check with.
fn derive(kdf: &str, parameters: &KdfParams, salt: &[u8], password: &str) -> Result<Zeroizing<[u8; 32]>, WalletError> {
    let mut derived = Zeroizing::new([0; 32]);
    match kdf {
        "scrypt" => {
            let &KdfParams { dklen, n, r, p, .. } = parameters;
            let out_of_range = WalletError::OutOfRange { kdf: "scrypt" };
            let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
            let sane = dklen == 32 && n.is_power_of_two() && n > 1 && r > 0 && (1..=SCRYPT_PARALLELISM_LIMIT).contains(&p);
            if !sane || memory > SCRYPT_MEMORY_LIMIT {
                return Err(out_of_range);
            }
            let log_n = u8::try_from(n.trailing_zeros()).expect("a 64-bit number has at most 63 zeros");
            let parameters = scrypt::Params::new(log_n, r, p).map_err(|_| out_of_range)?;
            scrypt::scrypt(password.as_bytes(), salt, &parameters, &mut *derived).map_err(|_| WalletError::OutOfRange { kdf: "scrypt" })?;
        }
        "pbkdf2" => {
            if parameters.prf != "hmac-sha256" {
                let found = parameters.prf.chars().take(40).collect();
                return Err(WalletError::Unsupported { what: "pseudo-random function", found, known: "hmac-sha256" });
            }
            if parameters.dklen != 32 || !(1..=PBKDF2_ITERATIONS_LIMIT).contains(&parameters.c) {
                return Err(WalletError::OutOfRange { kdf: "pbkdf2" });
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, parameters.c, &mut *derived);
        }
        other => {
            let found = other.chars().take(40).collect();
            return Err(WalletError::Unsupported { what: "key derivation", found, known: "scrypt and pbkdf2" });
        }
    }
    Ok(derived)
}

/// Compares without telling by its time where two texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of the Web3 Secret Storage definition; both are of one key.
    const PBKDF2: &str = include_str!("../../tests/keys/web3-pbkdf2.json");
    const SCRYPT: &str = include_str!("../../tests/keys/web3-scrypt.json");
    const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    fn refused(text: &str, password: &str) -> String {
        Wallet::decrypt(text, password, "key.json").unwrap_err().to_string()
    }

    #[test]
    fn the_published_vectors_open() {
        let key: [u8; 32] = hex::decode(KEY).unwrap().try_into().unwrap();
        let address = SecretKey::from_bytes(&key).unwrap().address();
        for text in [PBKDF2, SCRYPT] {
            assert_eq!(Wallet::decrypt(text, "testpassword", "key.json").unwrap().address(), address);
        }
    }

    #[test]
    fn a_new_keystore_opens_with_its_password_alone() {
        let key = [7; 32];
        let address = SecretKey::from_bytes(&key).unwrap().address();
        let text = encrypt(&key, address, "right", 4);
        assert_eq!(Wallet::decrypt(&text, "right", "key.json").unwrap().address(), address);
        assert_eq!(refused(&text, "wrong"), WalletError::WrongPassword.to_string());
        assert_ne!(encrypt(&key, address, "right", 4), text, "salt and initialisation vector are new each time");
    }

    #[test]
    fn a_keyfile_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        fs::write(&path, "precious").unwrap();
        let error = write_new(&path, "new").unwrap_err();
        assert_eq!((error.kind(), fs::read_to_string(&path).unwrap().as_str()), (std::io::ErrorKind::AlreadyExists, "precious"));
    }

    #[test]
    fn a_keystore_of_the_python_client_opens() {
        let text = include_str!("../../tests/keys/microengine.json");
        let wallet = Wallet::decrypt(text, "password", "key.json").unwrap();
        assert_eq!(wire::address::to_text(wallet.address()), "0x09825b2d914eaF8796446747b7D1eC7591538ECc");
    }

    #[test]
    fn a_wrong_password_is_told_and_nothing_secret_is_shown() {
        assert_eq!(refused(PBKDF2, "testpasswore"), "the password does not open the keystore (its MAC does not match)");
        let wallet = Wallet::decrypt(PBKDF2, "testpassword", "key.json").unwrap();
        let shown = format!("{wallet:?} {:?}", wallet.key());
        assert!(!shown.contains(&KEY[..8]) && shown.starts_with("Wallet of 0x"), "{shown}");
    }

    #[test]
    fn what_is_no_keystore_is_refused_with_its_reason() {
        let with = |from: &str, to: &str| {
            assert!(PBKDF2.contains(from) || SCRYPT.contains(from), "{from}");
            let text = if PBKDF2.contains(from) { PBKDF2 } else { SCRYPT };
            refused(&text.replacen(from, to, 1), "testpassword")
        };
        assert!(refused("{}", "x").starts_with("key.json is not an Ethereum keystore (version 3): missing field"));
        assert_eq!(with("\"version\": 3", "\"version\": 1"), "the keystore's version is `1`; only 3 is known");
        assert_eq!(with("aes-128-ctr", "aes-128-cbc"), "the keystore's cipher is `aes-128-cbc`; only aes-128-ctr is known");
        assert!(with("hmac-sha256", "hmac-sha512").contains("only hmac-sha256 is known"));
        assert!(with("\"pbkdf2\"", "\"argon2\"").contains("only scrypt and pbkdf2 is known"));
        assert_eq!(with("\"n\": 262144", "\"n\": 1099511627776"), "the keystore's parameters of scrypt are out of range");
        assert_eq!(with("\"c\": 262144", "\"c\": 0"), "the keystore's parameters of pbkdf2 are out of range");
        assert_eq!(with("\"mac\": \"5", "\"mac\": \"6"), "the password does not open the keystore (its MAC does not match)");
        let stolen =
            include_str!("../../tests/keys/microengine.json").replace("09825b2d914eaF8796446747b7D1eC7591538ECc", &"11".repeat(20));
        assert!(refused(&stolen, "password").starts_with("the keystore says it is of 0x1111"));
    }
}
