//! The features by name, in their order.
//!
//! Models are trained on these names; a change of their number, order, names or meaning is another [`VERSION`].

/// Version of the list and of what each number means.
pub const VERSION: u32 = 1;

/// Declares [`Feature`] and [`NAMES`] together.
macro_rules! features {
    ($($feature:ident $name:literal $meaning:literal)*) => {
        /// One of the features.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Feature {
            $(#[doc = concat!("`", $name, "`: ", $meaning, ".")] $feature,)*
        }

        /// The features' names, in order.
        pub const NAMES: [&str; [$($name),*].len()] = [$($name),*];

        impl Feature {
            /// All of them, in order.
            pub const ALL: [Feature; NAMES.len()] = [$(Feature::$feature),*];

            /// What it says, for people.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Feature::$feature => $meaning,)*
                }
            }
        }
    };
}

features! {
    Size "size" "natural logarithm of 1 + size in bytes"
    Malformed "malformed" "a parser gave up: the file is not what its first bytes say"
    Entropy "entropy" "entropy of all bytes, 0 to 8 bits"
    EntropyHead "entropy_head" "entropy of the first 4096 bytes"
    EntropyTail "entropy_tail" "entropy of the last 4096 bytes"
    Printable "printable" "share of printable ASCII, tabs and line ends"
    Zeros "zeros" "share of zero bytes"
    High "high" "share of bytes from 0x80 on"
    Blanks "blanks" "share of blanks, tabs and line ends"
    Symbols "symbols" "share of ASCII punctuation"
    Digits "digits" "share of ASCII digits"
    Distinct "distinct" "distinct bytes, as a share of 256"
    TopByte "top_byte" "share of the most frequent byte"
    Unevenness "unevenness" "standard deviation of the 256 shares, times 256"
    LongestRun "longest_run" "longest run of one byte, ln(1 + bytes)"
    LongestLine "longest_line" "longest line, ln(1 + bytes)"
    Strings "strings" "runs of at least 6 printable bytes per KiB, ln(1 + n)"
    LongestString "longest_string" "longest run of printable bytes, ln(1 + bytes)"
    Base64Runs "base64_runs" "runs of at least 120 base64 digits, ln(1 + n)"
    HexRuns "hex_runs" "runs of at least 120 hexadecimal digits, ln(1 + n)"
    IsPe "is_pe" "Windows program"
    IsElf "is_elf" "ELF program"
    IsMachO "is_mach_o" "macOS program"
    IsArchive "is_archive" "archive or compressed file"
    IsOle "is_ole" "compound file: old Office documents, installers"
    IsPdf "is_pdf" "PDF"
    IsRtf "is_rtf" "RTF"
    IsShortcut "is_shortcut" "Windows shortcut"
    IsMedia "is_media" "image, sound, video or font"
    IsHtml "is_html" "HTML"
    IsJavaScript "is_javascript" "JavaScript"
    IsVbScript "is_vbscript" "VBScript"
    IsPowerShell "is_powershell" "PowerShell"
    IsBatch "is_batch" "batch file of Windows"
    IsShell "is_shell" "shell script"
    IsPhp "is_php" "PHP"
    IsPython "is_python" "Python"
    IsText "is_text" "text that is none of these"
    IsUnknown "is_unknown" "none of these"
    Urls "urls" "web addresses, ln(1 + n)"
    CommandWords "command_words" "names of shells and of system programs that are lived off, ln(1 + n)"
    PersistenceWords "persistence_words" "places and programs that make something start again, ln(1 + n)"
    RansomWords "ransom_words" "words of ransom notes, and of what destroys backups, ln(1 + n)"
    StealerWords "stealer_words" "places of passwords, wallets and cookies, ln(1 + n)"
    EvasionWords "evasion_words" "names of debuggers, sandboxes and virtual machines, ln(1 + n)"
    DosStubs "dos_stubs" "further Windows programs inside, ln(1 + n)"
    PackerWords "packer_words" "marks of packers, ln(1 + n)"
    ScriptEval "script_eval" "scripts: what runs text as code, ln(1 + n)"
    ScriptDecode "script_decode" "scripts: what decodes or unpacks text, ln(1 + n)"
    ScriptRun "script_run" "scripts: what starts programs, ln(1 + n)"
    ScriptDownload "script_download" "scripts: what fetches from the network, ln(1 + n)"
    ScriptHidden "script_hidden" "scripts: options that hide windows, skip policies and silence errors, ln(1 + n)"
    ScriptInput "script_input" "scripts: PHP that reads what a visitor sends, ln(1 + n)"
    ScriptEvalOfDecoded "script_eval_of_decoded" "scripts: text is decoded, or fetched, and run in one expression, ln(1 + n)"
    ScriptEscapes "script_escapes" "scripts: escaped characters per KiB, ln(1 + n)"
    ScriptJoins "script_joins" "scripts: joints of literals per KiB, ln(1 + n)"
    MacroMarks "macro_marks" "documents: marks of macros, ln(1 + n)"
    MacroAutoOpen "macro_auto_open" "documents: macros that run by themselves, ln(1 + n)"
    DocumentObjects "document_objects" "documents: embedded objects, links to templates, DDE, ln(1 + n)"
    PdfScript "pdf_script" "PDF: JavaScript, ln(1 + n)"
    PdfOpen "pdf_open" "PDF: actions that run by themselves, ln(1 + n)"
    PdfLaunch "pdf_launch" "PDF: starts programs, ln(1 + n)"
    PdfEmbedded "pdf_embedded" "PDF: embedded files and forms, ln(1 + n)"
    ArchiveNames "archive_names" "archives: members that Windows would run, by name, ln(1 + n)"
    ArchiveDoubleNames "archive_double_names" "archives: members that pretend to be documents, ln(1 + n)"
    ArchiveLocked "archive_locked" "archives: the first member is encrypted"
    Pe64 "pe_64" "PE: 64 bits"
    PeDll "pe_dll" "PE: a library"
    PeDotNet "pe_dot_net" "PE: managed code"
    PeNative "pe_native" "PE: a driver, by its subsystem"
    PeSections "pe_sections" "PE: number of sections"
    PeEntropyMax "pe_entropy_max" "PE: highest entropy of a section"
    PeEntropyMean "pe_entropy_mean" "PE: mean entropy of the sections"
    PeEntropyEntry "pe_entropy_entry" "PE: entropy of the section with the entry point"
    PeWritableCode "pe_writable_code" "PE: sections that are both written and executed"
    PeEmptyCode "pe_empty_code" "PE: executable sections that have no bytes in the file"
    PeOddNames "pe_odd_names" "PE: share of sections whose names no compiler gives"
    PeEntryLast "pe_entry_last" "PE: entry point in the last section"
    PeEntryOutside "pe_entry_outside" "PE: entry point in no executable section"
    PeEntryWritable "pe_entry_writable" "PE: entry point in a writable section"
    PeGrowth "pe_growth" "PE: memory over file size of the sections, natural logarithm"
    PeImports "pe_imports" "PE: imported functions, ln(1 + n)"
    PeLibraries "pe_libraries" "PE: imported libraries, ln(1 + n)"
    PeNoImports "pe_no_imports" "PE: native code without imports, or with few of which one finds the others"
    PeImportInject "pe_import_inject" "PE: imports that reach into other processes, ln(1 + n)"
    PeImportNetwork "pe_import_network" "PE: imports of the network, ln(1 + n)"
    PeImportCrypto "pe_import_crypto" "PE: imports of cryptography, ln(1 + n)"
    PeImportRegistry "pe_import_registry" "PE: imports that write the registry or install services, ln(1 + n)"
    PeImportSpy "pe_import_spy" "PE: imports that watch keys and screens, ln(1 + n)"
    PeImportEvade "pe_import_evade" "PE: imports that find debuggers, ln(1 + n)"
    PeResources "pe_resources" "PE: share of the file in resources"
    PeEntropyResources "pe_entropy_resources" "PE: entropy of the resources"
    PeExports "pe_exports" "PE: exports something"
    PeSigned "pe_signed" "PE: has a signature, whatever it is worth"
    PeDebug "pe_debug" "PE: has debug information"
    PeTls "pe_tls" "PE: has thread-local storage, whose callbacks run first"
    PeRelocations "pe_relocations" "PE: can be moved in memory"
    PeOddTime "pe_odd_time" "PE: built before 1995 or after 2037"
    PeNoChecksum "pe_no_checksum" "PE: checksum left out"
    PeOverlay "pe_overlay" "PE: share of the file behind the last section, without the signature"
    PeEntropyOverlay "pe_entropy_overlay" "PE: entropy of what is behind the last section"
    ElfStripped "elf_stripped" "ELF: no symbols"
    ElfStatic "elf_static" "ELF: needs no libraries"
    ElfNoSections "elf_no_sections" "ELF: no section headers"
    ElfWritableCode "elf_writable_code" "ELF: segments that are both written and executed"
    ElfEntropyMax "elf_entropy_max" "ELF: highest entropy of a loaded segment"
    ElfSmallMachine "elf_small_machine" "ELF: for the processors of routers and cameras"
    MachOFat "mach_o_fat" "Mach-O: for several processors"
    MachOWritableCode "mach_o_writable_code" "Mach-O: segments that are both written and executed"
    MachOSigned "mach_o_signed" "Mach-O: has a signature, whatever it is worth"
    MachOEncrypted "mach_o_encrypted" "Mach-O: encrypted"
    MachOEntropyMax "mach_o_entropy_max" "Mach-O: highest entropy of a segment"
}

impl Feature {
    /// As models call it.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}
