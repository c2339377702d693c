//! Every sample is made here, but for the program that runs the tests.

use proptest::prelude::*;

use super::{Feature as F, *};

/// A Windows program of one section that looks packed: random bytes that are written, executed, and entered last.
pub(crate) fn packed_pe() -> Vec<u8> {
    let mut file = vec![0_u8; 0x400];
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(&mut file, 0, b"MZ");
    put(&mut file, 60, &0x80_u32.to_le_bytes());
    put(&mut file, 0x80, b"PE\0\0\x4C\x01\x02\0");
    // 224 bytes of optional header; an executable for 32 bits.
    put(&mut file, 0x94, &[0xE0, 0, 2, 1]);
    put(&mut file, 0x98, &[0x0B, 1]);
    for (at, value) in [(16, 0x2010_u32), (28, 0x40_0000), (32, 0x1000), (36, 0x200), (56, 0x12000), (60, 0x400), (92, 16)] {
        put(&mut file, 0x98 + at, &value.to_le_bytes());
    }
    put(&mut file, 0x98 + 68, &[2]);
    for (row, name, [memory, address, size, start, flags]) in [
        (0, b"UPX0\0\0\0\0", [0x1000_u32, 0x1000, 0, 0x400, 0xE000_0080_u32 | 0x20]),
        (1, b"UPX1\0\0\0\0", [0x10000, 0x2000, 0x8000, 0x400, 0xE000_0040]),
    ] {
        let at = 0x98 + 224 + row * 40;
        put(&mut file, at, name);
        for (index, value) in [memory, address, size, start].into_iter().enumerate() {
            put(&mut file, at + 8 + index * 4, &value.to_le_bytes());
        }
        put(&mut file, at + 36, &flags.to_le_bytes());
    }
    let mut state = 1_u64;
    file.extend((0..0x8000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    }));
    file
}

fn value(content: &[u8], feature: Feature) -> f64 {
    Features::of(content).get(feature)
}

