//! Bundles as archives: the report of the folder, and clear errors for what a stranger may send.

mod support;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use kdoctor::bundle::Bundle;
use support::fixtures::fixture;
use support::kdoctor;
use tar::{EntryType, Header};

const FIXTURE: &str = "demo/ebs-csi-missing";
const HEADER: &[u8] = br#"{"format": 1, "collected_at": "2026-11-21T00:00:00Z"}"#;

/// The fixture as a tar below a folder, or at its top.
fn packed(top: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(top, fixture(FIXTURE)).expect("the fixture is readable");
    tar.into_inner().expect("in memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("in memory");
    out.finish().expect("in memory")
}

/// As small as gzip gets it.
fn best(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).expect("in memory");
    out.finish().expect("in memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("in memory")
}

fn report(path: &Path) -> String {
    let output = kdoctor().args(["monitoring", "-o", "json", "--from"]).arg(path).output().expect("kdoctor runs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn an_archive_gives_the_report_of_its_folder() {
    let of_folder = report(&fixture(FIXTURE));
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [
        ("plain.tar", packed(".")),
        ("top.tar.gz", gzip(&packed("capture-2026"))),
        ("deep.tar.zst", zstd(&packed("tmp/x/capture"))),
        // Names lie: the content tells how it is packed.
        ("named.zip", zstd(&packed("."))),
        // Two members, as `cat a.gz b.gz` makes them.
        ("members.tgz", packed(".").chunks(100_000).flat_map(gzip).collect()),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        assert_eq!(report(&path), of_folder, "{name}");
    }
}

#[test]
fn a_folder_that_was_unpacked_into_another_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    tar::Archive::new(&packed("capture")[..]).unpack(dir.path()).expect("it unpacks");
    assert_eq!(report(dir.path()), report(&fixture(FIXTURE)));
}

#[test]
fn archives_and_reports_are_compared() {
    let dir = tempfile::tempdir().expect("a folder");
    let archive = dir.path().join("a.tar.gz");
    std::fs::write(&archive, gzip(&packed("a"))).expect("a file");
    let json = dir.path().join("report.json");
    std::fs::write(&json, report(&archive)).expect("a file");
    let output = kdoctor().arg("diff").arg(&json).arg(&archive).output().expect("kdoctor runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("new: 0") && !text.contains("unchanged: 0"), "{text}");
}

/// A tar of entries as they are given, however wrong.
struct Raw(Vec<u8>);

impl Raw {
    fn new() -> Self {
        Self(Vec::new()).entry(b"kdoctor.json", EntryType::Regular, HEADER)
    }

    fn entry(self, name: &[u8], kind: EntryType, content: &[u8]) -> Self {
        self.sized(name, kind, content, content.len() as u64)
    }

    fn sized(mut self, name: &[u8], kind: EntryType, content: &[u8], size: u64) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// An archive, and what its error must say.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let file = EntryType::Regular;
    let one = |name: &[u8], kind| Raw::new().entry(name, kind, b"").end();
    let pax = |record: &[u8]| Raw::new().entry(b"pax", EntryType::XHeader, record).entry(b"a.json", file, b"{}").end();
    let long =
        |name: &[u8]| Raw::new().entry(b"long", EntryType::GNULongName, name).entry(b"a.json", file, b"{}").end();
    let zeros = vec![0; 100 << 20];
    let bomb = Raw::new().entry(b"a.json", file, &zeros).end();
    let whole = packed("a");
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let mut broken_sum = Raw::new().end();
    broken_sum[0] = b'x';
    vec![
        ("absolute path", one(b"/etc/passwd", file), r#"entry "/etc/passwd": its path is absolute"#),
        ("Windows path", one(b"C:\\x", file), "its path is absolute"),
        ("share", one(b"\\\\host\\x", file), "its path is absolute"),
        ("upwards", one(b"a/../../etc/passwd", file), r#"entry "a/../../etc/passwd": its path leads out"#),
        ("upwards with backslashes", one(b"a\\..\\..\\x", file), "its path leads out"),
        ("upwards as folder", one(b"../", EntryType::Directory), "its path leads out"),
        ("symbolic link", one(b"kubernetes", EntryType::Symlink), r#"entry "kubernetes": it is a link"#),
        ("hard link", one(b"a.json", EntryType::Link), "it is a link"),
        ("character device", one(b"a.json", EntryType::Char), "it is a device"),
        ("block device", one(b"a.json", EntryType::Block), "it is a device"),
        ("pipe", one(b"a.json", EntryType::Fifo), "it is a pipe"),
        ("sparse file", one(b"a.json", EntryType::GNUSparse), "it is a sparse file"),
        ("unknown kind", one(b"a.json", EntryType::new(b'Z')), "of a kind that is not known"),
        ("no name", one(b"", file), "it has no name"),
        ("only dots", one(b"./.", file), "it has no name"),
        ("not UTF-8", one(b"a\xff.json", file), "its name is not UTF-8"),
        ("twice", Raw::new().entry(b"./kdoctor.json", file, b"{}").end(), "the archive holds it twice"),
        ("pax path upwards", pax(b"16 path=../../x\n"), "its path leads out"),
        ("pax path absolute", pax(b"11 path=/x\n"), "its path is absolute"),
        ("pax size", pax(b"10 size=9\n"), "its size stands in an extension"),
        ("pax sparse", pax(b"22 GNU.sparse.major=1\n"), "it is a sparse file"),
        ("long name upwards", long(b"../x\0"), "its path leads out"),
        ("long name without end", long(&vec![b'a'; 1 << 20]), "longer than 4096 bytes"),
        ("extension without end", pax(&vec![b'1'; 1 << 20]), "longer than 4096 bytes"),
        ("name and no file", Raw::new().entry(b"l", EntryType::GNULongName, b"x").end(), "after the name of a file"),
        ("larger than it is", Raw::new().sized(b"a.json", file, b"{}", 5000).end(), "the archive ends in it"),
        ("exabytes", Raw::new().sized(b"a.json", file, b"{}", 1 << 60).end(), "it is larger than 256 MiB"),
        ("negative size", Raw::new().sized(b"a.json", file, b"{}", u64::MAX).end(), "cannot be unpacked"),
        ("bomb of zstd", zstd(&bomb), "times its size"),
        ("bomb of gzip", best(&bomb), "times its size"),
        ("bomb that is skipped", zstd(&Raw::new().entry(b"a/", EntryType::Directory, &zeros).end()), "times its size"),
        (
            "bomb of folders",
            {
                let folders = (0..100_001)
                    .fold(Raw::new(), |raw, n| raw.entry(format!("d{n}/").as_bytes(), EntryType::Directory, b""));
                zstd(&folders.end())
            },
            "more than 100000 entries",
        ),
        ("cut", Raw::new().entry(b"a.json", file, &[b' '; 4000]).0[..2500].to_vec(), "the archive ends in it"),
        ("cut gzip", cut(&gzip(&whole)), "incomplete"),
        ("cut zstd", cut(&zstd(&whole)), "cannot be unpacked"),
        ("cut header", whole[..700].to_vec(), "cannot be unpacked"),
        ("checksum", broken_sum, "checksum"),
        ("gzip of nothing", gzip(b""), "missing: this is not a bundle"),
        ("gzip of text", gzip(b"hello\n"), "cannot be unpacked"),
        ("gzip of gzip", gzip(&gzip(&whole)), "cannot be unpacked"),
        ("gzip head alone", vec![0x1f, 0x8b], "cannot be unpacked"),
        ("zstd head alone", vec![0x28, 0xb5, 0x2f, 0xfd], "cannot be unpacked"),
        ("empty", Vec::new(), "neither a folder nor a .tar"),
        ("text", b"not an archive\n".to_vec(), "neither a folder nor a .tar"),
        ("zip", b"PK\x03\x04 and more".to_vec(), "neither a folder nor a .tar"),
        ("no header", Raw(Vec::new()).entry(b"a.json", file, b"{}").end(), "missing: this is not a bundle"),
        ("header is a folder", Raw(Vec::new()).entry(b"kdoctor.json/", EntryType::Directory, b"").end(), "missing"),
        ("header is no JSON", Raw(Vec::new()).entry(b"kdoctor.json", file, b"{").end(), "not valid JSON"),
        (
            "newer format",
            Raw(Vec::new()).entry(b"kdoctor.json", file, br#"{"format":9}"#).end(),
            "format 9 is not supported",
        ),
        (
            "two bundles",
            { Raw(Vec::new()).entry(b"a/kdoctor.json", file, HEADER).entry(b"b/kdoctor.json", file, HEADER).end() },
            "it holds several bundles (a/, b/)",
        ),
    ]
}

#[test]
fn what_a_stranger_sends_ends_in_a_clear_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("hostile.tar");
    let mut wrong = Vec::new();
    for (name, bytes, told) in hostile() {
        std::fs::write(&path, bytes).expect("a file");
        let start = Instant::now();
        match Bundle::open(&path).map(|_| ()) {
            Err(error) if error.to_string().contains(told) && start.elapsed() < Duration::from_secs(20) => {}
            other => wrong.push(format!("{name}: {other:?} in {:?}, not {told:?}", start.elapsed())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1, "something was unpacked");
}

#[test]
fn the_error_is_one_line_and_the_exit_code_is_2() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("hostile.tar");
    let name = b"a\x1b[31m/../x";
    std::fs::write(&path, Raw::new().entry(name, EntryType::Regular, b"").end()).expect("a file");
    let output = kdoctor().args(["monitoring", "--from"]).arg(&path).output().expect("kdoctor runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.lines().count() == 1 && text.contains("leads out of the bundle") && !text.contains('\x1b'),
        "{text:?}"
    );
}

/// Bytes that are changed at random, always the same way.
#[test]
fn no_archive_is_too_broken() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("broken.tar");
    let small = Raw::new()
        .entry(b"pax", EntryType::XHeader, b"12 path=a/b\n")
        .entry(b"x.json", EntryType::Regular, b"{}")
        .entry(b"l", EntryType::GNULongName, b"c/d.json")
        .entry(b"y.json", EntryType::Regular, br#"{"items":[]}"#)
        .end();
    let mut state = 42_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % below as u64).expect("small")
    };
    for whole in [small.clone(), gzip(&small), zstd(&small)] {
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                bytes[at] = u8::try_from(next(256)).expect("a byte");
            }
            bytes.truncate(bytes.len() - next(bytes.len() / 4));
            std::fs::write(&path, bytes).expect("a file");
            // Either is right; that it ends is the test.
            let _ = Bundle::open(&path).map(|bundle| bundle.altered());
        }
    }
}
