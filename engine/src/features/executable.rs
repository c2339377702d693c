//! PE, ELF and Mach-O: headers by goblin; tables that the file sizes by hand, so far as they are worth the time.

use goblin::{
    container::Ctx,
    elf::{Elf, ProgramHeader, SectionHeader, header as elf_header, program_header, section_header},
    pe::header::Header,
};

use super::{Feature, Features, bytes::entropy};

/// Most sections that are looked at: the most that Windows loads.
const SECTIONS: usize = 96;
/// Most libraries, functions and load commands that are looked at.
const LIBRARIES: usize = 256;
const FUNCTIONS: usize = 4096;
const COMMANDS: usize = 512;
/// Longest part of a section whose entropy is taken, in bytes.
const SECTION_BYTES: usize = 2 << 20;

/// Functions by what they are for; each name stands for itself with A, W and Ex behind.
const IMPORTS: [(Feature, &[&str]); 6] = [
    (
        Feature::PeImportInject,
        &[
            "VirtualAllocEx",
            "WriteProcessMemory",
            "ReadProcessMemory",
            "CreateRemoteThread",
            "NtUnmapViewOfSection",
            "QueueUserAPC",
            "SetThreadContext",
            "NtWriteVirtualMemory",
            "RtlCreateUserThread",
            "OpenProcess",
            "VirtualProtectEx",
            "ZwMapViewOfSection",
        ],
    ),
    (
        Feature::PeImportNetwork,
        &[
            "InternetOpen",
            "InternetOpenUrl",
            "InternetReadFile",
            "InternetConnect",
            "HttpSendRequest",
            "HttpOpenRequest",
            "URLDownloadToFile",
            "WinHttpOpen",
            "WinHttpConnect",
            "WSAStartup",
            "connect",
            "socket",
            "send",
            "recv",
            "gethostbyname",
        ],
    ),
    (
        Feature::PeImportCrypto,
        &[
            "CryptEncrypt",
            "CryptDecrypt",
            "CryptAcquireContext",
            "CryptGenKey",
            "CryptDeriveKey",
            "CryptImportKey",
            "BCryptEncrypt",
            "BCryptDecrypt",
            "CryptUnprotectData",
        ],
    ),
    (Feature::PeImportRegistry, &["RegSetValue", "RegCreateKey", "CreateService", "StartService", "ChangeServiceConfig"]),
    (
        Feature::PeImportSpy,
        &["GetAsyncKeyState", "SetWindowsHook", "GetKeyState", "GetForegroundWindow", "BitBlt", "GetClipboardData", "keybd_event"],
    ),
    (
        Feature::PeImportEvade,
        &[
            "IsDebuggerPresent",
            "CheckRemoteDebuggerPresent",
            "NtQueryInformationProcess",
            "OutputDebugString",
            "NtSetInformationThread",
            "CreateToolhelp32Snapshot",
        ],
    ),
];

/// Names that compilers and linkers give to sections.
const SECTION_NAMES: [&str; 32] = [
    ".text", ".data", ".rdata", ".bss", ".idata", ".edata", ".pdata", ".rsrc", ".reloc", ".tls", ".debug", ".xdata", ".CRT", "CODE",
    "DATA", "BSS", ".ndata", ".code", ".orpc", ".didat", ".gfids", ".00cfg", ".sdata", ".textbss", ".buildid", ".itext", ".didata", "INIT",
    "PAGE", ".init", ".fini", ".eh_fram",
];

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

/// `length` bytes from `start` on, or as many as there are.
fn part(bytes: &[u8], start: u64, length: u64) -> &[u8] {
    let rest = usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
    usize::try_from(length).ok().and_then(|length| rest.get(..length)).unwrap_or(rest)
}

/// Entropy of as much of `bytes` as is worth the time.
fn entropy_of_part(bytes: &[u8]) -> f64 {
    entropy(bytes.get(..SECTION_BYTES).unwrap_or(bytes))
}

/// A row of the table of sections.
#[derive(Clone, Copy)]
struct Section<'a> {
    name: &'a [u8],
    address: u32,
    memory: u32,
    start: u32,
    size: u32,
    flags: u32,
}

