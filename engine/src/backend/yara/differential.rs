//! The same rules over the same contents, by both libraries: each is the other's oracle.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{Compiled, Program, RuleName, Source};
use crate::config::YaraLibrary;

/// Rules of every kind that people write. Each must match some content and miss another, else it tests nothing.
const RULES: &str = r#"
import "pe"
import "elf"
import "math"
import "hash"

rule text : one two { meta: confidence = 60 family = "Text" strings: $a = "invoice" condition: $a }
rule nocase_text { meta: score = 75 family = "Nocase" strings: $a = "InVoIcE" nocase condition: $a }
rule wide_text { meta: confidence = "0.9" malware = "Wide" strings: $a = "invoice" wide condition: $a }
rule ascii_wide_text { strings: $a = "powershell" ascii wide nocase condition: #a >= 2 }
rule fullword_text { meta: confidence = 99 family = "Full" strings: $a = "cmd" fullword condition: $a }
rule xor_range { meta: family = "Xor" strings: $a = "This program" xor(1-255) condition: $a }
rule encoded { strings: $a = "This program" base64 condition: $a }
rule private_string { strings: $a = "secret" private condition: $a }
rule hex_bytes { strings: $a = { 4D 5A ?? ?? 9? } condition: $a }
rule hex_jump { strings: $a = { DE AD [2-9] BE EF } condition: $a }
rule hex_long_jump { strings: $a = { DE AD [0-600] BE EF } condition: #a > 1 }
rule hex_choice { strings: $a = { 70 6F ( 77 65 72 | 73 74 ) ~73 } condition: $a }
rule regex { meta: verdict = "benign" strings: $a = /inv[a-z]{2,5}e\b/ condition: $a }
rule regex_nocase { strings: $a = /https?:\/\/[a-z0-9.]+\.(exe|dll)/i condition: $a }
rule regex_dot { strings: $a = /cmd.{1,20}power/s condition: $a }
rule regex_line { strings: $a = /cmd.{1,20}power/ condition: $a }
rule regex_lazy { strings: $a = /secret.*?cmd/ condition: for any i in (1..#a) : ( !a[i] < 30 ) }
rule regex_start { strings: $a = /^MZ/ condition: $a }
rule regex_wide { strings: $a = /inv[o]ice/ wide condition: $a }
rule counted { strings: $a = "a" condition: #a > 20 }
rule counted_in { strings: $a = "cmd" condition: #a in (0..200) >= 2 }
rule at_start { strings: $a = "MZ" condition: $a at 0 }
rule within { strings: $a = "cmd" condition: $a in (10..300) }
rule offset { strings: $a = "secret" condition: @a[1] > 100 and @a[2] - @a[1] > 10 }
rule any_of { meta: confidence = 70 strings: $a = "invoice" $b = "secret" $c = "http://" condition: any of them }
rule two_of { meta: confidence = 80 family = "Two" strings: $a1 = "invoice" $a2 = "secret" $b = "cmd" condition: 2 of ($a*, $b) }
rule none_of { strings: $a = "invoice" $b = "secret" condition: none of them }
rule each_of { strings: $a = "cmd" $b = "power" condition: for all of them : ( @ < 400 ) }
rule size { condition: filesize > 500 and filesize < 2KB }
rule header { condition: uint16(0) == 0x5A4D and uint32(uint32(0x3C)) == 0x00004550 }
rule big_endian { condition: uint32be(0) == 0x7F454C46 }
rule loop_bytes { condition: for any i in (0..15) : ( uint8(i) == 0x90 ) }
rule is_pe { meta: family = "Pe" condition: pe.is_pe }
rule no_pe { condition: not pe.is_pe and filesize > 100 }
rule pe_sections { condition: pe.number_of_sections > 2 }
rule pe_machine { condition: pe.machine == pe.MACHINE_AMD64 }
rule pe_dll { condition: pe.is_pe and pe.characteristics & pe.DLL != 0 }
rule pe_old { condition: pe.timestamp < 1000000000 }
rule pe_name { condition: for any section in pe.sections : ( section.name == ".text" and section.raw_data_size > 0x200 ) }
rule pe_upx { condition: pe.is_pe and pe.sections[0].name contains "UPX" }
rule is_elf { condition: elf.type == elf.ET_EXEC }
rule elf_machine { condition: elf.machine == elf.EM_X86_64 }
rule entropy { condition: math.entropy(0, filesize) > 7.0 }
rule mean { condition: math.in_range(math.mean(0, filesize), 60.0, 120.0) }
rule ones { condition: math.count(0x90) > 3 }
rule nothing { condition: filesize == 0 }
rule digest { condition: hash.md5(0, 2) == "ac6ad5d9b99757c3a878f2d275ace198" }
rule eicar { meta: family = "Eicar" condition: filesize < 128 and hash.sha256(0, 68) == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f" }
rule depends { meta: family = "Depends" condition: text and not size }
private rule hidden { strings: $a = "secret" condition: $a }
rule reveals { condition: hidden and is_pe }
"#;

/// As a file of its own: its filter must leave the others alone.
const FILTERED: &str = r#"
global rule large { condition: filesize > 700 }
rule filtered { meta: family = "Filtered" strings: $a = "cmd" condition: $a }
rule strings_of_no_use_here { strings: $a = "http" nocase condition: #a == 1 }
"#;

/// SplitMix64: the same contents in each run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A PE file in its headers, and nothing else.
fn pe(draw: &mut Draw) -> Vec<u8> {
    let mut file = vec![0; 0x40];
    file[..5].copy_from_slice(b"MZ\0\0\x90");
    file[0x3C] = 0x40;
    file.extend(b"PE\0\0");
    let plus = draw.below(2) == 0;
    let sections = draw.below(5);
    let (machine, magic, optional) = if plus { (0x8664u16, 0x20Bu16, 0xF0usize) } else { (0x14C, 0x10B, 0xE0) };
    file.extend(machine.to_le_bytes());
    file.extend((sections as u16).to_le_bytes());
    file.extend((draw.next() as u32 & 0x7FFF_FFFF).to_le_bytes());
    file.extend([0; 8]);
    file.extend((optional as u16).to_le_bytes());
    file.extend(if draw.below(2) == 0 { 0x2022u16 } else { 0x0022 }.to_le_bytes());
    let mut header = vec![0; optional];
    header[..2].copy_from_slice(&magic.to_le_bytes());
    header[16..20].copy_from_slice(&0x1000u32.to_le_bytes());
    header[32..36].copy_from_slice(&0x1000u32.to_le_bytes());
    header[36..40].copy_from_slice(&0x200u32.to_le_bytes());
    let directories = optional - 16 * 8 - 4;
    header[directories] = 16;
    file.extend(header);
    for index in 0..sections {
        let name: &[u8; 8] = [b".text\0\0\0", b"UPX0\0\0\0\0", b".data\0\0\0", b".rsrc\0\0\0"][draw.below(4)];
        file.extend(name);
        for field in [0x1000, 0x1000 * (index as u32 + 1), 0x200 * draw.below(4) as u32, 0x400, 0, 0, 0, 0x6000_0020] {
            file.extend(field.to_le_bytes());
        }
    }
    file
}

/// An ELF file in its header, and nothing else.
fn elf(draw: &mut Draw) -> Vec<u8> {
    let mut file = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2u16, 3][draw.below(2)].to_le_bytes());
    file.extend([62u16, 183, 40][draw.below(3)].to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(0x40_1000u64.to_le_bytes());
    file.extend([0; 20]);
    for field in [64u16, 56, 0, 64, 0, 0] {
        file.extend(field.to_le_bytes());
    }
    file
}

fn content(draw: &mut Draw) -> Vec<u8> {
    let eicar = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat();
    let wide = |text: &str| text.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<u8>>();
    let mut content = match draw.below(8) {
        0 => return Vec::new(),
        1 => return eicar.into_bytes(),
        2 | 3 => pe(draw),
        4 => elf(draw),
        5 => b"MZ".to_vec(),
        _ => Vec::new(),
    };
    for _ in 0..draw.below(14) {
        let key = draw.next() as u8;
        let piece = match draw.below(20) {
            0 => b"invoice".to_vec(),
            1 => b"INVOICE ".to_vec(),
            2 => wide("invoice"),
            3 => wide("PowerShell"),
            4 => b"powershell".to_vec(),
            5 => b" cmd /c ".to_vec(),
            6 => b"xcmdx".to_vec(),
            7 => b"This program cannot".iter().map(|byte| byte ^ key).collect(),
            8 => b"VGhpcyBwcm9ncmFt".to_vec(),
            9 => b"secret".to_vec(),
            10 => [&b"\xDE\xAD"[..], &draw.bytes(key as usize % 12), b"\xBE\xEF"].concat(),
            11 => b"posting".to_vec(),
            12 => b"HTTP://some.host.EXE".to_vec(),
            13 => b"http://other.dll".to_vec(),
            14 => b"\n".to_vec(),
            15 => vec![b'a'; key as usize % 40],
            16 => vec![0x90; key as usize % 8],
            17 => draw.bytes(key as usize * 8),
            18 => draw.bytes(key as usize % 20),
            _ => b"some text to read, of many words. ".repeat(key as usize % 20),
        };
        content.extend(piece);
    }
    content
}

fn compile(library: YaraLibrary, sources: &[Source]) -> Compiled {
    Compiled::compile(library, sources).unwrap_or_else(|error| panic!("{library:?}: {error:?}"))
}

fn source(name: &str, text: &str) -> Source {
    Source { relative: name.to_owned(), shown: name.to_owned(), text: text.to_owned() }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(300)
}

/// All that is known to differ: boreal says with YARA that nothing has no hash, YARA-X that it has one.
#[test]
fn only_one_library_hashes_an_empty_content() {
    let text = r#"import "hash" rule r { condition: hash.md5(0, filesize) == "d41d8cd98f00b204e9800998ecf8427e" }"#;
    let malicious = |library| compile(library, &[source("r.yar", text)]).scan(b"", later()).unwrap().result.malicious;
    assert_eq!(malicious(YaraLibrary::Boreal), Some(false));
    assert_eq!(malicious(YaraLibrary::YaraX), Some(true));
}

#[test]
fn both_libraries_say_the_same_of_the_same_content() {
    let sources = [source("filtered.yar", FILTERED), source("rules.yar", RULES)];
    let (boreal, x) = (compile(YaraLibrary::Boreal, &sources), compile(YaraLibrary::YaraX, &sources));
    assert_eq!(boreal.meanings, x.meanings);

    let matched = |compiled: &Compiled, content: &[u8], deadline: Instant| -> BTreeSet<RuleName> {
        let outcome = match &compiled.program {
            Program::Boreal(program) => program.scan(content, deadline),
            Program::YaraX(program) => program.scan(content, deadline),
        };
        outcome.unwrap().matched.into_iter().filter(|rule| compiled.meanings.contains_key(rule)).collect()
    };
    let (mut draw, contents) = (Draw(1), 3000);
    let mut differ = BTreeMap::new();
    let mut hits: BTreeMap<RuleName, u32> = boreal.meanings.keys().map(|rule| (rule.clone(), 0)).collect();
    for index in 0..contents {
        let content = content(&mut draw);
        let deadline = later();
        let by_boreal = matched(&boreal, &content, deadline);
        let by_x = matched(&x, &content, deadline);
        for rule in by_boreal.symmetric_difference(&by_x) {
            let library = if by_x.contains(rule) { "YARA-X" } else { "boreal" };
            let shown = content.escape_ascii().to_string();
            differ
                .entry(rule.clone())
                .or_insert(format!("content {index} ({} bytes) matches with {library} alone: {shown:.3000}", content.len()));
        }
        if by_boreal == by_x {
            assert_eq!(boreal.scan(&content, deadline), x.scan(&content, deadline), "content {index}");
        }
        for rule in by_boreal {
            *hits.get_mut(&rule).expect("one of the rules") += 1;
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    let idle: Vec<_> = hits.iter().filter(|(_, count)| **count == 0 || **count == contents).collect();
    assert!(idle.is_empty(), "rules that match no content or all: {idle:?}");
}
