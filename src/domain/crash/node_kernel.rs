//! Programs that the kernel of their node does not suit: it is too old for them, or its pages of memory are larger than theirs.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::text::pattern::pattern;

/// Lines from the end in which it is said.
const LAST: usize = 30;

/// Reads a whole log.
pub(super) fn read(text: &str) -> Option<Crash> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let mut last = lines[lines.len().saturating_sub(LAST)..].iter().rev();
    last.find_map(|line| {
        let parsed = Line::parse(line);
        // What it does without ends nobody.
        if matches!(parsed.level, Level::Info | Level::Warning) {
            return None;
        }
        let words = if parsed.err.is_empty() { parsed.text() } else { parsed.err.clone() };
        let words = shorten(words.trim(), 200);
        let crash = if line.contains("nsupported system page size") {
            let reason = format!("it is built for smaller pages of memory than the kernel of its node has: {words}");
            Crash::new(Class::PageSize, reason)
        } else {
            let needs = needed(line)?;
            let reason = format!("the kernel of its node is too old for it: {words}");
            Crash { what: needs, ..Crash::new(Class::NodeKernel, reason) }
        };
        Some(Crash { said: redact(line), ..crash })
    })
}

/// The version that it asks for, where it says so; `None` where the line says nothing of a kernel that is too old.
fn needed(line: &str) -> Option<Option<String>> {
    let version = pattern!(
        r"(?i)(?:(?:requires?|needs?) (?:a |at least )?(?:linux )?kernel(?: version)?(?: of)?|minim(?:al|um) (?:supported |required )?(?:linux )?kernel(?: version)?(?: is|:)?) *(?:>=? *|v)?(\d+\.\d+)"
    );
    if let Some(found) = version.captures(line) {
        return Some(Some(found[1].to_owned()));
    }
    line.contains("FATAL: kernel too old").then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_do_not_suit() {
        let proxy = "I1121 02:53:03.120113       1 server_linux.go:53] \"Using nftables proxy\"\nE1121 02:53:03.133201       1 run.go:72] \"command failed\" err=\"no nftables support on this host: kube-proxy in nftables mode requires kernel 5.13 or later\"\n";
        let crash = read(proxy).expect("a crash");
        assert_eq!((crash.class, crash.what.as_deref()), (Class::NodeKernel, Some("5.13")));
        assert!(crash.reason.ends_with("requires kernel 5.13 or later"), "{}", crash.reason);
        let cilium = "level=fatal msg=\"kernel version: NOT OK: minimal supported kernel version is 4.19.57; kernel version that is running is: 4.14.209\" subsys=linux-datapath\n";
        assert_eq!(read(cilium).and_then(|c| c.what), Some("4.19".to_owned()));
        assert_eq!(read("FATAL: kernel too old\n").map(|c| (c.class, c.what)), Some((Class::NodeKernel, None)));
        let pages = read("<jemalloc>: Unsupported system page size\n").expect("a crash");
        assert_eq!(pages.class, Class::PageSize);
        assert!(read("level=info msg=\"Host details\" kernel=5.10.1\n").is_none());
        let without = "level=warn msg=\"BPF ring buffer requires kernel 5.8 or later, using perf events\"\n";
        assert!(read(without).is_none());
    }
}