impl<'a> Section<'a> {
    fn read(row: &'a [u8]) -> Option<Section<'a>> {
        let name = row.get(..8)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let [memory, address, size, start, flags] =
            [8, 12, 16, 20, 36].map(|at| u32_at(row, at)).into_iter().collect::<Option<Vec<u32>>>()?.try_into().ok()?;
        Some(Section { name, address, memory, start, size, flags })
    }

    fn executes(&self) -> bool {
        self.flags & 0x2000_0020 != 0
    }

    fn writes(&self) -> bool {
        self.flags & 0x8000_0000 != 0
    }

    fn covers(&self, address: u32) -> bool {
        address >= self.address && u64::from(address) < u64::from(self.address) + u64::from(self.memory.max(self.size))
    }
}

/// Where an address of memory is in the file.
fn offset_of(sections: &[Section<'_>], address: u32) -> Option<usize> {
    let section = sections.iter().find(|section| section.covers(address))?;
    usize::try_from(u64::from(section.start) + u64::from(address - section.address)).ok()
}

/// The features of a Windows program in a file of `size` bytes, of which `bytes` are at hand.
pub(super) fn pe(features: &mut Features, bytes: &[u8], size: usize) {
    use Feature as F;
    let (Ok(header), Some(windows)) = (Header::parse(bytes), u32_at(bytes, 60)) else {
        features.set(F::Malformed, 1.0);
        return;
    };
    let coff = header.coff_header;
    let Some(optional) = header.optional_header else {
        features.set(F::Malformed, 1.0);
        return;
    };
    // The table begins behind the optional header, whose size the header states.
    let table = u64::from(windows) + 24 + u64::from(coff.size_of_optional_header);
    let rows = part(bytes, table, u64::from(coff.number_of_sections) * 40);
    let sections: Vec<Section<'_>> = rows.chunks_exact(40).take(SECTIONS).filter_map(Section::read).collect();
    features.flag(F::Malformed, sections.is_empty() || sections.len() < usize::from(coff.number_of_sections).min(SECTIONS));
    let wide = optional.standard_fields.magic == 0x20B;
    features.flag(F::Pe64, wide);
    features.flag(F::PeDll, coff.characteristics & 0x2000 != 0);
    features.flag(F::PeNative, optional.windows_fields.subsystem == 1);
    features.set(F::PeSections, f64::from(coff.number_of_sections));
    features.flag(F::PeOddTime, !(788_918_400..2_145_916_800).contains(&coff.time_date_stamp));
    features.flag(F::PeNoChecksum, optional.windows_fields.check_sum == 0);
    let directories = &optional.data_directories;
    pe_sections(features, bytes, &sections, optional.standard_fields.address_of_entry_point);

    // The directories, whose places are fixed.
    let present = |found: Option<&goblin::pe::data_directories::DataDirectory>| {
        found.filter(|directory| directory.virtual_address != 0 && directory.size != 0).copied()
    };
    let [exports, imports, resources, certificates, relocations, debug, tls, managed] = [
        directories.get_export_table(),
        directories.get_import_table(),
        directories.get_resource_table(),
        directories.get_certificate_table(),
        directories.get_base_relocation_table(),
        directories.get_debug_table(),
        directories.get_tls_table(),
        directories.get_clr_runtime_header(),
    ]
    .map(present);
    features.flag(F::PeExports, exports.is_some());
    features.flag(F::PeSigned, certificates.is_some());
    features.flag(F::PeRelocations, relocations.is_some());
    features.flag(F::PeDebug, debug.is_some());
    features.flag(F::PeTls, tls.is_some());
    features.flag(F::PeDotNet, managed.is_some());
    if let Some(resources) = resources {
        features.set(F::PeResources, (f64::from(resources.size) / size.max(1) as f64).min(1.0));
        let start = offset_of(&sections, resources.virtual_address).unwrap_or(usize::MAX);
        features.set(F::PeEntropyResources, entropy_of_part(part(bytes, start as u64, u64::from(resources.size))));
    }
    let imported = imports.map(|imports| pe_imports(features, bytes, &sections, imports.virtual_address, wide));
    let (functions, finds_others) = imported.unwrap_or_default();
    features.flag(F::PeNoImports, managed.is_none() && (functions == 0 || functions < 8 && finds_others));

    // Behind the last section: an installer's files, a signature, or a payload.
    let end = sections.iter().map(|section| u64::from(section.start) + u64::from(section.size)).max().unwrap_or(0);
    let signature =
        certificates.filter(|directory| u64::from(directory.virtual_address) >= end).map_or(0, |directory| u64::from(directory.size));
    let overlay = (size as u64).saturating_sub(end).saturating_sub(signature);
    if overlay > 0 && !sections.is_empty() {
        features.set(F::PeOverlay, overlay as f64 / size.max(1) as f64);
        features.set(F::PeEntropyOverlay, entropy_of_part(part(bytes, end, overlay)));
    }
}

fn pe_sections(features: &mut Features, bytes: &[u8], sections: &[Section<'_>], entry: u32) {
    use Feature as F;
    let entropies: Vec<f64> =
        sections.iter().map(|section| entropy_of_part(part(bytes, u64::from(section.start), u64::from(section.size)))).collect();
    let count = sections.len().max(1) as f64;
    features.set(F::PeEntropyMax, entropies.iter().copied().fold(0.0, f64::max));
    features.set(F::PeEntropyMean, entropies.iter().sum::<f64>() / count);
    let number = |class: &dyn Fn(&Section<'_>) -> bool| sections.iter().filter(|section| class(section)).count() as f64;
    features.set(F::PeWritableCode, number(&|section| section.executes() && section.writes()));
    features.set(F::PeEmptyCode, number(&|section| section.executes() && section.size == 0 && section.memory > 0));
    let known = |section: &Section<'_>| SECTION_NAMES.iter().any(|name| section.name == name.as_bytes()) || section.name.starts_with(b"/");
    features.set(F::PeOddNames, number(&|section| !known(section)) / count);
    let sum = |of: &dyn Fn(&Section<'_>) -> u32| sections.iter().map(|section| f64::from(of(section))).sum::<f64>();
    features.set(F::PeGrowth, libm::log((sum(&|section| section.memory) + 1.0) / (sum(&|section| section.size) + 1.0)));
    let at = sections.iter().position(|section| section.covers(entry));
    if let Some((at, section)) = at.and_then(|at| Some((at, sections.get(at)?))) {
        features.set(F::PeEntropyEntry, entropies.get(at).copied().unwrap_or(0.0));
        features.flag(F::PeEntryLast, at > 0 && at + 1 == sections.len());
        features.flag(F::PeEntryOutside, !section.executes());
        features.flag(F::PeEntryWritable, section.writes());
    } else {
        // A library without an entry point is no oddity.
        features.flag(F::PeEntryOutside, entry != 0);
    }
}

/// Counts what is imported: how many functions, and whether one of them finds others by name.
fn pe_imports(features: &mut Features, bytes: &[u8], sections: &[Section<'_>], table: u32, wide: bool) -> (usize, bool) {
    let Some(table) = offset_of(sections, table) else { return (0, false) };
    let (mut libraries, mut functions, mut finds_others) = (0, 0, false);
    let mut kinds = [0; IMPORTS.len()];
    for row in bytes.get(table..).unwrap_or_default().chunks_exact(20).take(LIBRARIES) {
        let [Some(names), Some(name), Some(addresses)] = [0, 12, 16].map(|at| u32_at(row, at)) else { break };
        if name == 0 {
            break;
        }
        libraries += 1;
        let Some(mut at) = offset_of(sections, if names == 0 { addresses } else { names }) else { continue };
        while functions < FUNCTIONS {
            let (low, high) = (u32_at(bytes, at), if wide { u32_at(bytes, at.saturating_add(4)) } else { Some(0) });
            let (Some(low), Some(high)) = (low, high) else { break };
            if low == 0 && high == 0 {
                break;
            }
            functions += 1;
            let by_number = if wide { high & 0x8000_0000 != 0 } else { low & 0x8000_0000 != 0 };
            if !by_number && let Some(hint) = offset_of(sections, low) {
                let name = part(bytes, hint as u64 + 2, 64).split(|byte| *byte == 0).next().unwrap_or_default();
                finds_others |= name == b"GetProcAddress";
                for (count, (_, names)) in kinds.iter_mut().zip(IMPORTS) {
                    *count += usize::from(names.iter().any(|known| is_call(name, known.as_bytes())));
                }
            }
            at = at.saturating_add(if wide { 8 } else { 4 });
        }
    }
    features.count(Feature::PeImports, functions);
    features.count(Feature::PeLibraries, libraries);
    for ((feature, _), count) in IMPORTS.into_iter().zip(kinds) {
        features.count(feature, count);
    }
    (functions, finds_others)
}

/// True for a function's name, and for its variants.
fn is_call(name: &[u8], known: &[u8]) -> bool {
    name.strip_prefix(known).is_some_and(|rest| [&b""[..], b"A", b"W", b"Ex", b"ExA", b"ExW"].contains(&rest))
}

/// The features of an ELF program.
pub(super) fn elf(features: &mut Features, bytes: &[u8]) {
    use Feature as F;
    let parsed = Elf::parse_header(bytes).ok().and_then(|header| {
        let ctx = Ctx::new(header.container().ok()?, header.endianness().ok()?);
        let programs = ProgramHeader::parse(bytes, usize::try_from(header.e_phoff).ok()?, usize::from(header.e_phnum), ctx).ok()?;
        // Packers leave the sections out, or name places that are not there.
        let sections =
            SectionHeader::parse(bytes, usize::try_from(header.e_shoff).ok()?, usize::from(header.e_shnum), ctx).unwrap_or_default();
        Some((header, programs, sections))
    });
    let Some((header, programs, sections)) = parsed else {
        features.set(F::Malformed, 1.0);
        return;
    };
    features.flag(F::ElfStripped, !sections.iter().any(|section| section.sh_type == section_header::SHT_SYMTAB));
    features.flag(F::ElfNoSections, sections.is_empty());
    // Object files and libraries for linking have no segments at all.
    let dynamic = programs.iter().any(|program| program.p_type == program_header::PT_DYNAMIC);
    features.flag(F::ElfStatic, !dynamic && header.e_type != elf_header::ET_REL);
    let loaded = || programs.iter().filter(|program| program.p_type == program_header::PT_LOAD).take(SECTIONS);
    features.set(F::ElfWritableCode, loaded().filter(|program| program.is_write() && program.is_executable()).count() as f64);
    let highest = loaded().map(|program| entropy_of_part(part(bytes, program.p_offset, program.p_filesz))).fold(0.0, f64::max);
    features.set(F::ElfEntropyMax, highest);
    let small = [elf_header::EM_MIPS, elf_header::EM_ARM, elf_header::EM_PPC, elf_header::EM_SH, elf_header::EM_SPARC, elf_header::EM_68K];
    features.flag(F::ElfSmallMachine, small.contains(&header.e_machine));
}

/// The features of a Mach-O program; of one for several processors, those of the first.
pub(super) fn mach_o(features: &mut Features, bytes: &[u8]) {
    use Feature as F;
    let fat = bytes.starts_with(b"\xCA\xFE\xBA\xBE");
    features.flag(F::MachOFat, fat);
    let start = if fat { bytes.get(16..20).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes) } else { 0 };
    let program = part(bytes, u64::from(start), u64::MAX);
    let (wide, little) = match program.first_chunk() {
        Some(b"\xFE\xED\xFA\xCE") => (false, false),
        Some(b"\xFE\xED\xFA\xCF") => (true, false),
        Some(b"\xCE\xFA\xED\xFE") => (false, true),
        Some(b"\xCF\xFA\xED\xFE") => (true, true),
        _ => {
            features.set(F::Malformed, 1.0);
            return;
        }
    };
    let word = |at: usize| u32_at(program, at).map_or(0, |word| if little { word } else { word.swap_bytes() });
    let double = |at: usize| {
        let (first, second) = (u64::from(word(at)), u64::from(word(at.saturating_add(4))));
        if little { second << 32 | first } else { first << 32 | second }
    };
    let commands = usize::try_from(word(16)).unwrap_or(usize::MAX);
    let (mut at, mut writable, mut highest) = (if wide { 32_usize } else { 28 }, 0, 0.0);
    for _ in 0..commands.min(COMMANDS) {
        let size = usize::try_from(word(at.saturating_add(4))).unwrap_or(0);
        if size < 8 {
            features.set(F::Malformed, 1.0);
            break;
        }
        match word(at) {
            0x1 | 0x19 => {
                let (from, length, protection) = if word(at) == 0x19 {
                    (double(at.saturating_add(40)), double(at.saturating_add(48)), word(at.saturating_add(60)))
                } else {
                    (u64::from(word(at.saturating_add(32))), u64::from(word(at.saturating_add(36))), word(at.saturating_add(44)))
                };
                writable += usize::from(protection & 6 == 6);
                highest = f64::max(highest, entropy_of_part(part(program, from, length)));
            }
            0x1D => features.set(F::MachOSigned, 1.0),
            0x21 | 0x2C => features.flag(F::MachOEncrypted, word(at.saturating_add(16)) != 0),
            _ => {}
        }
        at = at.saturating_add(size);
    }
    features.set(F::MachOWritableCode, writable as f64);
    features.set(F::MachOEntropyMax, highest);
}
