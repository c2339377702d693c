//! Content by address: the corpus' artifacts, uploads, and metadata. Bytes stay in memory or in the corpus folder;
//! nothing is written, nothing is executed.

use std::{collections::HashMap, sync::Arc};

use datasets::{ArtifactId, Corpus, CorpusError, Row};
use market::bloom::Bloom;
use replay::{
    plan::{BountyPlan, Brought},
    world::Shown,
};
use sha2::{Digest, Sha256};
use wire::{artifact::Artifact, ipfs, json::Json, metadata::FileMetadata};

/// Largest upload, all its parts together, in bytes.
pub const UPLOAD_MAXIMUM: usize = 32 << 20;
/// Bytes of uploads that are kept in all. A dump has them in hex.
pub const STORE_MAXIMUM: usize = 256 << 20;
/// Bytes that a file counts beside its own: also empty ones take room.
const FILE_COST: usize = 512;
/// Largest metadata in bytes. They go out to every WebSocket, and clients take frames of up to 1 MiB.
pub const METADATA_MAXIMUM: usize = 1_000_000;
/// Bytes of visitors' metadata that are kept in all, each counted like a file. A dump has them as text within text.
pub const METADATA_KEPT: usize = 64 << 20;
/// Largest artifact that is read from a corpus, in bytes.
const ARTIFACT_MAXIMUM: u64 = 64 << 20;

/// One artifact behind a URI.
#[derive(Clone, Debug)]
pub enum Content {
    /// Of the corpus.
    Recorded(ArtifactId),
    /// Uploaded.
    Uploaded(Arc<[u8]>),
}

/// What a URI stands for: artifacts in order.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Name and hash of each, as clients see them.
    pub artifacts: Vec<Artifact>,
    contents: Vec<Content>,
}

impl Listing {
    /// The files, if they were uploaded.
    pub fn uploads(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let uploaded = |content: &Content| matches!(content, Content::Uploaded(_));
        self.contents.iter().all(uploaded).then(|| {
            self.contents.iter().filter_map(|content| match content {
                Content::Uploaded(bytes) => Some(&**bytes),
                Content::Recorded(_) => None,
            })
        })
    }
}

/// Why there is no content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoContent {
    #[error("there is nothing at {uri}")]
    UnknownUri { uri: String },
    #[error("{uri} has {count} artifacts, there is no number {index}")]
    UnknownIndex { uri: String, count: usize, index: usize },
    #[error("artifact {id} has recorded verdicts only, the corpus holds no file of it; engines that scan files need a corpus with files")]
    NoFile { id: ArtifactId },
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error("{what} of {bytes} bytes exceed the limit of {limit}")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    #[error("metadata of {METADATA_KEPT} bytes are kept; there is no room for more")]
    Full,
    #[error("an upload needs at least one file and at most 256")]
    BadCount,
    #[error(transparent)]
    Play(replay::world::PlayError),
    #[error("the state is damaged: {what}")]
    Damaged { what: &'static str },
}

/// Files that were uploaded, with everything about them worked out: that takes too long to hold anybody up.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Their address.
    pub uri: String,
    /// What rivals and arbiters know of each.
    pub brought: Vec<Brought>,
    hashes: Vec<String>,
    files: Vec<Vec<u8>>,
}

impl Upload {
    /// What there is to know of these files.
    ///
    /// # Errors
    ///
    /// If they are none, too many or too large.
    pub fn of(files: Vec<Vec<u8>>) -> Result<Upload, NoContent> {
        if files.is_empty() || files.len() > 256 {
            return Err(NoContent::BadCount);
        }
        let bytes = files.iter().map(Vec::len).sum();
        if bytes > UPLOAD_MAXIMUM {
            return Err(NoContent::TooLarge { what: "uploads", bytes, limit: UPLOAD_MAXIMUM });
        }
        let hashes: Vec<String> = files.iter().map(|file| ipfs::cid(file)).collect();
        let uri = match hashes.as_slice() {
            [single] => single.clone(),
            several => digest_address(several.join("\n").as_bytes()),
        };
        Ok(Upload { uri, brought: files.iter().map(|file| Brought::of(file)).collect(), hashes, files })
    }
}

/// All content there is.
#[derive(Debug)]
pub struct Store {
    /// Rows of the corpus that have a file.
    files: HashMap<ArtifactId, Row>,
    listings: HashMap<Arc<str>, Listing>,
    /// Metadata of simulated bounties.
    simulated: HashMap<Arc<str>, Json>,
    /// Metadata of visitors.
    metadata: HashMap<Arc<str>, Json>,
    /// What the uploads count.
    uploaded: usize,
    /// What the visitors' metadata count.
    described: usize,
}

