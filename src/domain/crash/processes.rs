//! A program that cannot start another thread or process: the limit of its pod or of its node is reached.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::redact::redact;
use crate::text::pattern::pattern;

/// Lines from the end in which others than Go say it: what they lived through is over.
const LAST: usize = 40;

/// Reads a whole log, in the words of Go, glibc, Python, Java, Ruby and shells.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let reason = "it cannot start another thread or process: the pod or the node is at its PID limit";
    // Go ends at once, and writes its stacks behind.
    let go = pattern!(r"runtime: failed to create new OS thread \(have (\d+) already; errno=11\)");
    if let Some(found) = go.captures_iter(text).last() {
        let reason = format!("{reason} (it runs {} threads itself)", &found[1]);
        return Some(Crash { said: found[0].to_owned(), ..Crash::new(Class::Processes, reason) });
    }
    let said = pattern!(
        r"pthread_create\b.*(?:[Rr]esource temporarily unavailable|EAGAIN)|RuntimeError: can't start new thread|can't create Thread: Resource temporarily unavailable|unable to create (?:new )?native thread|fork/exec \S+: resource temporarily unavailable|\bfork: (?:retry: )?Resource temporarily unavailable|Cannot fork"
    );
    let line = text.lines().rev().filter(|l| !l.trim().is_empty()).take(LAST).find(|l| said.is_match(l))?;
    Some(Crash { said: redact(line), ..Crash::new(Class::Processes, reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_say_that_no_thread_is_left() {
        let go = "runtime: failed to create new OS thread (have 1019 already; errno=11)\nruntime: may need to increase max user processes (ulimit -u)\nfatal error: newosproc\n";
        let crash = read(go).expect("a crash");
        assert_eq!(crash.class, Class::Processes);
        assert!(crash.reason.contains("1019"), "{}", crash.reason);
        assert!(read("Exception in thread \"main\" java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory or process/resource limits reached").is_some());
        // Out of memory is another matter.
        assert!(read("runtime: failed to create new OS thread (have 5 already; errno=12)").is_none());
        assert!(
            read(
                "OpenBLAS blas_thread_init: pthread_create failed for thread 1 of 4: Resource temporarily unavailable"
            )
            .is_some()
        );
        // What an old runtime forbids, or memory, is no limit of processes.
        assert!(read("runtime/cgo: pthread_create failed: Operation not permitted").is_none());
        assert!(read("runtime/cgo: pthread_create failed: Cannot allocate memory").is_none());
        assert!(read("write: resource temporarily unavailable").is_none());
    }
}