#[test]
fn names_are_distinct_and_in_the_order_of_the_features() {
    let distinct: std::collections::BTreeSet<&str> = NAMES.into_iter().collect();
    assert_eq!(distinct.len(), NAMES.len());
    assert!(Feature::ALL.iter().enumerate().all(|(at, feature)| *feature as usize == at && feature.name() == NAMES[at]));
    assert!(NAMES.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')));
}

#[test]
fn kinds_are_told_by_content() {
    let samples: [(&[u8], Feature); 17] = [
        (&packed_pe(), F::IsPe),
        (b"MZ this is a text about programs", F::IsText),
        (b"\x7FELF\x02\x01\x01", F::IsElf),
        (b"\xCF\xFA\xED\xFE\x07\0\0\x01", F::IsMachO),
        (b"\xCA\xFE\xBA\xBE\0\0\0\x34", F::IsUnknown),
        (b"PK\x03\x04\x14\0", F::IsArchive),
        (b"%PDF-1.7\n", F::IsPdf),
        (b"{\\rtf1 text}", F::IsRtf),
        (b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR", F::IsMedia),
        (b"<?php echo 1;", F::IsPhp),
        (b"#!/bin/sh\necho", F::IsShell),
        (b"#!/usr/bin/env python3\n", F::IsPython),
        (b"Dim x\r\nSet x = CreateObject(\"a\")\r\nWScript.Echo x", F::IsVbScript),
        (b"function f() { return document.body; }\nvar x = window.y;", F::IsJavaScript),
        (b"$x = New-Object Foo; Write-Host $x; Invoke-Bar", F::IsPowerShell),
        (b"Dear reader, this is a text.", F::IsText),
        (b"\0\x01\x02\x03\x04\x05", F::IsUnknown),
    ];
    for (content, kind) in samples {
        let features = Features::of(content);
        let kinds: Vec<&str> = Feature::ALL
            .into_iter()
            .filter(|feature| feature.name().starts_with("is_") && features.get(*feature) > 0.0)
            .map(Feature::name)
            .collect();
        assert_eq!(kinds, [kind.name()], "{:?}", String::from_utf8_lossy(&content[..content.len().min(40)]));
    }
}

#[test]
fn bytes_are_summed_up() {
    assert_eq!(value(&[7; 5000], F::Entropy), 0.0);
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!((value(&all, F::Entropy), value(&all, F::Distinct), value(&all, F::Unevenness)), (8.0, 1.0, 0.0));
    assert_eq!(value(b"aaaa b", F::LongestRun), libm::log1p(4.0));
    assert_eq!(value(b"ab\nabcdef\nab", F::LongestLine), libm::log1p(6.0));
    assert_eq!(value(b"aA1 .\n", F::Printable), 1.0);
    assert!(Features::of(b"").as_slice().iter().all(|value| value.is_finite()));
}

#[test]
fn a_packed_program_shows_it() {
    let features = Features::of(&packed_pe());
    for (feature, expected) in [
        (F::Malformed, 0.0),
        (F::PeSections, 2.0),
        (F::PeWritableCode, 2.0),
        (F::PeEmptyCode, 1.0),
        (F::PeOddNames, 1.0),
        (F::PeEntryLast, 1.0),
        (F::PeEntryOutside, 0.0),
        (F::PeEntryWritable, 1.0),
        (F::PeNoImports, 1.0),
        (F::PeSigned, 0.0),
    ] {
        assert_eq!(features.get(feature), expected, "{}", feature.name());
    }
    assert!(features.get(F::PeEntropyEntry) > 7.9 && features.get(F::PackerWords) > 1.0);
}

#[test]
fn imports_are_read() {
    let mut file = packed_pe();
    // A directory of imports at the beginning of the last section: one library with two functions.
    let base = 0x400;
    file[0x98 + 104..0x98 + 112].copy_from_slice(&[0, 0x20, 0, 0, 40, 0, 0, 0]);
    file[base..base + 0x200].fill(0);
    for (at, value) in [(0, 0x2080_u32), (12, 0x2060), (16, 0x2080), (0x80, 0x20A0), (0x84, 0x20C0)] {
        file[base + at..base + at + 4].copy_from_slice(&value.to_le_bytes());
    }
    for (at, name) in [(0x60, "kernel32.dll"), (0xA2, "WriteProcessMemory"), (0xC2, "GetProcAddress")] {
        file[base + at..base + at + name.len()].copy_from_slice(name.as_bytes());
    }
    let features = Features::of(&file);
    assert_eq!(features.get(F::PeImports), libm::log1p(2.0));
    assert_eq!(features.get(F::PeLibraries), libm::log1p(1.0));
    assert_eq!(features.get(F::PeImportInject), libm::log1p(1.0));
    assert_eq!(features.get(F::PeNoImports), 1.0, "it finds the others itself");
}

/// What runs this test is an ordinary program, with symbols and libraries.
#[test]
#[cfg(target_os = "linux")]
fn an_ordinary_program_is_ordinary() {
    let features = Features::of(&std::fs::read("/proc/self/exe").unwrap());
    assert_eq!(features.get(F::IsElf), 1.0);
    for feature in [F::Malformed, F::ElfStripped, F::ElfStatic, F::ElfNoSections, F::ElfWritableCode] {
        assert_eq!(features.get(feature), 0.0, "{}", feature.name());
    }
    assert!((4.0..7.5).contains(&features.get(F::ElfEntropyMax)));
}

#[test]
fn words_count_where_they_mean_something() {
    let script = b"<?php eval(base64_decode($_POST['x']));";
    for feature in [F::ScriptEval, F::ScriptDecode, F::ScriptInput, F::ScriptEvalOfDecoded] {
        assert!(value(script, feature) > 0.0, "{}", feature.name());
        assert_eq!(value(&[&b"\x89PNG\r\n\x1A\n"[..], script].concat(), feature), 0.0);
    }
    let wide: Vec<u8> = "PowerShell".bytes().flat_map(|byte| [byte, 0]).collect();
    assert_eq!(value(&[&b"\x01\x02\x03"[..], &wide].concat(), F::CommandWords), libm::log1p(1.0));
    let pdf = b"%PDF-1.4\n<< /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>";
    assert!(value(pdf, F::PdfScript) > 0.0 && value(pdf, F::PdfOpen) > 0.0);
    assert_eq!(value(b"/OpenAction /JavaScript in a text", F::PdfScript), 0.0);
}

fn finite(content: &[u8]) {
    let features = Features::of(content);
    assert!(features.as_slice().iter().all(|value| value.is_finite()), "{features:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_have_features(content in prop::collection::vec(any::<u8>(), 0..1000), magic in 0..10_usize) {
        let magics: [&[u8]; 10] = [
            b"", b"MZ", b"\x7FELF\x02\x01\x01", b"\x7FELF\x01\x02\x01", b"\xCF\xFA\xED\xFE", b"\xCE\xFA\xED\xFE", b"\xCA\xFE\xBA\xBE\0\0\0\x02",
            b"PK\x03\x04", b"%PDF-", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        ];
        finite(&[magics[magic], &content].concat());
    }

    #[test]
    fn any_change_to_a_program_has_features(
        elf in any::<bool>(),
        // Most where the headers are.
        changes in prop::collection::vec((0..0x400_usize, any::<u8>()), 0..12),
        length in 0x40..0x8400_usize,
    ) {
        let mut content = if elf { small_elf() } else { packed_pe() };
        for (at, byte) in changes {
            let at = at % content.len();
            content[at] = byte;
        }
        content.truncate(length);
        finite(&content);
    }
}

/// A 64-bit ELF header, one segment that is loaded, and one section.
fn small_elf() -> Vec<u8> {
    let mut file = vec![0_u8; 0x200];
    file[..18].copy_from_slice(b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0");
    for (at, value) in [(18, 62_u16), (52, 64), (54, 56), (56, 1), (58, 64), (60, 1)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(32, 64_u64), (40, 0x100), (64 + 8, 0), (64 + 32, 0x200), (64 + 40, 0x200)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file[64..72].copy_from_slice(&[1, 0, 0, 0, 7, 0, 0, 0]);
    file
}

#[test]
fn a_segment_that_is_written_and_run_is_seen() {
    let features = Features::of(&small_elf());
    assert_eq!((features.get(F::Malformed), features.get(F::ElfWritableCode), features.get(F::ElfStatic)), (0.0, 1.0, 1.0));
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