impl Store {
    /// The content of a corpus.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read.
    pub fn new(corpus: &Corpus) -> Result<Store, CorpusError> {
        let mut files = HashMap::new();
        if corpus.has_files() {
            for row in corpus.rows()? {
                let row = row?;
                if row.path.is_some() {
                    files.insert(row.id, row);
                }
            }
        }
        Ok(Store { files, listings: HashMap::new(), simulated: HashMap::new(), metadata: HashMap::new(), uploaded: 0, described: 0 })
    }

    /// Makes the artifacts and the metadata of a simulated bounty available.
    pub fn show(&mut self, plan: &BountyPlan, shown: &Shown) {
        if !self.listings.contains_key(&shown.uri) {
            let artifacts = names(plan.artifacts.iter().map(|facts| content_address(facts.id)));
            let contents = plan.artifacts.iter().map(|facts| Content::Recorded(facts.id)).collect();
            self.listings.insert(shown.uri.clone(), Listing { artifacts, contents });
        }
        if let Some(uri) = &shown.metadata
            && let Some(json) = describe(plan)
        {
            self.simulated.insert(uri.clone(), json);
        }
    }

    /// Takes in what was uploaded.
    ///
    /// # Errors
    ///
    /// If there is no room.
    pub fn keep(&mut self, upload: Upload) -> Result<(), NoContent> {
        let Upload { uri, hashes, files, .. } = upload;
        if !self.listings.contains_key(uri.as_str()) {
            let bytes: usize = files.iter().map(|file| file.len() + FILE_COST).sum();
            if self.uploaded + bytes > STORE_MAXIMUM {
                return Err(NoContent::TooLarge { what: "all uploads", bytes: self.uploaded + bytes, limit: STORE_MAXIMUM });
            }
            self.uploaded += bytes;
            let contents = files.into_iter().map(|file| Content::Uploaded(file.into())).collect();
            self.listings.insert(uri.into(), Listing { artifacts: names(hashes.into_iter()), contents });
        }
        Ok(())
    }

    /// Takes in metadata; answers with their URI.
    ///
    /// # Errors
    ///
    /// If they are too large, or too many.
    pub fn describe(&mut self, json: Json) -> Result<String, NoContent> {
        let bytes = json.text().len();
        if bytes > METADATA_MAXIMUM {
            return Err(NoContent::TooLarge { what: "metadata", bytes, limit: METADATA_MAXIMUM });
        }
        let uri = ipfs::cid(json.text().as_bytes());
        if !self.metadata.contains_key(uri.as_str()) {
            if self.described + bytes + FILE_COST > METADATA_KEPT {
                return Err(NoContent::Full);
            }
            self.described += bytes + FILE_COST;
            self.metadata.insert(uri.as_str().into(), json);
        }
        Ok(uri)
    }

    /// Everything that visitors brought: uploads as hex, and metadata.
    pub fn dump(&self) -> (Vec<Vec<String>>, Vec<String>) {
        let uploaded = |content: &Content| match content {
            Content::Uploaded(bytes) => Some(hex::encode(bytes)),
            Content::Recorded(_) => None,
        };
        let mut uploads: Vec<Vec<String>> =
            self.listings.values().filter_map(|listing| listing.contents.iter().map(uploaded).collect()).collect();
        let mut metadata: Vec<String> = self.metadata.values().map(|json| json.text().to_owned()).collect();
        // Maps are in no order; the same state is to give the same bytes.
        uploads.sort_unstable();
        metadata.sort_unstable();
        (uploads, metadata)
    }

    /// Takes in what was dumped.
    ///
    /// # Errors
    ///
    /// If it is damaged or too large.
    pub fn load(&mut self, uploads: Vec<Vec<String>>, metadata: Vec<String>) -> Result<(), NoContent> {
        for upload in uploads {
            let files = upload.iter().map(hex::decode).collect::<Result<Vec<_>, _>>();
            self.keep(Upload::of(files.map_err(|_| NoContent::Damaged { what: "an upload is not hex" })?)?)?;
        }
        for text in metadata {
            self.describe(Json::from_text(&text).map_err(|_| NoContent::Damaged { what: "metadata are not JSON" })?)?;
        }
        Ok(())
    }

    /// The artifacts at a URI.
    ///
    /// # Errors
    ///
    /// If there is nothing.
    pub fn listing(&self, uri: &str) -> Result<&Listing, NoContent> {
        self.listings.get(uri).ok_or_else(|| NoContent::UnknownUri { uri: uri.chars().take(100).collect() })
    }

    /// The metadata at a URI; null for text that is none.
    pub fn metadata(&self, uri: &str) -> Json {
        self.simulated.get(uri).or_else(|| self.metadata.get(uri)).cloned().unwrap_or_else(Json::null)
    }

