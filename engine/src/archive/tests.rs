//! Every archive here is made by the test that opens it.

use std::{
    io::{Cursor, Write},
    time::Duration,
};

use ::zip::{AesMode, CompressionMethod, ZipWriter, unstable::write::FileOptionsExt as _, write::SimpleFileOptions};
use bzip2::write::BzEncoder;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use sevenz_rust2::{ArchiveEntry, ArchiveWriter, EncoderConfiguration, EncoderMethod, Password, encoder_options::AesEncoderOptions};

use super::{zip::find, *};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(120)
}

fn opened(content: &[u8]) -> Opened {
    open(content, &ArchiveConfig::default(), soon())
}

fn contents(opened: &Opened) -> Vec<&[u8]> {
    opened.members.iter().map(|member| member.content.as_slice()).collect()
}

/// Opens in full, to these contents.
fn holds(content: &[u8], expected: &[&[u8]]) {
    let opened = opened(content);
    assert_eq!((contents(&opened).as_slice(), &opened.incomplete), (expected, &None));
    for member in &opened.members {
        assert_eq!(member.sha256, <[u8; 32]>::from(Sha256::digest(&member.content)));
    }
}

/// Says why it is incomplete, and returns what was found all the same.
fn incomplete(content: &[u8], config: &ArchiveConfig, why: &str) -> Opened {
    let opened = open(content, config, soon());
    let failure = opened.incomplete.as_ref().unwrap_or_else(|| panic!("nothing missing, though {why}"));
    assert_eq!(failure.kind, FailureKind::Incomplete);
    assert!(failure.detail.contains(why), "{failure}");
    opened
}

fn zip_with(options: SimpleFileOptions, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(SimpleFileOptions::default(), files)
}

fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(SimpleFileOptions::default().compression_method(CompressionMethod::Stored), files)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn seven_zip(password: Option<&str>, lock_names: bool, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    if let Some(password) = password {
        let aes = AesEncoderOptions::new(Password::new(password)).into();
        writer.set_content_methods(vec![aes, EncoderConfiguration::new(EncoderMethod::LZMA2)]);
        writer.set_encrypt_header(lock_names);
    }
    for (name, content) in files {
        writer.push_archive_entry(ArchiveEntry::new_file(name), Some(*content)).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn the_versions_are_those_of_the_lock_file() {
    let lock = include_str!("../../../Cargo.lock");
    for library in VERSIONS {
        let (name, version) = library.split_once(' ').unwrap();
        let stands = lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"));
        assert!(stands, "{name} is another version now: change it where `VERSIONS` is");
    }
}

#[test]
fn every_format_opens_to_what_was_put_in() {
    let text: &[u8] = b"some text, some text, some text";
    let files: &[(&str, &[u8])] = &[("a.txt", text), ("folder/b.bin", b"\0\x01")];
    let expected: &[&[u8]] = &[text, b"\0\x01"];
    for method in
        [CompressionMethod::Stored, CompressionMethod::Deflated, CompressionMethod::Bzip2, CompressionMethod::Zstd, CompressionMethod::Xz]
    {
        holds(&zip_with(SimpleFileOptions::default().compression_method(method), files), expected);
    }
    holds(&tar(files), expected);
    holds(&seven_zip(None, false, files), expected);
    holds(&gzip(text), &[text]);
    let mut bzip2 = BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text).unwrap();
    holds(&bzip2.finish().unwrap(), &[text]);
    holds(&xz(text), &[text]);
    for nothing in [&b""[..], b"plain text", b"MZ\x90\0", b"PK", &[0; 2048]] {
        holds(nothing, &[]);
    }
}

/// Member of LZMA, which the writer at hand does not write: `abc`, as 7-Zip and Python's zipfile write it.
#[test]
fn lzma_in_a_zip_is_read() {
    let mut writer = lzma_rust2::LzmaWriter::new_no_header(Vec::new(), &lzma_rust2::LzmaOptions::with_preset(1), true).unwrap();
    writer.write_all(b"abcabcabcabc").unwrap();
    let raw = writer.finish().unwrap();
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut data = vec![9, 20, 5, 0, options.get_props()];
    data.extend_from_slice(&options.dict_size.to_le_bytes());
    data.extend_from_slice(&raw);
    // Stored first, then turned into method 14 in both headers.
    let mut archive = stored(&[("a", &data)]);
    let (local, central) = (0, find(&archive, 0, &[b"PK\x01\x02"]).unwrap());
    let mut crc = flate2::Crc::new();
    crc.update(b"abcabcabcabc");
    for (at, method, sum, size) in [(local, 8, 14, 22), (central, 10, 16, 24)] {
        archive[at + method] = 14;
        archive[at + sum..at + sum + 4].copy_from_slice(&crc.sum().to_le_bytes());
        archive[at + size..at + size + 4].copy_from_slice(&12_u32.to_le_bytes());
    }
    holds(&archive, &[b"abcabcabcabc"]);
}

#[test]
fn archives_in_archives_are_opened_and_kept() {
    let inner = zip(&[("x", b"innermost")]);
    let outer = tar(&[("inner.txt", &inner), ("beside", b"text")]);
    let compressed = gzip(&outer);
    let found = opened(&compressed);
    assert_eq!(contents(&found), [outer.as_slice(), &inner, b"text", b"innermost"]);
    assert_eq!(found.members.iter().map(|member| member.depth).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert_eq!(found.incomplete, None);
}

#[test]
fn depth_ends_where_it_is_told_to() {
    let mut archive = b"the last".to_vec();
    for _ in 0..6 {
        archive = zip(&[("again", &archive)]);
    }
    assert_eq!(incomplete(&archive, &ArchiveConfig::default(), "archives.depth").members.len(), 4);
    assert_eq!(open(&archive, &ArchiveConfig { depth: 6, ..ArchiveConfig::default() }, soon()).incomplete, None);
    assert_eq!(open(&archive, &ArchiveConfig { depth: 0, ..ArchiveConfig::default() }, soon()), Opened::default());
    // A compressed tar counts once.
    let one = ArchiveConfig { depth: 1, ..ArchiveConfig::default() };
    assert_eq!(open(&gzip(&tar(&[("a", b"b")])), &one, soon()).members.len(), 2);
    incomplete(&gzip(&gzip(b"a")), &one, "archives.depth");
}

#[test]
fn locked_members_open_with_a_password_of_the_list() {
    let files: &[(&str, &[u8])] = &[("a", b"malware, so they say"), ("b", &[7; 3000])];
    let expected: &[&[u8]] = &[b"malware, so they say", &[7; 3000]];
    let aes = |password| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default().with_aes_encryption(AesMode::Aes256, password)).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let old = |password: &str| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default().with_deprecated_encryption(password.as_bytes()).unwrap()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let seven = |password| seven_zip(Some(password), false, files);
    let seven_names = |password| seven_zip(Some(password), true, files);
    let makers: [&dyn Fn(&'static str) -> Vec<u8>; 4] = [&aes, &old, &seven, &seven_names];
    for make in makers {
        holds(&make("infected"), expected);
        let more = ArchiveConfig { passwords: ["no", "", "secret"].map(str::to_owned).to_vec(), ..ArchiveConfig::default() };
        let found = open(&make("secret"), &more, soon());
        assert_eq!((contents(&found).as_slice(), &found.incomplete), (expected, &None));
        assert!(incomplete(&make("unheard of"), &ArchiveConfig::default(), "locked").members.is_empty());
    }
}

/// `count` mebibytes of zeros in a gzip, streamed.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..mebibytes {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_stops_at_its_ratio_or_at_the_bytes() {
    let bomb = zeros(1024);
    let packed = bomb.len() as u64;
    let found = incomplete(&bomb, &ArchiveConfig::default(), "archives.ratio");
    assert_eq!(found.members[0].content.len() as u64, FREE + 250 * packed);
    let config = ArchiveConfig { ratio: u64::MAX, bytes: 5_000_000, ..ArchiveConfig::default() };
    assert_eq!(incomplete(&bomb, &config, "archives.bytes").members[0].content.len(), 5_000_000);
    // In a zip, whatever its headers say.
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("zeros", SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
    for _ in 0..64 {
        writer.write_all(&[0; 1 << 20]).unwrap();
    }
    let flat = writer.finish().unwrap().into_inner();
    assert_eq!(incomplete(&flat, &config, "archives.bytes").members[0].content.len(), 5_000_000);
    // Ten bombs in one: the bytes count together.
    let files: Vec<(String, &[u8])> = (0..10).map(|index| (index.to_string(), flat.as_slice())).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    let found = incomplete(&zip(&files), &config, "archives.bytes");
    assert_eq!(found.members.iter().map(|member| member.content.len()).sum::<usize>(), 5_000_000);
    assert_eq!(found.members.len(), 11);
}

#[test]
fn members_are_counted_over_all_depths() {
    let many = |count: usize| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for index in 0..count {
            writer.start_file(index.to_string(), SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
            writer.write_all(&[1]).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let found = opened(&many(10_000));
    assert_eq!((found.members.len(), found.incomplete), (10_000, None));
    assert_eq!(incomplete(&many(10_001), &ArchiveConfig::default(), "archives.members").members.len(), 10_000);
    let config = ArchiveConfig { members: 12, ..ArchiveConfig::default() };
    let nested = many(6);
    assert_eq!(incomplete(&stored(&[("a", &nested), ("b", &nested)]), &config, "archives.members").members.len(), 12);
}

#[test]
fn time_ends_the_work() {
    let archive = zip(&[("a", b"b")]);
    for archive in [archive.clone(), seven_zip(None, false, &[("a", b"b")]), gzip(b"a"), tar(&[("a", b"b")]), xz(b"a")] {
        let found = open(&archive, &ArchiveConfig::default(), Instant::now());
        assert!(found.members.is_empty());
        assert!(found.incomplete.unwrap().detail.contains("in time"));
    }
}

#[test]
fn names_are_of_no_consequence() {
    let names = ["../../x", "/etc/passwd", "a\0b", "C:\\x", "con", "\u{202e}txt.exe", "x/"];
    for name in names {
        // A name that ends in a slash makes no folder of a file.
        let placeholder = "n".repeat(name.len());
        let mut one = stored(&[(&placeholder, b"content")]);
        while let Some(at) = one.windows(name.len()).position(|window| window == placeholder.as_bytes()) {
            one[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
        holds(&one, &[b"content"]);
    }
    let mut folders = ZipWriter::new(Cursor::new(Vec::new()));
    folders.add_directory("folder", SimpleFileOptions::default()).unwrap();
    // What a link says is a content like any other, as whoever unpacks it may take it for a file.
    folders.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    holds(&folders.finish().unwrap().into_inner(), &[b"/etc/passwd"]);
    let link = ArchiveEntry { windows_attributes: 0xA1FF_8000, has_windows_attributes: true, ..ArchiveEntry::new_file("link") };
    let mut writer = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    writer.push_archive_entry(link, Some(&b"hidden"[..])).unwrap();
    holds(&writer.finish().unwrap().into_inner(), &[b"hidden"]);
    // Two members of one name are two members.
    let mut twins = stored(&[("a", b"first"), ("b", b"second")]);
    while let Some(at) = twins.iter().position(|byte| *byte == b'b') {
        twins[at] = b'a';
    }
    holds(&twins, &[b"first", b"second"]);
}

#[test]
fn of_a_damaged_archive_what_is_whole_is_kept() {
    let noise: Vec<u8> = (0..4000_u32).flat_map(|index| Sha256::digest(index.to_le_bytes())[..1].to_vec()).collect();
    let archive = zip(&[("a", b"whole, whole, whole"), ("b", &noise)]);
    let found = incomplete(&archive[..2000], &ArchiveConfig::default(), "damaged");
    assert_eq!(found.members[0].content, b"whole, whole, whole");
    assert!(noise.starts_with(&found.members[1].content) && found.members[1].content.len() > 1000);
    let found = incomplete(&tar(&[("a", b"whole"), ("b", &noise)])[..3000], &ArchiveConfig::default(), "ends within");
    assert_eq!(contents(&found), [b"whole", &noise[..3000 - 1536]]);
    incomplete(&gzip(&noise)[..500], &ArchiveConfig::default(), "damaged");
    incomplete(&seven_zip(None, false, &[("a", &noise)])[..500], &ArchiveConfig::default(), "damaged");
    // Behind a gzip, anything may stand: it is in plain sight.
    holds(&[gzip(b"first"), gzip(b", second"), b"garbage".to_vec()].concat(), &[b"first, second"]);
}

#[test]
fn a_directory_that_hides_its_members_hides_nothing() {
    let mut archive = stored(&[("a", b"hidden"), ("b", b"too")]);
    let end = find(&archive, 0, &[b"PK\x05\x06"]).unwrap();
    archive[end + 8..end + 20].fill(0);
    assert_eq!(contents(&incomplete(&archive, &ArchiveConfig::default(), "damaged")), [&b"hidden"[..], b"too"]);
}

const UNLISTED: &str = "entries that the directory does not list";

#[test]
fn two_zips_in_one_file_are_both_opened() {
    for options in [SimpleFileOptions::default(), SimpleFileOptions::default().compression_method(CompressionMethod::Stored)] {
        let (evil, good) = (zip_with(options, &[("a", b"hidden"), ("b", b"too")]), zip_with(options, &[("c", b"in sight")]));
        let found = incomplete(&[evil.clone(), good.clone()].concat(), &ArchiveConfig::default(), UNLISTED);
        assert_eq!(contents(&found), [&b"in sight"[..], b"hidden", b"too"]);
        // The first one's end may be cut off.
        let first = evil[..find(&evil, 0, &[b"PK\x01\x02"]).unwrap()].to_vec();
        let found = incomplete(&[first, good].concat(), &ArchiveConfig::default(), UNLISTED);
        assert_eq!(contents(&found), [&b"in sight"[..], b"hidden", b"too"]);
    }
}

/// The second of two members, taken out of the directory.
fn unlisted(mut archive: Vec<u8>) -> Vec<u8> {
    let first = find(&archive, 0, &[b"PK\x01\x02"]).unwrap();
    let second = find(&archive, first + 4, &[b"PK\x01\x02"]).unwrap();
    let end = find(&archive, second, &[b"PK\x05\x06"]).unwrap();
    archive.drain(second..end);
    let end = second;
    archive[end + 8..end + 12].copy_from_slice(&[1, 0, 1, 0]);
    archive[end + 12..end + 16].copy_from_slice(&((second - first) as u32).to_le_bytes());
    archive
}

#[test]
fn a_member_that_the_directory_leaves_out_is_a_member() {
    let found = incomplete(&unlisted(stored(&[("a", b"in sight"), ("b", b"hidden")])), &ArchiveConfig::default(), UNLISTED);
    assert_eq!(contents(&found), [&b"in sight"[..], b"hidden"]);
    // As part of what the directory calls the data of a member.
    for method in [CompressionMethod::Deflated, CompressionMethod::Bzip2] {
        let options = SimpleFileOptions::default().compression_method(method);
        let mut archive = unlisted(zip_with(options, &[("a", b"in sight, in sight"), ("b", b"hidden")]));
        let central = find(&archive, 0, &[b"PK\x01\x02"]).unwrap();
        archive[central + 20..central + 24].copy_from_slice(&(central as u32 - 31).to_le_bytes());
        let found = incomplete(&archive, &ArchiveConfig::default(), "");
        assert!(contents(&found).contains(&&b"hidden"[..]), "{method}: {found:?}");
    }
    // In a field of its header.
    let hidden = stored(&[("b", b"hidden")]);
    let hidden = &hidden[..find(&hidden, 0, &[b"PK\x01\x02"]).unwrap()];
    let mut archive = stored(&[("a", b"in sight")]);
    let field = [&[0xFE, 0xCA, hidden.len() as u8, 0], hidden].concat();
    archive[28..30].copy_from_slice(&(field.len() as u16).to_le_bytes());
    archive.splice(31..31, field.iter().copied());
    let end = find(&archive, 0, &[b"PK\x05\x06"]).unwrap();
    let place = u32::from_le_bytes(archive[end + 16..end + 20].try_into().unwrap()) + field.len() as u32;
    archive[end + 16..end + 20].copy_from_slice(&place.to_le_bytes());
    let found = incomplete(&archive, &ArchiveConfig::default(), UNLISTED);
    assert_eq!(contents(&found), [&b"in sight"[..], b"hidden"]);
    // The directory says that there is nothing in it, its header says otherwise.
    let mut archive = stored(&[("b", b"hidden")]);
    let central = find(&archive, 0, &[b"PK\x01\x02"]).unwrap();
    archive[central + 16..central + 28].fill(0);
    let found = incomplete(&archive, &ArchiveConfig::default(), UNLISTED);
    assert!(contents(&found).contains(&&b"hidden"[..]), "{found:?}");
}

#[test]
fn ordinary_files_list_all_that_they_hold() {
    let noise: Vec<u8> = (0..9000_u32).flat_map(|index| Sha256::digest(index.to_le_bytes())[..1].to_vec()).collect();
    // A zip in a zip cannot be packed any further, and stands there as it is.
    let inner = stored(&[("a", &noise), ("b", b"more")]);
    for outer in [stored(&[("inner", &inner)]), zip(&[("inner", &inner)])] {
        holds(&outer, &[&inner, &noise, b"more"]);
    }
    // An apk: a block of signatures before the directory, and a header without name or data that fills a gap.
    let mut apk = stored(&[("a", b"1")]);
    let central = find(&apk, 0, &[b"PK\x01\x02"]).unwrap();
    let mut filler = b"PK\x03\x04".to_vec();
    filler.resize(30, 0);
    filler[28] = 8;
    filler.extend_from_slice(b"12345678");
    let block = [&filler, &b"APK Sig Block 42"[..]].concat();
    apk.splice(central..central, block.iter().copied());
    let end = find(&apk, central, &[b"PK\x05\x06"]).unwrap();
    apk[end + 16..end + 20].copy_from_slice(&((central + block.len()) as u32).to_le_bytes());
    holds(&apk, &[b"1"]);
    // Sizes behind the data, and large ones.
    let mut writer = ZipWriter::new_stream(Vec::new());
    for (name, content) in [("a", &noise[..]), ("b", b"text, text, text"), ("c", b"")] {
        writer.start_file(name, SimpleFileOptions::default().large_file(name == "a")).unwrap();
        writer.write_all(content).unwrap();
    }
    holds(&writer.finish().unwrap().into_inner(), &[&noise, b"text, text, text", b""]);
}

#[test]
fn whatever_stands_before_a_zip_hides_nothing() {
    let archive = zip(&[("a", b"hidden")]);
    for front in [&b"MZ\x90\0 a stub that knows PK\x03\x04 and PK\x05\x06"[..], b"\x7FELF", b"#!/bin/sh\n", b"\0", &[b'x'; 100_000]] {
        holds(&[front, &archive].concat(), &[b"hidden"]);
        holds(&[front, &archive, b"and behind"].concat(), &[b"hidden"]);
    }
    for (first, content) in [(gzip(b"first"), &b"first"[..]), (seven_zip(None, false, &[("a", b"first")]), b"first")] {
        for between in [&b""[..], b"between"] {
            holds(&[&first, between, &archive].concat(), &[content, b"hidden"]);
        }
        incomplete(&[&first[..], &xz(b"hidden")].concat(), &ArchiveConfig::default(), "another archive behind");
    }
    incomplete(&[xz(b"first"), archive.clone()].concat(), &ArchiveConfig::default(), "damaged");
    // Less than a block behind a tar, and more.
    holds(&[tar(&[("a", b"first")]), archive.clone()].concat(), &[b"first", b"hidden"]);
    let found = incomplete(&[tar(&[("a", b"first")]), vec![b'x'; 600], archive].concat(), &ArchiveConfig::default(), "malformed");
    assert_eq!(contents(&found), [&b"first"[..], b"hidden"]);
    for nothing in [&b"PK\x05\x06"[..], b"text PK\x05\x06 and no directory, PK\x01\x02 or not"] {
        assert_eq!(opened(&[b"x", nothing].concat()), Opened::default());
    }
}

#[test]
fn a_member_of_a_tar_is_one_whatever_it_is_called() {
    for kind in [b'1', b'2', b'3', b'5', b'6', b'9', b'A', b'V', b'X', 0xFF] {
        let mut archive = tar(&[("a", b"hidden"), ("b", b"")]);
        for (at, kind) in [(0, kind), (1024, kind)] {
            archive[at + 156] = kind;
            let sum: u64 = archive[at..at + 512]
                .iter()
                .enumerate()
                .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
                .sum();
            archive[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        holds(&archive, &[b"hidden"]);
    }
}

#[test]
fn sizes_that_lie_are_damage() {
    let archive = stored(&[("a", b"0123456789")]);
    let central = find(&archive, 0, &[b"PK\x01\x02"]).unwrap();
    for (at, size) in [(central + 24, 4_u32), (central + 20, 5), (central + 20, u32::MAX - 1)] {
        let mut lying = archive.clone();
        lying[at..at + 4].copy_from_slice(&size.to_le_bytes());
        incomplete(&lying, &ArchiveConfig::default(), "damaged");
    }
    // One that is larger than what there is costs nothing: the checksum fits.
    let mut lying = archive.clone();
    lying[central + 24..central + 28].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    holds(&lying, &[b"0123456789"]);
    // The local header is not asked where there is a directory.
    let mut lying = archive.clone();
    lying[18..26].fill(0xEE);
    holds(&lying, &[b"0123456789"]);
    for size in ["77777777777", "0000017777 "] {
        let mut lying = tar(&[("a", b"0123456789")]);
        lying[124..124 + size.len()].copy_from_slice(size.as_bytes());
        let sum: u64 = lying[..512].iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
        lying[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        incomplete(&lying, &ArchiveConfig::default(), "ends within");
    }
}

#[test]
fn entries_that_share_their_data_are_counted_each() {
    // A thousand entries of the directory for the same megabyte.
    let archive = zip(&[("a", &[0; 1 << 20])]);
    let central = find(&archive, 0, &[b"PK\x01\x02"]).unwrap();
    let end = find(&archive, central, &[b"PK\x05\x06"]).unwrap();
    let mut overlapping = archive[..central].to_vec();
    for _ in 0..1000 {
        overlapping.extend_from_slice(&archive[central..end]);
    }
    let mut last = archive[end..].to_vec();
    last[8..10].copy_from_slice(&1000_u16.to_le_bytes());
    last[10..12].copy_from_slice(&1000_u16.to_le_bytes());
    last[12..16].copy_from_slice(&(1000 * (end - central) as u32).to_le_bytes());
    overlapping.extend_from_slice(&last);
    let found = incomplete(&overlapping, &ArchiveConfig::default(), "archives.ratio");
    let unpacked: u64 = found.members.iter().map(|member| member.content.len() as u64).sum();
    assert_eq!(unpacked, FREE + 250 * overlapping.len() as u64);
    assert!(found.members.len() > 2);
}

#[test]
fn a_pax_header_may_state_the_size() {
    let mut archive = tar(&[("pax", b"18 size=7\n"), ("a", b"content")]);
    for (at, kind) in [(0, b'x'), (1024, b'0')] {
        archive[at + 156] = kind;
        archive[at + 124 + 8..at + 124 + 11].copy_from_slice(if kind == b'x' { b"012" } else { b"000" });
        let sum: u64 =
            archive[at..at + 512].iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
        archive[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    holds(&archive, &[b"content"]);
}

#[test]
fn a_window_beyond_all_measure_is_refused() {
    let mut archive = xz(b"some text");
    // The block's header follows the stream's 12 bytes: its size in words, flags, the filter 0x21, one byte of properties.
    let size = (usize::from(archive[12]) + 1) * 4;
    assert_eq!(archive[14..16], [0x21, 1]);
    archive[16] = 40;
    let mut crc = flate2::Crc::new();
    crc.update(&archive[12..12 + size - 4]);
    archive[12 + size - 4..12 + size].copy_from_slice(&crc.sum().to_le_bytes());
    assert!(incomplete(&archive, &ArchiveConfig::default(), "damaged: xz").members.is_empty());
}

/// Valid archives of all kinds, small.
fn seeds() -> Vec<Vec<u8>> {
    let files: &[(&str, &[u8])] = &[("a", b"some text, some text"), ("b/c", &[0; 700])];
    let inner = zip(files);
    let mut locked = ZipWriter::new(Cursor::new(Vec::new()));
    locked.start_file("a", SimpleFileOptions::default().with_deprecated_encryption(b"infected").unwrap()).unwrap();
    locked.write_all(b"some text").unwrap();
    vec![
        stored(files),
        zip_with(SimpleFileOptions::default().compression_method(CompressionMethod::Zstd), files),
        zip_with(SimpleFileOptions::default().compression_method(CompressionMethod::Xz), files),
        locked.finish().unwrap().into_inner(),
        zip(&[("inner", &inner), ("tar", &gzip(&tar(files)))]),
        tar(files),
        gzip(b"some text"),
        xz(b"some text"),
        seven_zip(None, false, files),
        inner,
    ]
}

/// Whatever the bytes: the limits hold.
fn limits_hold(content: &[u8]) {
    let config = ArchiveConfig { depth: 2, members: 5, bytes: 1000, ratio: 3, passwords: vec!["infected".to_owned()] };
    let found = open(content, &config, soon());
    assert!(found.members.len() <= 5);
    assert!(found.members.iter().map(|member| member.content.len()).sum::<usize>() <= 1000);
    assert!(found.members.iter().all(|member| (1..=2).contains(&member.depth)));
    let detail = found.incomplete.map(|failure| failure.detail).unwrap_or_default();
    assert!(!detail.contains("panicked"), "{detail}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_opened_within_the_limits(content in prop::collection::vec(any::<u8>(), 0..600), magic in 0..9_usize) {
        let magics: [&[u8]; 9] =
            [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1F\x8B\x08", b"BZh9\x31\x41\x59\x26\x53\x59", b"\xFD7zXZ\0", b"7z\xBC\xAF\x27\x1C\0\x04", b"BZh", b"PK\x07\x08"];
        limits_hold(&[magics[magic], &content].concat());
    }

    #[test]
    fn any_change_to_an_archive_is_opened_within_the_limits(
        seed in 0..10_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut content = seeds().swap_remove(seed);
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if cut {
            content.truncate(end.index(content.len()));
        }
        limits_hold(&content);
    }
}