    /// Where the bytes of an artifact are.
    ///
    /// # Errors
    ///
    /// If there is no such artifact, or the corpus has no file of it.
    pub fn find(&self, uri: &str, index: usize) -> Result<Found, NoContent> {
        let listing = self.listing(uri)?;
        let content = listing.contents.get(index);
        let content = content.ok_or_else(|| NoContent::UnknownIndex { uri: uri.to_owned(), count: listing.contents.len(), index })?;
        match content {
            Content::Uploaded(bytes) => Ok(Found::Bytes(bytes.clone())),
            Content::Recorded(id) => self.files.get(id).cloned().map(|row| Found::File(Box::new(row))).ok_or(NoContent::NoFile { id: *id }),
        }
    }
}

/// Where the bytes of an artifact are: files are read without holding up anybody else.
#[derive(Debug)]
pub enum Found {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In the corpus.
    File(Box<Row>),
}

impl Found {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is too large, or is not what the corpus says.
    pub fn read(self, corpus: &Corpus) -> Result<Vec<u8>, NoContent> {
        match self {
            Found::Bytes(bytes) => Ok(bytes.to_vec()),
            Found::File(row) => Ok(corpus.read_artifact(&row, ARTIFACT_MAXIMUM)?),
        }
    }
}

/// Names as polyswarmd gives them: numbers, so that no name of a file gets anywhere.
fn names(hashes: impl Iterator<Item = String>) -> Vec<Artifact> {
    hashes.enumerate().map(|(index, hash)| Artifact { name: format!("{index:06}"), hash }).collect()
}

/// What a simulated bounty shows: the address of its artifacts and of its metadata, and the filter of their hashes.
pub fn show(plan: &BountyPlan) -> Shown {
    let hashes: Vec<String> = plan.artifacts.iter().map(|facts| content_address(facts.id)).collect();
    let uri = match hashes.as_slice() {
        [single] => single.as_str().into(),
        several => digest_address(several.join("\n").as_bytes()).into(),
    };
    let metadata = describe(plan).map(|json| ipfs::cid(json.text().as_bytes()).into());
    Shown { uri, metadata, bloom: Some(Box::new(Bloom::of(hashes.iter().map(String::as_str)))) }
}

/// The metadata of a simulated bounty, as an ambassador writes them.
fn describe(plan: &BountyPlan) -> Option<Json> {
    let files: Vec<FileMetadata> = plan
        .artifacts
        .iter()
        .map(|facts| FileMetadata {
            mimetype: mimetype(facts.file_type.as_deref().unwrap_or_default()),
            filesize: facts.size.filter(|&size| size > 0),
            sha256: Some(facts.id.to_string()),
            ..FileMetadata::default()
        })
        .collect();
    Json::of(&files).ok()
}

/// The MIME type of a file type in a corpus' words.
fn mimetype(file_type: &str) -> String {
    let file_type = file_type.to_ascii_lowercase();
    let executable = match file_type.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default() {
        "pe" | "pe32" | "pe64" | "win32" | "exe" | "dll" => Some("application/x-dosexec"),
        "elf" => Some("application/x-executable"),
        "macho" | "mach" => Some("application/x-mach-binary"),
        _ => None,
    };
    executable.map_or_else(|| mime_guess::from_ext(&file_type).first_or_octet_stream().essence_str().to_owned(), str::to_owned)
}

/// The address of content of which only the hash is known: a CIDv0 holds a SHA-256, here the artifact's own.
fn content_address(id: ArtifactId) -> String {
    let mut multihash = vec![0x12, 0x20];
    multihash.extend_from_slice(&id.0);
    bs58::encode(multihash).into_string()
}

/// The address of several artifacts: of the list of their hashes.
fn digest_address(text: &[u8]) -> String {
    content_address(ArtifactId(Sha256::digest(text).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let starter = concat!(env!("CARGO_MANIFEST_DIR"), "/../datasets/corpora/starter");
        Store::new(&Corpus::open(starter.as_ref()).unwrap()).unwrap()
    }

    #[test]
    fn files_of_no_size_fill_the_store_too() {
        let (mut store, room) = (store(), STORE_MAXIMUM / FILE_COST);
        store.keep(Upload::of(vec![Vec::new(); 2]).unwrap()).unwrap();
        assert_eq!(store.uploaded, 2 * FILE_COST);
        store.uploaded = (room - 3) * FILE_COST;
        store.keep(Upload::of(vec![Vec::new(); 3]).unwrap()).unwrap();
        // What is there already needs no room.
        store.keep(Upload::of(vec![Vec::new(); 3]).unwrap()).unwrap();
        assert!(matches!(store.keep(Upload::of(vec![Vec::new()]).unwrap()), Err(NoContent::TooLarge { what: "all uploads", .. })));
    }

    #[test]
    fn metadata_of_no_size_fill_their_room_too() {
        let mut store = store();
        store.described = METADATA_KEPT - FILE_COST - 1;
        store.describe(Json::from_text("1").unwrap()).unwrap();
        store.describe(Json::from_text("1").unwrap()).unwrap();
        store.described = METADATA_KEPT - FILE_COST;
        assert!(matches!(store.describe(Json::from_text("2").unwrap()), Err(NoContent::Full)));
    }
}
